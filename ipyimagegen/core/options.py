"""THE table of options: each option is declared here, once.

Everything else is derived from this table: validation (`normalise`), the magics' arguments, `%config
Imagine`, the wire's field names, completion, the panel's controls, the README's table. What a particular
model or server allows is a row of the catalog.

Unset is None; the word `default` unsets what is configured. A list of values is a sweep: a run for each.
"""

from __future__ import annotations

import keyword
import operator
import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from enum import Enum, StrEnum
from functools import partial
from typing import Any, TypeAlias

from ipyimagegen.core.errors import InvalidOption, find_nearest, suggest_name
from ipyimagegen.core.formats import OUTPUTS
from ipyimagegen.core.messages import Message, OptionName, Setting, _
from ipyimagegen.core.text import truncate
from ipyimagegen.core.variables import get_shape

Json: TypeAlias = Any
Value: TypeAlias = str | int | float | bool
Values: TypeAlias = Value | tuple[Value, ...]  # a tuple is a sweep: a run for each

DEFAULT = "default"
SIZE_WORDS = ("auto", "square", "landscape", "portrait")


class Kind(StrEnum):
    """What a value looks like; decides how it is read and refused."""

    TEXT = "text"
    NAME = "name"  # text that may stand in a list, such as a model
    INTEGER = "integer"
    NUMBER = "number"
    CHOICE = "choice"  # one of `choices`
    WORD = "word"  # like a choice, but servers have words of their own: `choices` are suggestions
    SIZE = "size"
    RATIO = "ratio"
    FLAG = "flag"
    INPUT = "input"  # an image: an id, URL, variable or path
    OBJECT = "object"  # a variable, taken as it is


# How the help writes a value of that kind, where the option has no word of its own for it.
_METAVARS = {
    Kind.TEXT: "TEXT",
    Kind.NAME: "NAME",
    Kind.INTEGER: "N",
    Kind.NUMBER: "X",
    Kind.SIZE: "WxH",
    Kind.RATIO: "W:H",
    Kind.INPUT: "X",
    Kind.OBJECT: "NAME",
}


@dataclass(frozen=True)
class Option:
    """The declaration of an option.

    `low` and `high` bound numbers (inclusive). `short` is a single-letter flag. `synonyms` are the
    names that other tools give it, separated by blanks; an error answers them with ours. `identity` is
    whether two requests that differ in this option alone are different requests. `change_cost` ranks how
    expensive a change between two calls is for a server, such as loading another model: the outer axis of
    a sweep is the most expensive. `config`, `python` and `panel` are whether `%config Imagine`, `imagine()`
    and the panel's list of options have it.
    """

    name: str
    kind: Kind
    help: str
    _: KW_ONLY
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    short: str = ""
    synonyms: str = ""
    metavar: str = ""
    repeats: bool = False
    sent: bool = True
    identity: bool = True
    change_cost: int = 1
    config: bool = True
    python: bool = True
    panel: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "metavar", self.metavar or _METAVARS.get(self.kind, ""))

    @property
    def flag(self) -> str:
        """The long flag, as `--aspect-ratio`."""
        return "--" + self.name.rstrip("_").replace("_", "-")

    @property
    def lists(self) -> bool:
        """Whether a value may be a list, a run for each element."""
        alone = (Kind.TEXT, Kind.INPUT, Kind.FLAG, Kind.OBJECT)
        return self.kind not in alone and (self.sent or self.kind is Kind.NAME)


_local = partial(Option, sent=False, config=False)
_RATIOS = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "21:9")
_QUALITIES = ("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd")

