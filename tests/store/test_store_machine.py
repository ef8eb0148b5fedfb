"""A store and a model of it, led through the same day: writers, readers, damage, failing disks, deaths.

Each step may meet a failing call of the disk, or the death of its process, at any of its calls.
"""

import errno
import json
import re
import shutil
import tempfile
from pathlib import Path

from failing import Calls, Death, dies, fails
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from store_samples import MEMORY, run
from store_story import image, keep, sha256, spooled
from test_store_faults import DAMAGE

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.run import SCHEMA, Run, Status, from_json, to_json
from ipyimagegen.store import Disk, Store
from ipyimagegen.store.index import Entry, Query
from ipyimagegen.store.records import forget, list_hashes

SESSIONS = ["1120-aaaa", "1120-bbbb"]
DATAS = [b"\x89PNG\r\n\x1a\n" + bytes([k]) * 40 for k in range(4)]
NAMES = {sha256(data): data for data in DATAS}
REFUSED = re.compile(rf"({'|'.join(SESSIONS)})/\d")  # by the name of the run
WORDS = ["a red fox", "a fox at night", "a cat"]

keys = st.tuples(st.sampled_from(SESSIONS), st.integers(1, 3))
datas = st.lists(st.sampled_from(DATAS), min_size=1, max_size=2, unique=True)
nths = st.integers(1, 60)
codes = st.sampled_from([errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EACCES])
faults = st.tuples(nths, st.builds(fails, codes, lasts=st.booleans()))
deaths = st.tuples(nths, st.builds(dies))
fates = st.none() | faults | deaths
queries = st.builds(
    Query,
    number=st.none() | st.integers(1, 3),
    identity=st.none() | st.sampled_from([run(prompt=word).identity for word in WORDS]),
    search=st.none() | st.sampled_from(["FOX", "cat", "dog"]),
    originals=st.booleans(),
    limit=st.none() | st.integers(0, 2),
)


