"""Every option that is sent, on every endpoint, is one that the server takes, by its own package or source.

Each value is planned as a user would give it, and what would be sent is read by the strict servers, whose
fields are those of fields.toml. An option that is refused here, or is not sent, passes.
"""

from importlib import metadata
from urllib.parse import urlsplit

import pytest
from edit_local_documents import EDITS
from freeze import read_fields
from frozen import FROZEN
from loopback import Seen
from PIL import Image
from strict import KEY, never
from strict_edits import Edit

from ipyimagegen import Settings, Studio
from ipyimagegen.catalog import Registry, describe_capabilities
from ipyimagegen.client import DIALECTS, write_call
from ipyimagegen.core import user_input
from ipyimagegen.core.errors import InvalidInput, InvalidOption
from ipyimagegen.core.options import SENT, Kind

OPERATIONS = ("generations", "edits", "inpainting")
MODELS = {
    "openai": ("gpt-image-2", "gpt-image-1.5", "gpt-image-1-mini"),
    "azure": ("my-gpt",),
    "new-api": ("gpt-image-1", "dall-e-3", "dall-e-2", "doubao-seedream-3-0-t2i"),
    "xzbzq": ("seedream-3.0", "flux-kontext-pro"),
    "dmxapi": ("gpt-image-1-mini", "dall-e-3", "dall-e-2"),
    "api000": ("dall-e-3", "dall-e-2", "flux-1.1-pro", "flux-schnell"),
    "ark": ("doubao-seedream-3-0-t2i-250415", "doubao-seedream-4-0-250828"),
    "xai": ("grok-imagine-image",),
    "together": ("black-forest-labs/FLUX.1-schnell", "black-forest-labs/FLUX.1-kontext-pro"),
    "openrouter": ("google/gemini-image",),
    "litellm": ("my-model", "gpt-image-2"),
    "localai": ("flux",),
    "sdcpp": (None,),
    "sglang": (None, "Qwen/Qwen-Image"),
    "vllm-omni": (None, "Qwen/Qwen-Image"),
    "xinference": ("sd3",),
    "lemonade": ("SD-Turbo",),
}
# Values beside those that each option names, and its bounds.
MORE = {
    "size": ("512x512", "1024x1024", "1536x1024", "2048x2048", "2K"),
    "aspect_ratio": ("1:1", "16:9"),
    "n": (2, 4, 10, 11),
    "seed": (7, 2**31 - 1, 2**32),
    "quality": ("exact", "lossless", "extra-high", "20"),
    "guidance_scale": (0.5, 4, 20, 30),
}
_STREAMING = ("stream", "partial_images")
_BY_MODEL = ("size", "aspect_ratio", "n", "quality", "style", "response_format", "input_fidelity")
# What is sent although the strict server refuses it: endpoint, option, values (none: any), why.
KNOWN = [
    *(
        ("azure", option, (), "a deployment may be any model, which its name does not say")
        for option in _BY_MODEL
    ),
    *(
        ("litellm", option, (), "a proxied model may be any, the strict server's is OpenAI's")
        for option in _BY_MODEL
    ),
    *(("new-api", option, (), "in its source, not in a gateway's document") for option in _STREAMING),
    ("api000", "size", ("2K",), "the sizes of its flux models are third parties' claims"),
]
_NEW = ("complexity", "frame_count", "frame_duration_ms", "safety_identifier")
# What a server takes and our row does not offer: endpoint, options, why.
NOT_OFFERED = [
    *(
        ("openai", option, "only the models of 2.6 are known to have it")
        for option in ("complexity", "frame_count", "frame_duration_ms")
    ),
    *(("litellm", option, "not in its list of fields, and passed on in edits alone") for option in _NEW),
    ("vllm-omni", "stream", "its own stream, of models with several stages alone"),
    ("xinference", "stream", "its own stream, which has no partial images"),
]
IMAGE = Image.new("RGB", (64, 64), (200, 30, 30))


def list_values(option):
    """Return values of an option: its words, its bounds, and more."""
    if option.kind is Kind.FLAG:
        return (True, False)
    bounds = [
        int(bound) if option.kind is Kind.INTEGER else bound
        for bound in (option.low, option.high)
        if bound is not None
    ]
    values = (*option.choices, *bounds, *MORE.get(option.name, ()))
    return dict.fromkeys(values or ("words",))


