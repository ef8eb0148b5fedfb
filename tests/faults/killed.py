"""Ask for two images and stop at a marked point of the way, to be killed there.

    python killed.py HOME BASE_URL PLACE NTH before|after

PLACE is `module:Class.name` or `module:name`; an empty one stops nowhere. Says "here" when it has come
there, and "done" when it came through.
"""

import importlib
import sys
import threading

from ipyimagegen import Settings, Studio


def stop_at(place, nth, when):
    """Stop for ever right before, or right after, the nth call of a function."""
    module, _, name = place.partition(":")
    owner = importlib.import_module(module)
    *classes, name = name.split(".")
    for cls in classes:
        owner = getattr(owner, cls)
    call, calls = getattr(owner, name), []

    def stopped(*arguments, **named):
        calls.append(1)
        result = call(*arguments, **named) if when == "after" or len(calls) != nth else None
        if len(calls) == nth:
            print("here", flush=True)
            threading.Event().wait()
        return result

    setattr(owner, name, stopped)


if __name__ == "__main__":
    home, base_url, place, nth, when = sys.argv[1:]
    if place:
        stop_at(place, int(nth), when)
    lab = {"base_url": base_url, "key_env": "LAB_KEY", "free": False}
    Studio(home=home, settings=Settings(endpoints={"lab": lab}, options={"endpoint": "lab"})).imagine(
        "a red fox", n=2
    )
    print("done", flush=True)
