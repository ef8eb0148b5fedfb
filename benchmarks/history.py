"""How fast the history is with 100,000 runs: one table of medians, in milliseconds.

    python benchmarks/history.py [RUNS]

Everything happens in a temporary folder. "unsynced" leaves out waiting for the disk in the record
file; the index is always synced.
"""

import hashlib
import json
import random
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from ipyimagegen.core.request import Request
from ipyimagegen.core.run import Cost, Run, Status, to_json
from ipyimagegen.store import Disk, Query, Store

WORDS = (
    "a",
    "red",
    "fox",
    "in",
    "the",
    "snow",
    "castle",
    "on",
    "hill",
    "by",
    "night",
    "of",
    "glass",
    "lantern",
)
PER_SESSION = 100
TIMES = 25  # that each operation is measured


def run(session, number, clock, draw):
    prompt = " ".join(draw.choices(WORDS, k=draw.randint(6, 30))) + f" {clock}"
    request = Request(
        endpoint="openai",
        base_url="https://api.openai.com/v1",
        model=draw.choice(["gpt-image-2", "dall-e-3"]),
        prompt=prompt + (" 狐狸" if clock % 5000 == 7 else ""),
        options={"size": "1024x1024"},
    )
    return Run(
        session=session,
        number=number,
        identity=request.identity,
        request=request,
        created=1.7e9 + clock,
        status=Status.DONE,
        cost=Cost(amount=0.04, currency="USD", basis="table"),
    )


def fill(home, runs):
    draw = random.Random(1)
    for start in range(0, runs, PER_SESSION):
        name = hashlib.sha256(str(start).encode()).hexdigest()[:4]
        session = f"{start // PER_SESSION % 9000 + 1000:04d}-{name}"
        folder = home / "records" / session
        folder.mkdir(parents=True)
        for number in range(1, PER_SESSION + 1):
            record = run(session, number, start + number, draw)
            (folder / f"{number}.json").write_text(json.dumps(to_json(record), indent=1))
    return record


def median(work, times=TIMES):
    taken = []
    for turn in range(times):
        start = time.perf_counter()
        work(turn)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


def measured(home, runs):
    """Fill a home with runs and return the milliseconds of each operation by its name."""
    last = fill(home, runs)
    store = Store(home)
    quick = Store(home, disk=Disk(home, fsync=lambda _: None))
    session, draw = store.new_session(date(2025, 11, 20)), random.Random(2)
    rows = {"rebuild": median(lambda _: store.runs(limit=1), 1)}
    rows["look-up by hash"] = median(lambda _: store.find_identical(last.identity))
    rows["last 20"] = median(lambda _: store.runs(limit=20))
    rows["search, a rare word, 20"] = median(lambda _: store.runs(search="狐狸", limit=20))
    rows["search, a common word, 20"] = median(lambda _: store.runs(search="fox", limit=20))
    rows["search, nothing found"] = median(lambda _: store.runs(search="zebra", limit=20))
    rows["search in one model, 20"] = median(lambda _: store.runs(search="狐狸", model="dall-e-3", limit=20))
    filters = {"originals": True, "limit": 20}
    rows["one endpoint, 20"] = median(lambda _: store.runs(endpoint="openai", **filters))
    rows["an endpoint without runs"] = median(lambda _: store.runs(endpoint="lab", **filters))
    rows["since a date, 20"] = median(lambda _: store.runs(since=last.created - 1000, **filters))
    rows["count, all"] = median(lambda _: store.count(Query(originals=True)))
    rows["count, a common word"] = median(lambda _: store.count(Query(search="fox", originals=True)))
    rows["spending by month"] = median(lambda _: store.list_charges(Query()))
    rows["runs of one number, 5"] = median(lambda _: store.runs(number=3, limit=5))
    fresh = [run(session, 1 + turn, runs + turn, draw) for turn in range(TIMES)]
    rows["append"] = median(lambda turn: store.create(fresh[turn]))
    rows["append, unsynced"] = median(lambda turn: quick.create(run(session, 101 + turn, runs + turn, draw)))
    rows["update"] = median(lambda turn: store.update(fresh[turn].replace(elapsed=1.5)))
    return rows


def main(runs=100_000):
    with tempfile.TemporaryDirectory(prefix="history-") as folder:
        home = Path(folder)
        rows = measured(home, runs)
        print(f"{runs:,} runs, {(home / 'index.sqlite').stat().st_size >> 20} MiB index; medians in ms")
        for name, value in rows.items():
            print(f"{name:28}{value:10.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