@pytest.fixture
def studio(home):
    """Return a studio that knows an address for each endpoint."""
    own = {
        name: {"base_url": "http://127.0.0.1:9/v1", "key_optional": True}
        for name in EDITS
        if name not in ("openai", "strict", "azure")
    }
    for name in ("xzbzq", "whatai", "dmxapi", "api000", "ark", "xai", "together", "openrouter"):
        del own[name]
    own["azure"] = {
        "base_url": "http://127.0.0.1:9/openai",
        "query": {"api-version": "2025-04-01-preview"},
    }
    keys = {endpoint.key_env[0]: KEY for endpoint in Registry() if endpoint.key_env}
    return Studio(home=home, environ=keys, settings=Settings(endpoints=own))


def list_faults(studio, name, model, operation, options):
    """Return what the strict server says to a request; None where it is refused here."""
    inputs = {
        "generations": {},
        "edits": {"image": IMAGE},
        "inpainting": {"image": IMAGE, "mask": (8, 8, 9, 9)},
    }
    asked = {"endpoint": name, **inputs[operation], **options} | ({"model": model} if model else {})
    try:
        plan = studio.plan(user_input.from_call("a fox", asked))
    except (InvalidOption, InvalidInput):
        return None
    (call,) = plan.calls
    http = write_call(call.request, call.sent, call.endpoint, call.files)
    content_type, body = http.encode("0" * 32)
    address = urlsplit(http.url)
    path = f"{address.path}?{address.query}" if address.query else address.path
    document = EDITS[name][-1]
    key = {http.key_header: f"Bearer {KEY}" if http.key_header == "Authorization" else KEY}
    seen = Seen("POST", path, {"Content-Type": content_type, **(key if document.key else {})}, body)
    candidates = [document for document in EDITS[name] if document.path == path]
    document = next((document for document in candidates if document.takes(seen)), candidates[0])
    if document.models and call.sent.model not in document.models:
        return None  # of another model's edits it says nothing
    return [message for _status, _code, message in document.refusals(seen)]


def is_known(name, option, value):
    return any(
        (name, option) == (known, its_option) and (not values or value in values)
        for known, its_option, values, _reason in KNOWN
    )


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", MODELS)
def test_what_is_sent_is_taken(studio, record_property, name, operation):
    faults, checks = [], 0
    for model in MODELS[name]:
        accepted = {}
        for option in SENT.values():
            for value in list_values(option) if option.name != "model" else ():
                found = list_faults(studio, name, model, operation, {option.name: value})
                checks += found is not None
                if found and not is_known(name, option.name, value):
                    faults.append((model, option.name, value, found))
                if found == [] and option.name not in ("aspect_ratio", "partial_images", "stream"):
                    accepted.setdefault(option.name, value)
        together = list_faults(studio, name, model, operation, accepted)
        checks += together is not None
        faults += [(model, accepted, together)] if together else []
    record_property("checks", checks)
    assert not faults


@pytest.mark.parametrize("name", [name for name in MODELS if name in FROZEN])
def test_what_is_taken_is_offered(studio, name):
    endpoint = studio.registry.find(name)
    names = DIALECTS[endpoint.dialect].names
    for document in EDITS[name]:
        operation = "edits" if isinstance(document, Edit) else "generations"
        for model in MODELS[name]:
            capabilities = describe_capabilities(endpoint, model, operation)
            checks = {**document.fields, **document.models.get(model, {})}
            for option in SENT.keys() - {"model"}:
                is_taken = checks.get(names.get(option, option), never) is not never
                if is_taken and capabilities.accepts(option) is False:
                    assert (name, option) in {entry[:2] for entry in NOT_OFFERED}, (operation, model)


@pytest.mark.parametrize("package", FROZEN)
def test_fields_are_those_of_the_installed_package(package):
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    if version != FROZEN[package]["version"]:
        pytest.skip(f"{package} {version} is installed, not {FROZEN[package]['version']}")
    files = metadata.distribution(package)
    fields = read_fields(package, lambda file: files.locate_file(file).read_text(encoding="utf-8"))
    assert fields == {name: value for name, value in FROZEN[package].items() if isinstance(value, dict)}