class StoreMachine(RuleBasedStateMachine):
    """`runs` is what each record must say, `kept` the images that must be there with their hash."""

    def __init__(self):
        super().__init__()
        self.home = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None, prefix="machine-"))
        self.stores = self.opened()
        self.runs, self.odd = {}, {}  # odd: the bytes of what is no record of this version
        self.kept, self.flipped = set(), set()
        self.litter = False  # somebody died, or could not delete

    def opened(self):
        """Return two stores on the one home."""
        disk = Disk(self.home, fsync=lambda _: None, sleep=lambda _: None)
        return [Store(self.home, wait=0.02, disk=disk) for _ in range(2)]

    def path(self, key):
        return self.home / "records" / key[0] / f"{key[1]}.json"

    def written(self, key):
        """Return what a record says, or None when there is none."""
        try:
            return from_json(Run, json.loads(self.path(key).read_bytes()))
        except FileNotFoundError:
            return None

    def did(self, second, fate, work):
        """Return what `work` returned, or the fault or death that it met."""
        store = self.stores[second]
        if fate is None:
            return _tried(work, store)
        nth, what = fate
        with Calls(self.home, nth, what) as calls:
            done = _tried(work, Store(self.home, wait=0.02, disk=calls.disk()))
        self.litter |= calls.met in ("unlink", "close") or what.lasts
        if isinstance(done, Death):
            self.stores = self.opened()
            self.litter = True
        if isinstance(done, StoreError):
            words = [str(self.home), "IPYIMAGEGEN_HOME"]
            assert all(word in str(done) for word in words) or REFUSED.search(str(done)), done
        return done

    def settled(self, done, after):
        """Take over what was written: all of it, or when it failed each record as it was or will be."""
        failed = isinstance(done, BaseException)
        for key, new in after.items():
            now = self.written(key) if failed else new
            assert now in (self.runs.get(key), new), (key, done)
            if now is not None:
                self.runs[key] = now
        return not failed

    def released(self, ones, gone):
        """What no record mentions any more is gone, or may be."""
        left = {digest for run_ in self.readable().values() for digest in list_hashes(run_)}
        free = {digest for run_ in ones for digest in list_hashes(run_)} - left
        self.kept -= free
        self.flipped = {digest for digest in self.flipped if self.stores[0].path(digest)}
        assert not gone or not any(self.stores[0].path(digest) for digest in free)

    def readable(self):
        """Return what the records say, those of a newer version too."""
        return self.runs | {key: from_json(Run, json.loads(data)) for key, data in self.odd.items() if data}

    def taken(self, key):
        return key in self.runs or key in self.odd

    # What a session does

    @rule(second=st.booleans(), fate=fates, key=keys, word=st.sampled_from(WORDS))
    def create(self, second, fate, key, word):
        new = run(key[1], word, key[0])
        done = self.did(second, fate, lambda store: store.create(new))
        if self.taken(key):
            assert isinstance(done, (StoreError, Death))
        else:
            self.settled(done, {key: new})

    @precondition(lambda self: self.runs)
    @rule(second=st.booleans(), fate=fates, data=st.data())
    def reuse(self, second, fate, data):
        old, key = data.draw(st.sampled_from(sorted(self.runs))), data.draw(keys)
        original = self.runs[old]
        if self.taken(key) or original.forgotten or original.reused_from:
            return
        later = original.created + 50
        new = original.replace(session=key[0], number=key[1], created=later, reused_from=original.id)
        self.settled(self.did(second, fate, lambda store: store.create(new)), {key: new})

    @rule(second=st.booleans(), fate=fates, data=st.sampled_from(DATAS))
    def keep(self, second, fate, data):
        done = self.did(second, fate, lambda store: keep(store, data))
        if not isinstance(done, BaseException):
            self.kept.add(done.sha256)
            self.flipped.discard(done.sha256)  # the same bytes once more heal it
        elif self.stores[0].verify(sha256(data)):
            self.flipped.discard(sha256(data))

    @precondition(lambda self: self.runs)
    @rule(second=st.booleans(), fate=fates, data=st.data(), came=datas)
    def finish(self, second, fate, data, came):
        key = data.draw(st.sampled_from(sorted(self.runs)))
        old = self.runs[key]
        for content in came:
            self.keep(second=second, fate=None, data=content)
        images = tuple(image(content, k) for k, content in enumerate(came, start=1))
        new = run(key[1], WORDS[0], key[0], created=old.created) if old.forgotten else old
        new = new.replace(status=Status.DONE, images=images)
        done = self.did(second, fate, lambda store: store.update(new))
        went = self.settled(done, {key: forget(new) if old.forgotten else new})
        if old.forgotten or not went:
            self.released([new, old], gone=went and old.forgotten)

    @precondition(lambda self: self.runs)
    @rule(second=st.booleans(), fate=fates, data=st.data())
    def give_up(self, second, fate, data):
        key = data.draw(st.sampled_from(sorted(self.runs)))
        old = self.runs[key]
        new = old.replace(status=Status.UNKNOWN)
        done = self.did(second, fate, lambda store: store.update(new))
        self.settled(done, {key: forget(new) if old.forgotten else new})

    @rule(second=st.booleans(), fate=fates, some=st.lists(keys, max_size=2))
    def forget(self, second, fate, some):
        named = {f"{session}/{number}" for session, number in some}
        old = {
            key: record
            for key, record in self.readable().items()
            if {record.id, record.reused_from} & named and not record.forgotten
        }
        done = self.did(second, fate, lambda store: store.forget(named))
        if old.keys() & self.odd.keys():  # a newer version's: none is forgotten
            assert isinstance(done, (StoreError, Death))
            old = {}
        went = self.settled(done, {key: forget(record) for key, record in old.items()})
        assert not went or done == len(old)
        if not went:  # a second attempt completes it
            old = {key: record for key, record in old.items() if self.runs[key].forgotten}
            self.stores[0].forget([])
        self.released(old.values(), gone=True)

    @rule(second=st.booleans(), fate=fates, query=queries)
    def ask(self, second, fate, query):
        done = self.did(second, fate, lambda store: store.find(query))
        if not isinstance(done, (StoreError, Death)):
            assert [(record.session, record.number) for record in done] == query.select(
                map(Entry.from_run, self.readable().values())
            )
            assert all(self.readable()[record.session, record.number] == record for record in done)

    @rule(second=st.booleans(), fate=fates)
    def look(self, second, fate):
        self.did(second, fate, lambda store: (store.probe(9), spooled(store), store.list_responses()))

    # What happens to a home

    @rule(damage=st.sampled_from([None, *DAMAGE]))
    def damage_the_index(self, damage):
        index = self.home / "index.sqlite"
        if damage is None or not index.exists():
            index.unlink(missing_ok=True)
        else:
            index.write_bytes(DAMAGE[damage](index.read_bytes()))

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), how=st.sampled_from(["gone", "garbage", "newer"]))
    def damage_a_record(self, data, how):
        key = data.draw(st.sampled_from(sorted(self.runs)))
        old = self.runs.pop(key)  # its images stay
        if how == "gone":
            self.path(key).unlink()
        elif how == "garbage":
            self.path(key).write_bytes(b"{")
            self.odd[key] = b""
        else:
            self.odd[key] = json.dumps(to_json(old) | {"schema": SCHEMA + 1}).encode()
            self.path(key).write_bytes(self.odd[key])

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def flip_a_byte(self, data):
        name = data.draw(st.sampled_from(sorted(self.kept)))
        path = self.stores[0].path(name)
        path.write_bytes(NAMES[name][:-1] + b"\xff")
        self.flipped.add(name)

    # What always holds

    @invariant()
    def every_record_is_whole_and_says_what_it_should(self):
        there = {(path.parent.name, int(path.stem)) for path in self.home.glob("records/*/*")}
        assert there == self.runs.keys() | self.odd.keys()
        for key, record in self.runs.items():
            assert self.written(key) == record
        assert all(self.path(key).read_bytes() == (data or b"{") for key, data in self.odd.items())

    @invariant()
    def every_image_has_its_hash(self):
        files = list(self.home.glob("images/*/*"))
        assert len({path.stem for path in files}) == len(files)
        for path in files:
            assert (sha256(path.read_bytes()) == path.stem) is (path.stem not in self.flipped), path
        assert self.kept <= {path.stem for path in files}

    @invariant()
    def nothing_is_left_half(self):
        assert self.litter or not list(self.home.glob("spool/*"))

    def teardown(self):
        try:
            if (self.home / "records").is_dir():
                self.ask(second=True, fate=None, query=Query())
        finally:
            shutil.rmtree(self.home)


def _tried(work, store):
    try:
        return work(store)
    except (StoreError, Death) as fault:
        return fault


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(stateful_step_count=15)
