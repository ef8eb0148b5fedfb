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
    from collections.abc import Iterable, Mapping
    from typing import SupportsFloat, SupportsIndex

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
    from ipyimagegen.results import Generation, Image, Pending, Sweep
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
    "Pending": "results",
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
    "Pending",
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
    prompt: str | Iterable[str],
    *,
    model: str | Iterable[str] | None = None,
    size: str | tuple[int, int] | Iterable[str | tuple[int, int]] | None = None,
    aspect_ratio: str | tuple[float, float] | Iterable[str | tuple[float, float]] | None = None,
    n: SupportsIndex | Iterable[SupportsIndex] | None = None,
    seed: SupportsIndex | Iterable[SupportsIndex] | None = None,
    quality: str | Iterable[str] | None = None,
    complexity: str | Iterable[str] | None = None,
    style: str | Iterable[str] | None = None,
    background: str | Iterable[str] | None = None,
    output_format: str | Iterable[str] | None = None,
    output_compression: SupportsIndex | Iterable[SupportsIndex] | None = None,
    frame_count: SupportsIndex | Iterable[SupportsIndex] | None = None,
    frame_duration_ms: SupportsIndex | Iterable[SupportsIndex] | None = None,
    moderation: str | Iterable[str] | None = None,
    response_format: str | Iterable[str] | None = None,
    input_fidelity: str | Iterable[str] | None = None,
    negative_prompt: str | None = None,
    guidance_scale: SupportsFloat | Iterable[SupportsFloat] | None = None,
    steps: SupportsIndex | Iterable[SupportsIndex] | None = None,
    watermark: bool | None = None,
    stream: bool | None = None,
    partial_images: SupportsIndex | Iterable[SupportsIndex] | None = None,
    user: str | None = None,
    safety_identifier: str | None = None,
    extra: Mapping[str, Any] | None = None,
    image: Any = ...,
    mask: Any = ...,
    endpoint: str | Iterable[str] | None = None,
    new: bool | None = None,
    retry: bool | None = None,
    offline: bool | None = None,
    timeout: SupportsFloat | None = None,
    wait: bool | None = None,
    executor: Any = None,
    send_key: bool | None = None,
    dry_run: bool | None = None,
    progress: bool | None = None,
    **unknown: Any,
) -> Generation | Sweep | Pending | Plan:
    """Return the images for a prompt, from history if the same request has a stored result.

        fox = imagine("a red fox", model="gpt-image-2", size=(1024, 1536), n=2, seed=7)
        hat = imagine("give it a red cap", image=fox[0])
        foxes = imagine("a fox", seed=range(4), quality=["low", "high"])
        plan = imagine("a fox", seed=range(64), dry_run=True)

    The prompt is literal: braces are not filled in. Options have the API's own names and are sent only when
    given; None means not given, "default" unsets what is configured. NumPy scalars are numbers. A wrong
    value, or an unknown keyword, is refused before anything is sent, naming the right one.

    A list of prompts, or of values of an option, makes a sweep: every combination is a call, all are checked
    before the first, and the result is a `Sweep`. A list is a list, tuple, range, array or column of a table.
    What occurs twice is requested once; the table of the sweep has every row, with the column's index.

    Sent:
        model: name of the model; None is the server's own.
        size: "1024x1536" or (1024, 1536); "auto", "square", "landscape", "portrait"; "2K" where
            a model has it.
        aspect_ratio: "16:9" or (16, 9), translated to a size where a server takes only sizes.
        n: images in one call.
        seed: the same seed gives the same image, where the server honours it.
        quality, complexity, style, background, moderation: words of the model.
        output_format, output_compression: "png", "jpeg", "webp", "gif", "svg"; 0 to 100.
        frame_count, frame_duration_ms: of a gif.
        response_format: "b64_json" or "url"; both are stored alike.
        input_fidelity: how closely an edit keeps to its input.
        negative_prompt: what should not be in the image.
        guidance_scale, steps: of the sampler.
        watermark: whether the server marks the image visibly.
        stream, partial_images: ask for partial images; they are shown with the progress.
        user, safety_identifier: an end user's id.
        extra: any other field of the request, unchecked.

    Inputs, which make the call an edit:
        image: the image to edit, or a list of up to 16: a result or an image of it, a PIL image, a NumPy
            array, a tensor, a matplotlib figure or axes, bytes, a path, a URL, an id such as "@3".
        mask: the part of the first image to edit: an image (white or transparent is edited), a boolean array,
            or a box (x, y, width, height) in pixels.

    Never sent:
        endpoint: name of a server, or a base URL.
        new: send a new request even if a result is stored.
        retry: send again what has an unknown outcome; you may pay twice.
        offline: use only the store, sketch and this machine.
        timeout: seconds to wait; then the call goes on in the background.
        wait: False returns a `Pending` at once; `pending.result()` and `await pending` wait.
        executor: a concurrent.futures.Executor that runs the calls with the keys of its workers, unless
            `send_key` sends yours; every image is stored here.
        dry_run: return the `Plan` and send nothing.
        progress: show the progress while the call runs, and leave nothing of it behind. None shows it in a
            notebook or an IPython terminal.

    Raises InvalidOption, InvalidInput, MissingKey, OverBudget or StoreError before anything is sent, a
    CallError when no image came, Detached when the wait ended before the call.
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
