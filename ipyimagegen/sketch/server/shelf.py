"""Where pictures wait for those who follow their urls."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Shelf:
    """Pictures by name for a while: the oldest go when there are too many bytes."""

    most: int
    files: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, data: bytes, suffix: str) -> str:
        """Keep the bytes; return their name."""
        name = f"{hashlib.sha256(data).hexdigest()}.{suffix}"
        with self.lock:
            self.files[name] = data
            self.files.move_to_end(name)
            while len(self.files) > 1 and sum(map(len, self.files.values())) > self.most:
                self.files.popitem(last=False)
        return name

    def get(self, name: str) -> bytes | None:
        """Return the bytes of that name, None if they are gone."""
        with self.lock:
            return self.files.get(name)
