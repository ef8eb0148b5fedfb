"""AI image generation in Jupyter: `%%imagine`, for any server that speaks the OpenAI Images API.

    from ipyimagegen import imagine, history
    fox = imagine("a red fox", size="1024x1536", seed=7)
    fox[0].pil, fox.save("fox-{seed}"), fox.rerun(seed=8), history[-1], history.search("fox")

In a notebook, `%load_ext ipyimagegen` adds the magics; `%imagine --help` lists the options.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipyimagegen.core.errors import (
        CallError,
        Detached,
        ImagineError,
        InvalidInput,
        InvalidOption,
        MissingKey,
        NotInHistory,
        NotSent,
        OutcomeUnknown,
        OverBudget,
        RateLimited,
        RequestRefused,
        StoreError,
    )
    from ipyimagegen.core.plan import Plan
    from ipyimagegen.core.settings import Settings
    from ipyimagegen.notebook.panel.widget import Panel
    from ipyimagegen.results import Generation, Image, Sweep
    from ipyimagegen.session.history import History
    from ipyimagegen.session.studio import Studio

    history: History

__version__ = "0.1.0"

# Names are imported when they are first used: importing the package imports nothing else.
_MODULES = {
    "Generation": "results",
    "Image": "results",
    "Sweep": "results",
    "Plan": "core.plan",
    "Settings": "core.settings",
    "Studio": "session.studio",
    "Panel": "notebook.panel.widget",
    "load_ipython_extension": "notebook.extension",
    "unload_ipython_extension": "notebook.extension",
    "attach": "notebook.display",
    "connect": "notebook.display",
}

__all__ = [
    "CallError",
    "Detached",
    "Generation",
    "Image",
    "ImagineError",
    "InvalidInput",
    "InvalidOption",
    "MissingKey",
    "NotInHistory",
    "NotSent",
    "OutcomeUnknown",
    "OverBudget",
    "Panel",
    "Plan",
    "RateLimited",
    "RequestRefused",
    "Settings",
    "StoreError",
    "Studio",
    "Sweep",
    "default_studio",
    "history",
    "imagine",
]


def imagine(
    prompt: str | Sequence[str],
    *,
    model: str | Sequence[str] | None = None,
    size: str | Sequence[str] | None = None,
    aspect_ratio: str | Sequence[str] | None = None,
    n: int | Sequence[int] | None = None,
    seed: int | Sequence[int] | None = None,
    quality: str | Sequence[str] | None = None,
    complexity: str | Sequence[str] | None = None,
    style: str | Sequence[str] | None = None,
    background: str | Sequence[str] | None = None,
    output_format: str | Sequence[str] | None = None,
    output_compression: int | Sequence[int] | None = None,
    frame_count: int | Sequence[int] | None = None,
    frame_duration_ms: int | Sequence[int] | None = None,
    moderation: str | Sequence[str] | None = None,
    response_format: str | Sequence[str] | None = None,
    input_fidelity: str | Sequence[str] | None = None,
    negative_prompt: str | None = None,
    guidance_scale: float | Sequence[float] | None = None,
    steps: int | Sequence[int] | None = None,
    watermark: bool | None = None,
    stream: bool | None = None,
    partial_images: int | Sequence[int] | None = None,
    user: str | None = None,
    safety_identifier: str | None = None,
    extra: Mapping[str, Any] | None = None,
    image: Any = None,
    mask: Any = None,
    endpoint: str | Sequence[str] | None = None,
    new: bool | None = None,
    retry: bool | None = None,
    offline: bool | None = None,
    timeout: float | None = None,
    executor: Any = None,
    send_key: bool | None = None,
    dry_run: bool | None = None,
    progress: bool | None = None,
    **unknown: Any,
) -> Generation | Sweep | Plan:
    """Return the images for a prompt, from history if the same request has a stored result.

    The prompt is literal: braces are not filled in. Options have the API's own names and are sent only
    when given; `extra` holds any other field of the request, unchecked. `new` sends a new request even if
    a result is stored; `retry` sends again what has an unknown outcome; `offline` allows only the store,
    sketch and this machine; `timeout` is the wait in seconds, after which the call goes on in the background.

    A list of prompts, or of values of an option, makes a sweep: every combination is a call, all are
    checked before the first, and the result is a `Sweep`.

    `image` is the image to edit, or a list of up to 16: a result or an image of it, a PIL image, a
    NumPy array, a tensor, a matplotlib figure or axes, bytes, a path, a URL, an id such as "@3". `mask`
    marks the part of the first image to edit: an image (white or transparent is edited), a boolean array,
    or a box (x, y, width, height) in pixels.

    `executor` is any concurrent.futures.Executor: it runs the calls with the keys of its workers, unless
    `send_key` sends them; every image is stored here.

    An unknown keyword is refused, naming the right one.

    Raises InvalidOption, InvalidInput, MissingKey, OverBudget or StoreError before anything is sent,
    a CallError when no image came, Detached when the wait ended before the call.
    """
    options = {name: value for name, value in locals().items() if name not in ("prompt", "unknown")}
    return default_studio().imagine(prompt, **options, **unknown)


_LOCK = threading.Lock()
_DEFAULT: list[Studio] = globals().get("_DEFAULT", [])  # %reload_ext runs this file again


def default_studio() -> Studio:
    """Return the studio behind `imagine`, `history` and the magics, which share its numbers and limits."""
    with _LOCK:
        if not _DEFAULT:
            studio = __getattr__("Studio")()
            if shell := _find_shell():
                __getattr__("attach")(studio, shell)
            _DEFAULT.append(studio)
        return _DEFAULT[0]


def _find_shell() -> Any:
    """Return the running shell of IPython, or None."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _connect(studio: Studio) -> None:
    """Let a studio show its results and its progress in the running shell, if any."""
    if shell := _find_shell():
        __getattr__("connect")(studio, shell)


def __getattr__(name: str) -> Any:
    if name == "history":
        return default_studio().history
    if name in _MODULES or name in __all__:
        member = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'core.errors')}"), name)
        if name == "Studio":
            member.front_end = _connect
        return member
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
