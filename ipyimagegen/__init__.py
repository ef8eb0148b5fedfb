"""Images as ordinary notebook work: `%%imagine`, for any server that speaks the OpenAI Images API.

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

    from IPython.core.interactiveshell import InteractiveShell

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
    from ipyimagegen.core.plan import Settings
    from ipyimagegen.notebook.panel.widget import Panel
    from ipyimagegen.results import Generation, Image, Sweep
    from ipyimagegen.session.history import History
    from ipyimagegen.session.studio import Studio

    history: History

__version__ = "0.1.0"

# Names are looked up when first used: importing the package loads nothing else. The rest are errors.
_LATER = {
    "Generation": "results",
    "Image": "results",
    "Sweep": "results",
    "Settings": "core.plan",
    "Studio": "session.studio",
    "Panel": "notebook.panel.widget",
}

__all__ = [  # noqa: RUF022 - the two verbs first
    "imagine",
    "history",
    "CallError",
    "Detached",
    "Generation",
    "Image",
    "ImagineError",
    "InvalidInput",
    "InvalidOption",
    "MissingKey",
    "NotSent",
    "NotInHistory",
    "OutcomeUnknown",
    "OverBudget",
    "Panel",
    "RequestRefused",
    "RateLimited",
    "Settings",
    "StoreError",
    "Studio",
    "Sweep",
    "default_studio",
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
    style: str | Sequence[str] | None = None,
    background: str | Sequence[str] | None = None,
    output_format: str | Sequence[str] | None = None,
    output_compression: int | Sequence[int] | None = None,
    moderation: str | Sequence[str] | None = None,
    response_format: str | Sequence[str] | None = None,
    input_fidelity: str | Sequence[str] | None = None,
    negative_prompt: str | None = None,
    guidance_scale: float | Sequence[float] | None = None,
    watermark: bool | None = None,
    stream: bool | None = None,
    partial_images: int | Sequence[int] | None = None,
    user: str | None = None,
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
) -> Generation | Sweep:
    """Return the images for a prompt: from history when the same was asked before, else asked for.

    The prompt is literal: braces are not filled in. Options are those of the magic, under the API's
    own names, and only what is given is sent; `extra` holds any other field of the request, unchecked.
    `new` asks again though a result is stored; `retry` asks again what has an unknown outcome;
    `offline` allows only the store, sketch and this machine; `timeout` is the seconds to wait, after
    which the call goes on in the background.

    A list of prompts, or of an option's values, is a sweep: every combination is one call, all are checked
    before the first, and the result is a `Sweep`.

    `image` is the image to edit, or a list of up to 16: a result or one of its images, a PIL image, a
    NumPy array, a tensor, a matplotlib figure or axes, bytes, a path, an address, an id such as "@3".
    `mask` says where the first may change: an image (white or transparent may), a boolean array, or a
    box (x, y, width, height) in pixels.

    `executor` is any concurrent.futures.Executor: the calls run there, with the keys of that place unless
    `send_key` lets them travel; every image is stored here.

    Raises InvalidOption, InvalidInput, MissingKey, OverBudget or StoreError before anything is sent,
    a CallError when no image came, Detached when the wait ended before the call.
    """
    options = {name: value for name, value in locals().items() if name != "prompt"}
    return default_studio().imagine(prompt, **options)


_LOCK = threading.Lock()
_DEFAULT: list[Studio] = globals().get("_DEFAULT", [])  # %reload_ext runs this file again


def default_studio() -> Studio:
    """Return the studio behind `imagine`, `history` and the magics: one, so that numbers and caps are one."""
    with _LOCK:
        if not _DEFAULT:
            from ipyimagegen.session.studio import Studio  # noqa: PLC0415 - the whole house

            _DEFAULT.append(Studio())
            if sys.modules.get("IPython"):
                from ipyimagegen.notebook import attach  # noqa: PLC0415 - only where IPython runs

                attach(_DEFAULT[0])
        return _DEFAULT[0]


def __getattr__(name: str) -> Any:
    if name == "history":
        return default_studio().history
    if name in __all__:
        return getattr(import_module(f"{__name__}.{_LATER.get(name, 'core.errors')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add the magics to a shell: `%load_ext ipyimagegen`."""
    from ipyimagegen.notebook import load  # noqa: PLC0415 - IPython is not needed elsewhere

    load(shell, default_studio())


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away: `%unload_ext ipyimagegen`."""
    from ipyimagegen.notebook import unload  # noqa: PLC0415 - IPython is not needed elsewhere

    unload(shell)
