"""What ipyimagegen costs beside doing the same by hand, and whether that is within its limits.

    python benchmarks/spine.py [--quick] [load speed where sending memory notebook history]

Prints one table for each name, all unless told; ends with 1 when a limit is missed.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import figures
from figures import Row
from server import serving

HISTORY_LIMITS = {"look-up by hash": 2, "last 20": 10, "search": 50, "append": 10}  # ms


def load(_, quick):
    from loading import load

    return "What loading adds", load(5 if quick else 31)


def speed(server, quick):
    from speed import speed

    return "One image of 1.5 MB from a server that answers at once", speed(server, 10 if quick else 60)


def where(server, quick):
    from speed import where

    return "Where the time of that image goes", where(server, 10 if quick else 60)


def sending(server, quick):
    from sending import sending

    return "An edit of an image of 4 MB", sending(server, 10 if quick else 60)


def memory(server, _):
    from memory import memory

    return "Memory that a result adds at its peak", memory(server)


def notebook(server, _):
    from notebooks import notebooks

    return "The saved notebook", notebooks(server)


def history(_, quick):
    from history import measured
    from loading import touched

    runs = 5_000 if quick else 100_000
    with tempfile.TemporaryDirectory(prefix="history-") as home:
        seconds = measured(Path(home), runs)
        opened = touched(home)
    rows = [Row(name, value, limit=_limit(name)) for name, value in seconds.items()]
    return f"A history of {runs:,} runs", [*rows, Row("files of it opened at load", opened, "", limit=0)]


def _limit(name):
    return HISTORY_LIMITS.get(name.partition(",")[0].replace(" in one model", ""))


TABLES = {table.__name__: table for table in (load, speed, where, sending, memory, notebook, history)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats, a history of 5,000 runs")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)}; all unless told")
    given = parser.parse_args()
    unknown = set(given.tables) - set(TABLES)
    if unknown:
        parser.error(f"there is no table {', '.join(sorted(unknown))}")
    with serving() as server:
        for name in given.tables or TABLES:
            figures.show(*TABLES[name](server, given.quick))
    if figures.MISSED:
        print("\nMissed:", *figures.MISSED, sep="\n  ")
    sys.exit(bool(figures.MISSED))


if __name__ == "__main__":
    main()