_TABLE = (
    # Sent, under the API's own names, and only when set.
    Option(
        "model",
        Kind.NAME,
        _("model that makes the image"),
        short="-m",
        synonyms="engine checkpoint ckpt model_id model_name deployment deployment_id",
        change_cost=4,
        panel=False,
    ),
    Option(
        "size",
        Kind.SIZE,
        _("WIDTHxHEIGHT in pixels, or auto, square, landscape, portrait"),
        choices=SIZE_WORDS,
        synonyms=(
            "width height w h resolution res image_size img_size size_px dim dims dimension dimensions "
            "tier landscape portrait square pixels hires"
        ),
        change_cost=3,
    ),
    Option(
        "aspect_ratio",
        Kind.RATIO,
        _("width to height; becomes the nearest size where a server takes only sizes"),
        choices=_RATIOS,
        synonyms="ar ratio ratios aspect image_ratio orientation",
        change_cost=3,
    ),
    Option(
        "n",
        Kind.INTEGER,
        _("images in one call"),
        low=1,
        high=128,
        short="-n",
        synonyms=(
            "count number num num_images number_of_images num_outputs batch batch_size batch_count "
            "samples num_samples n_samples n_iter quantity n_images image_count num_images_per_prompt "
            "amount copies how_many times variations num_variations"
        ),
    ),
    Option(
        "seed",
        Kind.INTEGER,
        _("same seed, same image, where the server honours it; -1 is random"),
        low=-1,
        high=2**63 - 1,
        synonyms="random_seed noise_seed seed_value random_state new_seed rng",
        change_cost=0,
    ),
    Option(
        "quality",
        Kind.WORD,
        _("effort, and price"),
        choices=_QUALITIES,
        synonyms="q hd detail quality_level image_quality",
    ),
    Option(
        "complexity",
        Kind.CHOICE,
        _("how much the model plans before it draws"),
        choices=("low", "medium", "high"),
    ),
    Option(
        "style",
        Kind.WORD,
        _("look of the image (dall-e-3, sketch)"),
        choices=("vivid", "natural"),
        synonyms="style_preset image_style",
    ),
    Option(
        "background",
        Kind.CHOICE,
        _("behind the subject"),
        choices=("auto", "transparent", "opaque"),
        synonyms="bg transparent transparency",
    ),
    Option(
        "output_format",
        Kind.CHOICE,
        _("file format of the images"),
        choices=OUTPUTS,
        synonyms=(
            "format file_format image_format filetype file_type ext extension mime mime_type "
            "output_type output_mime_type content_type type"
        ),
    ),
    Option(
        "output_compression",
        Kind.INTEGER,
        _("0 to 100, for jpeg and webp"),
        low=0,
        high=100,
        synonyms="compression jpeg_quality output_quality compression_level",
    ),
    Option(
        "frame_count",
        Kind.INTEGER,
        _("frames of a gif"),
        low=2,
        high=16,
        synonyms="frames num_frames n_frames",
    ),
    Option(
        "frame_duration_ms",
        Kind.INTEGER,
        _("milliseconds that each frame of a gif is shown"),
        low=20,
        high=655_350,  # a gif counts hundredths of a second in 16 bits
        synonyms="frame_duration duration frame_ms",
    ),
    Option(
        "moderation",
        Kind.CHOICE,
        _("how strictly the server filters"),
        choices=("auto", "low"),
        synonyms="safety safety_checker safety_filter safety_tolerance filter moderation_level",
    ),
    Option(
        "response_format",
        Kind.CHOICE,
        _("how the server returns images; both are stored alike"),
        choices=("b64_json", "url"),
        identity=False,
        synonyms="response_type return_type b64 b64_json url_format",
    ),
    Option(
        "input_fidelity",
        Kind.CHOICE,
        _("how closely an edit keeps to its input"),
        choices=("low", "high"),
        synonyms="fidelity image_fidelity",
    ),
    Option(
        "negative_prompt",
        Kind.TEXT,
        _("what should not be in the image"),
        synonyms="negative neg no neg_prompt negative_text exclude without avoid",
    ),
    Option(
        "guidance_scale",
        Kind.NUMBER,
        _("how closely to follow the prompt"),
        low=0,
        high=100,
        synonyms="cfg cfg_scale guidance scale true_cfg_scale txt_cfg prompt_strength",
    ),
    Option(
        "steps",
        Kind.INTEGER,
        _("steps of the sampler; more are slower"),
        low=1,
        high=1000,
        synonyms=(
            "num_inference_steps inference_steps sample_steps num_steps step iterations sampling_steps "
            "diffusion_steps"
        ),
    ),
    Option(
        "watermark",
        Kind.FLAG,
        _("the server's visible watermark"),
        synonyms="add_watermark logo logo_info",
    ),
    Option(
        "stream",
        Kind.FLAG,
        _("show partial images while waiting"),
        identity=False,
        synonyms="streaming live stream_partial",
    ),
    Option(
        "partial_images",
        Kind.INTEGER,
        _("how many partial images; turns on streaming"),
        low=0,
        high=3,
        identity=False,
        synonyms="partials partial previews",
    ),
    Option(
        "user",
        Kind.TEXT,
        _("an end user's id, for the server's own statistics"),
        metavar="ID",
        identity=False,
        synonyms="user_id",
    ),
    Option(
        "safety_identifier",
        Kind.TEXT,
        _("an end user's id, for the server's checks against abuse"),
        metavar="ID",
        identity=False,
    ),
    # Images that go with the prompt; they turn the call into an edit. Only their words are read here.
    Option(
        "image",
        Kind.INPUT,
        _("image to edit: @ID, variable, path or URL; repeatable"),
        repeats=True,
        synonyms=(
            "input input_image init_image init_img img reference ref reference_image image_url source "
            "image_path image_file input_images inputs reference_images references images files picture "
            "src photo attach edit img2img"
        ),
        config=False,
        panel=False,
    ),
    Option(
        "mask",
        Kind.INPUT,
        _("where to edit: an image, or x,y,w,h"),
        synonyms="mask_image mask_img mask_path mask_url inpaint region",
        config=False,
        panel=False,
    ),
    # Never sent.
    _local(
        "endpoint",
        Kind.NAME,
        _("name or base URL of the server to use"),
        metavar="NAME|URL",
        synonyms="base_url api_base server provider url host api_url endpoint_url api backend service",
        change_cost=5,
        config=True,
        panel=False,
    ),
    _local(
        "as_",
        Kind.TEXT,
        _("variable to bind the result to"),
        metavar="NAME",
        synonyms="variable var name out_var as as_name assign bind store result",
        python=False,
    ),
    _local(
        "save",
        Kind.TEXT,
        _("file to save to, such as out/{{model}}-{{index}}"),
        metavar="PATH",
        synonyms=(
            "output out o file filename file_name outfile output_file path outdir output_dir "
            "output_path save_path save_to save_as save_dir dest destination folder directory target "
            "out_dir download"
        ),
        python=False,
    ),
    _local(
        "new",
        Kind.FLAG,
        _("send (and pay for) a new request even if the result is stored"),
        synonyms=("force f no_cache nocache no_reuse fresh refresh regenerate overwrite again redo rerun"),
        panel=False,
    ),
    _local(
        "retry",
        Kind.FLAG,
        _("send a request of unknown outcome again; you may pay twice"),
        synonyms="retries max_retries resend",
        panel=False,
    ),
    _local(
        "offline",
        Kind.FLAG,
        _("only the store, sketch and this machine"),
        synonyms="local local_only offline_mode no_network",
    ),
    _local(
        "dry_run",
        Kind.FLAG,
        _("show the request and what it may cost; send nothing"),
        synonyms="dryrun dry preview cost price estimate simulate plan",
        panel=False,
    ),
    _local(
        "timeout",
        Kind.NUMBER,
        _("seconds to wait for the result"),
        low=0.1,
        high=86400,
        metavar="SECONDS",
        synonyms="max_time time_limit timeout_seconds request_timeout",
        config=True,
        panel=False,
    ),
    _local(
        "wait",
        Kind.FLAG,
        _("wait for the result; otherwise it appears when it arrives"),
        synonyms="no_wait nowait async asynchronous background_call block blocking sync",
        panel=False,
    ),
    _local(
        "executor",
        Kind.OBJECT,
        _("run the calls on this concurrent.futures.Executor, such as a cluster's"),
        synonyms="pool cluster executor_name",
        panel=False,
    ),
    _local("send_key", Kind.FLAG, _("let the key travel to where the executor runs the calls"), panel=False),
    _local(
        "raw",
        Kind.FLAG,
        _("send the prompt as typed, braces and all"),
        synonyms="literal verbatim raw_prompt",
        python=False,
        panel=False,
    ),
)

