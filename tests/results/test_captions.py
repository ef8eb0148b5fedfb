"""The caption of a run."""

from samples import image, request, run

from ipyimagegen.core.request import PreparedRequest
from ipyimagegen.core.run import Cost, Mismatch
from ipyimagegen.results.captions import write_caption


def test_a_caption_keeps_what_changes_in_its_last_line():
    made = run(
        images=(image(1), image(2)),
        elapsed=2.04,
        cost=Cost(amount=0.053, currency="USD", basis="usage"),
        mismatches=(Mismatch("size", "1x1", "2x2"),),
        sent=PreparedRequest(model="m-1", notes=("16:9 became 1536x1024",)),
        request=request(options={"seed": 7}),
    )
    lines = write_caption(made, 5, from_history=False).splitlines()
    assert lines == [
        "5 · 1120-k7f2/3 · a fox",
        "lab · m-1 · 1024x1024 · 2 images · seed 7",
        "tiles: 5.1  5.2",
        "! size: asked 1x1, got 2x2",
        "- 16:9 became 1536x1024",
        "2.0 s · $0.053",
    ]
    assert write_caption(made, 5, from_history=True).splitlines() == [
        *lines[:-1],
        "2.0 s · $0.053 · from history",
    ]
