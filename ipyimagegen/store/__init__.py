"""The room where everything is kept: files are the truth, an index finds them.

    HOME/images/ab/<sha256>.<ext>      bytes as they came, each content once
    HOME/quarantine/<sha256>.bin       bytes that are no known image
    HOME/records/<session>/<n>.json    one run
    HOME/spool/                        what is not yet whole
    HOME/unindexed/                    names of records that the index may not have yet
    HOME/index.sqlite                  search and look-up; safe to delete

What a full disk refuses is kept among the system's temporary files until it can be stored (`refuge`).

No handle outlives a call, so any number of processes and threads share a home, a fork takes nothing
over, and a store can be pickled.
"""

from ipyimagegen.store.disk import Disk
from ipyimagegen.store.images import StoredBlob
from ipyimagegen.store.store import Store

__all__ = ["Disk", "Store", "StoredBlob"]