OPTIONS: Mapping[str, Option] = {option.name: option for option in _TABLE}
BY_SYNONYM = {synonym: option.name for option in _TABLE for synonym in option.synonyms.split()}
# Settings, under the names that other tools give them.
_SETTINGS_FOR: Mapping[str, Setting] = {
    "header headers extra_headers http_header organization org project": Setting(
        "endpoints", {"NAME": {"headers": {"X-Team": "…"}}}
    ),
    "max_parallel parallel workers jobs concurrency threads num_workers": Setting("max_parallel", 8),
    "max_calls": Setting("max_calls", 32),
    "max_images budget max_cost limit": Setting("max_images", 200),
    "reuse cache use_cache": Setting("reuse", value=True),
    "embed original full_size": Setting("embed", "original"),
}
_SETTING_FOR = {name: setting for names, setting in _SETTINGS_FOR.items() for name in names.split()}
PROMPT_NAMES = ("prompt", "prompts", "text", "texts", "description", "caption", "text_prompt", "query", "p")
_EXTRAS = ("set", "extra_body", "kwargs", "options", "parameters", "params", "more")
# Fields of other tools that no option stands for, although its name is spelled much like theirs.
_FOREIGN = ("mode", "task", "operation", "stylize")
_NEAR = 0.75  # how alike two spellings are; "output" and "outpaint" share only letters
INPUTS = {name: option for name, option in OPTIONS.items() if option.kind is Kind.INPUT}
SENT = {name: option for name, option in OPTIONS.items() if option.sent and name not in INPUTS}
LOCAL = {name: option for name, option in OPTIONS.items() if not option.sent}

# Full-width forms and curly quotes that Chinese keyboards and editors put where ASCII is meant.
_HALF_WIDTH = string.digits + string.ascii_letters + ":,.|=-*/@_+"
_FULL_WIDTH = "".join(chr(ord(char) + 0xFEE0) for char in _HALF_WIDTH)
_AS_MEANT = str.maketrans(f"{_FULL_WIDTH}×。−", f"{_HALF_WIDTH}x.-", "“”‘’")
_SIZE = re.compile(r"\s*(\d{1,6})\s*[xX*]\s*(\d{1,6})\s*")
TIER = re.compile(r"(\d{1,2}(?:\.\d)?)[kK]")
_RATIO = re.compile(r"\s*(\d{1,5}(?:\.\d+)?)\s*:\s*(\d{1,5}(?:\.\d+)?)\s*")
_KEY = re.compile(r"(?i)(?:[a-z]+_)*(?:api_?key|key|token|secret|password|auth|authorization|bearer)")
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_EXACT = 2**53  # up to here a float holds every whole number
_DOUBLE = 8  # bytes of Python's float
_SHOWN = 10**22  # numbers from here on are too long for a message


def to_half_width(text: str) -> str:
    """Return `text` with full-width letters, digits and signs as ASCII, and without curly quotes."""
    return text.translate(_AS_MEANT)


def parse_size(text: str) -> tuple[int, int] | None:
    """Return width and height of `WIDTHxHEIGHT` in pixels; None for anything else, such as a word or `2K`."""
    match = _SIZE.fullmatch(to_half_width(text))
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    return (width, height) if width and height else None


def find_option(name: str, others: Iterable[str] = ()) -> Option:
    """Return the option of that snake_case name. Raises InvalidOption, naming the option that is meant.

    `others` are names that only this front door has.
    """
    if name in OPTIONS:
        return OPTIONS[name]
    hint = suggest_option(name, others)
    raise InvalidOption(_("There is no option {name!r}.{hint}", name=truncate(name, 40), hint=hint))


def suggest_option(name: str, others: Iterable[str] = ()) -> str:
    """Return a hint at the option that a wrong name means: other tools call it so, or it is nearly its name.

    `name` is in snake_case; `others` are names that only this front door has.
    """
    if meant := "extra" if name in _EXTRAS else BY_SYNONYM.get(name):
        return _(" Use {option}.", option=OptionName(meant))
    if setting := _SETTING_FOR.get(name):
        return _(" It is a setting: {setting}", setting=setting)
    if name in PROMPT_NAMES:
        return _(" The prompt has no option name.")
    if _KEY.fullmatch(name):
        return _(" No option takes a key. Keys belong in the environment or in a .env file.")
    names = [*OPTIONS, *others]
    beginning = (known for known in names if len(name) > 1 and known.startswith(name))
    nearest = None if name in _FOREIGN else next(beginning, None) or find_nearest(name, names, _NEAR)
    if nearest is None:
        return _(" Any other field of a request is sent with {extra}.", extra=OptionName("extra"))
    return _(" Did you mean {name}?", name=nearest if nearest.startswith("-") else OptionName(nearest))


def to_plain(value: Any) -> Any:
    """Return Python's own value for a member of an enum, a NumPy scalar or text; others as they are."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return str.__str__(value)  # of a subclass, such as NumPy's
    if get_shape(value) != ():
        return value
    with suppress(Exception):  # an array or tensor without dimensions, of another library
        plain = value.item()
        with suppress(Exception):  # not every library writes it as a number
            if isinstance(plain, float) and value.dtype.itemsize < _DOUBLE:
                return float(str(value))  # the float32 0.1 is meant as 0.1
        return plain
    return value


_PAIRS = {Kind.SIZE: "x", Kind.RATIO: ":"}  # what stands between width and height in text


def is_pair(option: Option, elements: Sequence[object]) -> bool:
    """Return whether the elements of a list are width and height of a single size or ratio."""
    numbers = [to_plain(element) for element in elements[:3]]
    return (
        option.kind in _PAIRS
        and len(numbers) == 2
        and all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers)
    )


def _join_pair(option: Option, value: Any) -> Any:
    """Return width and height as text; other values as they are."""
    if not isinstance(value, (list, tuple)) or not is_pair(option, value):
        return value
    return _PAIRS[option.kind].join(str(to_plain(number)) for number in value)


def normalise(name: str, value: object) -> Value:
    """Return `value` as option `name` stores it: the only check of syntax, for every front door.

    `default` is returned as it is. Raises InvalidOption with the option, the value and the right ones.
    """
    option = find_option(name)
    kind = option.kind
    value = _join_pair(option, to_plain(value))
    if isinstance(value, str):
        text = value if kind in (Kind.TEXT, Kind.INPUT) else to_half_width(value).strip()
        return DEFAULT if text == DEFAULT else _PARSERS[kind](option, text)
    if isinstance(value, (list, tuple)):
        raise InvalidOption(_("{option} takes a single value here, not a list.", option=OptionName(name)))
    if isinstance(value, bool):
        if kind is Kind.FLAG:
            return value
    elif kind in (Kind.INTEGER, Kind.NUMBER):
        if (number := _to_number(kind, value)) is not None:
            return _check_bounds(option, number)
    elif kind in _PAIRS and not isinstance(value, (int, float, bytes)):
        written: str | None = None
        with suppress(Exception):  # a foreign object raises anything
            written = str(value)
        if written is not None:
            return _PARSERS[kind](option, written)
    type_name = type(value).__name__
    is_short = isinstance(value, (int, float)) and -_SHOWN < value < _SHOWN
    raise _refuse_value(option, f"{value!r} ({type_name})" if is_short else type_name)


def _to_number(kind: Kind, value: Any) -> int | float | None:
    """Return the number that a value of any library stands for; None for other values."""
    if isinstance(value, int):
        return value
    with suppress(Exception):  # a foreign object raises anything
        if kind is Kind.NUMBER and hasattr(value, "__float__"):  # first: every tensor has an __index__ too
            return float(value)
        if isinstance(value, float):  # a column with a gap holds its numbers so
            return int(value) if value.is_integer() and abs(value) <= _EXACT else None
        return operator.index(value)
    return None


def exemplify_list(option: Option) -> OptionName:
    """Return the option with a list of values, as each front door writes one."""
    is_number = option.kind in (Kind.INTEGER, Kind.NUMBER)
    return OptionName(option.name, [1, 2, 3] if is_number else [*option.choices[:2]] or ["a", "b"])


def _refuse_value(option: Option, given: str, hint: str = "") -> InvalidOption:
    example = option.choices[:1]
    expected = _("text such as {example!r}", example=example[0]) if example else _("text")
    return InvalidOption(
        _(
            "{option} takes {expected}, not {given}.{hint}",
            option=OptionName(option.name),
            expected=_EXPECTED.get(option.kind, expected),
            given=given,
            hint=hint,
        )
    )


_EXPECTED: Mapping[Kind, Message] = {
    Kind.INTEGER: _("a whole number"),
    Kind.NUMBER: _("a number"),
    Kind.FLAG: _("true, false or default"),
    Kind.SIZE: _("one text such as '1024x1024'"),
    Kind.OBJECT: _("a variable"),
}


def _parse_text(option: Option, text: str) -> str:
    if not text.strip():
        raise InvalidOption(_("{option} is empty.", option=OptionName(option.name)))
    if option.name == "as_" and (not text.isidentifier() or keyword.iskeyword(text)):
        raise InvalidOption(
            _("{option} takes a variable name, not {text!r}.", option=OptionName(option.name), text=text)
        )
    if option.kind is not Kind.INPUT and _BREAKS.search(text):
        raise InvalidOption(
            _(
                "{option} contains a line break or control character. "
                "Write it on one line; nothing was sent.",
                option=OptionName(option.name),
            )
        )
    if option.name == "as_":
        return unicodedata.normalize("NFKC", text)  # as Python reads the name
    return text.lower() if text.lower() in option.choices else text  # only a WORD has choices


def _parse_choice(option: Option, text: str) -> str:
    word = text.lower().replace("——", "_")  # what a Chinese keyboard puts for it
    if word in option.choices:
        return word
    raise InvalidOption(
        _(
            "Invalid {option}: choose one of {choices}.{hint}",
            option=OptionName(option.name, text),
            choices=", ".join(option.choices),
            hint=suggest_name(text, option.choices),
        )
    )


def _parse_number(option: Option, text: str) -> int | float:
    try:
        number = float(text) if option.kind is Kind.NUMBER else int(text)
    except ValueError:
        number = None
    if number is None:
        lists = _(
            " Write a list as {some} or {span}.",
            some=exemplify_list(option),
            span=OptionName(option.name, range(1, 5)),
        )
        raise _refuse_value(option, repr(text), lists if option.lists else "")
    return _check_bounds(option, number)


def _check_bounds(option: Option, number: float) -> int | float:
    low, high = option.low, option.high
    assert low is not None  # every number is declared with its bounds
    assert high is not None
    if low <= number <= high:  # not so for what is not a number
        return float(number) if option.kind is Kind.NUMBER else number
    texts = [f"{bound:,.0f}" if bound == int(bound) else f"{bound:g}" for bound in (low, high)]
    raise InvalidOption(
        _(
            "{option} is outside {low} to {high}.",
            option=OptionName(option.name, None if abs(number) >= _SHOWN else number),
            low=texts[0],
            high=texts[1],
        )
    )


def _parse_size(option: Option, text: str) -> str:
    if text.lower() in SIZE_WORDS:
        return text.lower()
    if TIER.fullmatch(text):
        return text.upper()  # Seedream's "2K"
    if pixels := parse_size(text):
        return f"{pixels[0]}x{pixels[1]}"
    for_ratio = _(" For a ratio, use {option}.", option=OptionName("aspect_ratio"))
    raise InvalidOption(
        _(
            "Invalid {option}: expected WIDTHxHEIGHT (such as 1024x1024), or one of {words}.{hint}",
            option=OptionName(option.name, text),
            words=", ".join(SIZE_WORDS),
            hint=for_ratio if _RATIO.fullmatch(text) else suggest_name(text, SIZE_WORDS),
        )
    )


def _parse_ratio(option: Option, text: str) -> str:
    match = _RATIO.fullmatch(text)
    if match and float(match[1]) and float(match[2]):
        return f"{_drop_zeros(match[1])}:{_drop_zeros(match[2])}"
    raise InvalidOption(
        _(
            "Invalid {option}: expected WIDTH:HEIGHT (such as 16:9).{hint}",
            option=OptionName(option.name, text),
            hint=_(" For pixels, use {option}.", option=OptionName("size")) if parse_size(text) else "",
        )
    )


def _drop_zeros(number: str) -> str:
    """Return a number without needless zeros: 9.50 is 9.5, 99999.99 stays."""
    whole, _point, part = number.partition(".")
    part = "".join(str(int(digit)) for digit in part).rstrip("0")
    return f"{int(whole)}.{part}" if part else f"{int(whole)}"


def _parse_flag(option: Option, text: str) -> bool:
    if text.lower() in (*_TRUE, *_FALSE):
        return text.lower() in _TRUE
    raise _refuse_value(option, repr(text))


def _refuse_text(option: Option, text: str) -> Value:
    raise _refuse_value(option, repr(text[:40]))


_PARSERS: Mapping[Kind, Callable[[Option, str], Value]] = {
    Kind.TEXT: _parse_text,
    Kind.NAME: _parse_text,
    Kind.INPUT: _parse_text,
    Kind.WORD: _parse_text,
    Kind.CHOICE: _parse_choice,
    Kind.INTEGER: _parse_number,
    Kind.NUMBER: _parse_number,
    Kind.SIZE: _parse_size,
    Kind.RATIO: _parse_ratio,
    Kind.FLAG: _parse_flag,
    Kind.OBJECT: _refuse_text,
}
