"""From a name or an address to an endpoint."""

import pytest
from catalog_requests import find_fields, find_row
from raising import raising

from ipyimagegen import catalog, client
from ipyimagegen.catalog.registry import read_address
from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.request import PreparedRequest, Request

NORMALISED = {
    "https://gpu.example": "https://gpu.example/v1",
    "https://gpu.example/": "https://gpu.example/v1",
    "gpu.example": "https://gpu.example/v1",
    "gpu.example:8443": "https://gpu.example:8443/v1",
    "HTTPS://GPU.Example:443/v1/": "https://gpu.example/v1",
    "http://gpu.example:80/v1": "http://gpu.example/v1",
    "http://gpu.example:443/v1": "http://gpu.example:443/v1",
    "https://gpu.example/v1/images/generations": "https://gpu.example/v1",
    "https://gpu.example/v1/images/edits/": "https://gpu.example/v1",
    "https://gpu.example/api/v3/images/generations": "https://gpu.example/api/v3",
    "https://gpu.example/images/generations": "https://gpu.example",
    "https://gpu.example/api/v3": "https://gpu.example/api/v3",
    "https://gpu.example/v4": "https://gpu.example/v4",
    "gpu.example/api/paas/v4/": "https://gpu.example/api/paas/v4",
    "https://gpu.example/v1beta/openai": "https://gpu.example/v1beta/openai",
    "https://gpu.example/v1beta/openai/images/generations": "https://gpu.example/v1beta/openai",
    "https://gpu.example/v1/chat/completions": "https://gpu.example/v1",
    "https://gpu.example/api/paas/v4/chat/completions": "https://gpu.example/api/paas/v4",
    "https://gpu.example/Team/V1": "https://gpu.example/Team/V1",
    "localhost:8000": "http://localhost:8000/v1",
    "127.0.0.1:8000": "http://127.0.0.1:8000/v1",
    "http://[::1]:8000/v1": "http://[::1]:8000/v1",
    "  https：//gpu.example/v1 ": "https://gpu.example/v1",
    "https://例え.jp/v1": "https://xn--r8jz45g.jp/v1",
    "https://gpu.example/v2": "https://gpu.example/v2",
    "https://gpu.example/openai/v1beta/": "https://gpu.example/openai/v1beta",
    "https://gpu.example/compatible-mode/v1": "https://gpu.example/compatible-mode/v1",
    "https://gpu.example/v1/completions": "https://gpu.example/v1",
    "https://gpu.example/v1/embeddings": "https://gpu.example/v1",
    "OPENAI_BASE_URL=http://gpu.example/v1": "http://gpu.example/v1",
    "export OPENAI_BASE_URL='http://gpu.example/v1'": "http://gpu.example/v1",
    "[lab](http://gpu.example/v1)": "http://gpu.example/v1",
    "https://me.openai.azure.cn": "https://me.openai.azure.cn/openai/v1",
    "https://gpu.example/v1/responses/": "https://gpu.example/v1",
    "https://gpu.example/v2/models": "https://gpu.example/v2",
    "https://gpu.example/v1/Chat/Completions//": "https://gpu.example/v1",
    "https://gpu.example//v1//images/generations": "https://gpu.example/v1",
    "https://gpu.example/chat/completions": "https://gpu.example",
    "https://gpu.example/my/models/v1": "https://gpu.example/my/models/v1",
    "https://gpu.example/images": "https://gpu.example/images",
    "https://gpu.example/v1/images/edits?api-version=2025-04-01-preview": "https://gpu.example/v1",
    "https://openrouter.ai": "https://openrouter.ai/api/v1",
    "openrouter.ai/api/v1/images/": "https://openrouter.ai/api/v1",
    "https://openrouter.ai/api/v1/images/models": "https://openrouter.ai/api/v1",
    "https://ark.cn-beijing.volces.com/": "https://ark.cn-beijing.volces.com/api/v3",
    "http://ark.cn-beijing.volces.com": "http://ark.cn-beijing.volces.com/v1",
    "[::1]:8000": "http://[::1]:8000/v1",
    "HTTP://[FE80::1]:80/V1/": "http://[fe80::1]/V1",
    "https:/gpu.example/v1": "https://gpu.example/v1",
    "  'https://gpu.example/v1'\n": "https://gpu.example/v1",
    "“https://gpu.example/v1”": "https://gpu.example/v1",
    "「https://gpu.example」": "https://gpu.example/v1",
    "<https://gpu.example/v1>.": "https://gpu.example/v1",
    "\ufeffhttps://gpu.example/v1\u200b": "https://gpu.example/v1",
    "ｈｔｔｐｓ：／／ｇｐｕ．ｅｘａｍｐｌｅ：８４４３／ｖ１": "https://gpu.example:8443/v1",
    "　gpu。example／v1　": "https://gpu.example/v1",
}
REFUSED = [
    "https://user:secret@gpu.example/v1",
    "https://sk-secret@gpu.example/v1",
    "https://gpu.example/v1?key=secret",
    "https://gpu.example/v1#secret",
    "ftp://gpu.example/secret",
    "file:///secret",
    "https:///secret",
    "http://http://secret",
    "OPENAI_BASE_URL=https://user:secret@gpu.example/v1",
    "https://gpu.example:port/secret",
    "https://[gpu/secret",
    "https://gpu example/secret",
    "https://gpu＼secret.example/v1",
    "https://é.gpu＼secret.example/v1",
    "https://gpu.example/v1?api-version=secret",
    "https://gpu.example/v1?api-version=2025-04-01-preview&key=secret",
    "https://secret＠gpu.example/v1",
    "https:///v1?secret",
    "::1",
    "secret",
    "",
]
LAB = {"lab": {"base_url": "http://gpu.example:8000/v1", "key_env": "LAB_KEY", "dialect": "vllm-omni"}}


@pytest.mark.parametrize(("typed", "url"), NORMALISED.items())
def test_base_urls_have_one_spelling(typed, url):
    assert read_address(typed).base_url == url
    whole = f"{url}/images/generations"  # so a record's URL is compared
    assert read_address(whole).base_url == url


@pytest.mark.parametrize("typed", REFUSED)
def test_what_is_no_base_url_is_refused_without_its_secret(typed):
    with pytest.raises(InvalidOption) as caught:
        read_address(typed)
    assert "secret" not in str(caught.value)


AT_AZURE = "https://me.openai.azure.com"
VERSION = "api-version=2025-04-01-preview"
ROUTE = f"/openai/deployments/D/images/generations?{VERSION}"
AZURE = {
    "": "/openai/v1/images/generations",
    "/": "/openai/v1/images/generations",
    "/openai": "/openai/v1/images/generations",
    "/openai/v1/": "/openai/v1/images/generations",
    "/openai/v1?api-version=preview": "/openai/v1/images/generations?api-version=preview",
    "/openai/v1/images/edits?api-version=preview": "/openai/v1/images/generations?api-version=preview",
    f"?{VERSION}": ROUTE.replace("/D/", "/d%201/"),
    f"/openai/?{VERSION}": ROUTE.replace("/D/", "/d%201/"),
    f"/openai/deployments/D?{VERSION}": ROUTE,
    f"/openai/deployments/D/?{VERSION}": ROUTE,
    f"/openai/deployments/D/images/edits?{VERSION}": ROUTE,
    f"/openai/deployments/D/images/generations/?{VERSION}": ROUTE,
    f"/openai/deployments/D/chat/completions?{VERSION}": ROUTE,
    "/mai/v1/images/generations": "/mai/v1/images/generations",
    "/mai/v1/images/edits?api-version=preview": "/mai/v1/images/generations?api-version=preview",
}


def find_by(way, address):
    """Return the endpoint of an address that is given in one of the ways."""
    match way:
        case "typed":
            return catalog.Registry().find(address)
        case "IPYIMAGEGEN_BASE_URL":
            return catalog.Registry({}, {way: address}).find_default(None, lambda _: True)
        case "OPENAI_BASE_URL":
            return catalog.Registry({}, {way: address}).find("openai")
    return catalog.Registry({way: {"base_url": address}}).find(way)


@pytest.mark.parametrize("given", AZURE)
@pytest.mark.parametrize("way", ["azure", "lab", "typed", "IPYIMAGEGEN_BASE_URL", "OPENAI_BASE_URL"])
def test_an_address_of_azure_means_the_same_wherever_it_is_given(way, given):
    for host in (AT_AZURE, "HTTPS://Me.CognitiveServices.azure.com:443", "me.services.ai.azure.com"):
        endpoint = find_by(way, host + given)
        request = Request(endpoint="azure", base_url=endpoint.base_url, prompt="a fox")
        call = client.write_call(request, PreparedRequest(model="d 1"), endpoint)
        origin = f"https://{host.casefold().removeprefix('https://').removesuffix(':443')}"
        assert call.url == origin + AZURE[given]
        assert call.key_header == "api-key"
        assert call.body.get("model") == (None if "/deployments/" in call.url else "d 1")
        catalog.check_address(endpoint)


def test_mai_image_has_a_route_of_its_own():
    endpoint = catalog.Registry().find(AT_AZURE)
    request = Request(endpoint="azure", base_url=endpoint.base_url, prompt="a fox")
    sent = PreparedRequest(model="MAI-Image-2.5", options={"size": "1024x768"})
    call = client.write_call(request, sent, endpoint)
    assert call.url == f"{AT_AZURE}/mai/v1/images/generations"
    assert call.body == {"model": "MAI-Image-2.5", "prompt": "a fox", "width": 1024, "height": 768}


def test_a_deployment_of_azure_requires_its_version():
    for given in ("/openai/deployments/D", "/openai/deployments/D/images/generations"):
        with raising(InvalidOption, f"{AT_AZURE}/openai/deployments/D/images/generations?{VERSION}"):
            catalog.check_address(catalog.Registry().find(AT_AZURE + given))
        own = {"azure": {"base_url": AT_AZURE + given, "query": {"api-version": "2024-02-01"}}}
        catalog.check_address(catalog.Registry(own).find("azure"))
    catalog.check_address(catalog.Registry().find("https://litellm.example/openai/deployments/D"))


def test_a_deployment_in_the_address_is_the_default_model():
    given = f"{AT_AZURE}/openai/deployments/my%20images?{VERSION}"
    for way in ("azure", "lab", "typed", "OPENAI_BASE_URL"):
        assert find_by(way, given).default_model == "my images"
    own = {"lab": {"base_url": "http://127.0.0.1:8/openai/deployments/D", "dialect": "azure"}}
    assert catalog.Registry(own).find("lab").default_model == "D"
    named = {"azure": {"base_url": given, "default_model": "gpt-image-2"}}
    assert catalog.Registry(named).find("azure").default_model == "gpt-image-2"


def test_the_key_of_azure_belongs_to_the_resource_that_the_settings_name():
    assert catalog.Registry().find(AT_AZURE).key_env == ("AZURE_OPENAI_API_KEY",)
    assert catalog.Registry().find(AT_AZURE.replace(".com", ".com.evil.example")).key_env == ()
    own = {"azure": {"base_url": AT_AZURE}}
    assert catalog.Registry(own).find(f"{AT_AZURE}/mai/v1").key_env == ("AZURE_OPENAI_API_KEY",)
    assert catalog.Registry(own).find("https://other.openai.azure.com").key_env == ()
    moved = {"OPENAI_BASE_URL": AT_AZURE}
    assert catalog.Registry({}, moved).find("openai").key_env == ("OPENAI_API_KEY",)
    with pytest.raises(InvalidOption, match="OPENAI_API_KEY"):
        catalog.Registry({"openai": {"base_url": AT_AZURE}})


@pytest.mark.parametrize("variable", ["IPYIMAGEGEN_ENDPOINT", "IPYIMAGEGEN_BASE_URL", "OPENAI_BASE_URL"])
@pytest.mark.parametrize(
    "value",
    ["ftp://secret", "https://me:secret@gpu.example", "https://gpu.example/?key=secret", "https://", "a b"],
)
def test_a_variable_that_cannot_be_used_is_named_with_an_example(variable, value):
    with pytest.raises(InvalidOption, match=variable) as caught:
        catalog.Registry({}, {variable: value}).find_default(None, lambda _: True)
    assert "secret" not in str(caught.value)
    assert "https://" in str(caught.value)


def test_a_variable_of_blanks_or_quotes_is_not_set():
    for variable in ("IPYIMAGEGEN_ENDPOINT", "IPYIMAGEGEN_BASE_URL", "OPENAI_BASE_URL"):
        for value in ("", " ", '""', "''"):
            registry = catalog.Registry({}, {variable: value})
            assert registry.find_default(None, lambda _: True) == catalog.Registry().find("openai")
    assert catalog.Registry({}, {"IPYIMAGEGEN_ENDPOINT": " 'ark' "}).find_default(None, bool).name == "ark"


def test_a_run_of_a_server_without_a_version_path_is_found_again():
    endpoint = catalog.Registry().find("https://gpu.example/images/generations")
    request = Request(endpoint=endpoint.name, base_url=endpoint.base_url, prompt="a fox")
    assert catalog.Registry().find_of_request(request) == endpoint


@pytest.mark.parametrize(
    "name", ["openai", "OpenAI", " xzbzq ", "whatai", "dmxapi", "api000", "ark", "sketch"]
)
def test_known_names_in_any_case(name):
    assert catalog.Registry().find(name).name == name.strip().lower()


def test_the_gateways_addresses():
    assert catalog.Registry().find("xzbzq").base_url == "https://chat-api.xzbzq.com/v1"
    assert catalog.Registry().find("whatai").base_url == "https://api.whatai.cc/v1"
    assert catalog.Registry().find("dmxapi").base_url == "https://www.dmxapi.cn/v1"
    assert catalog.Registry().find("api000").base_url == "https://api000.com/v1"


def test_a_whole_address_of_a_known_endpoint_is_that_endpoint():
    whatai = catalog.Registry().find("whatai")
    assert catalog.Registry().find("https://API.whatai.cc/v1/images/generations") == whatai


def test_an_unknown_name_is_refused_with_the_nearest():
    with raising(InvalidOption, "opnai", "openai"):
        catalog.Registry().find("opnai")


def test_a_server_without_an_address_says_how_to_set_it():
    with raising(InvalidOption, "azure", "endpoints", "base_url"):
        catalog.Registry().find("azure")
    own = {
        "azure": {"base_url": "https://me.openai.azure.com/openai/v1", "query": {"api-version": "preview"}}
    }
    endpoint = catalog.Registry(own).find("azure")
    assert (endpoint.dialect, endpoint.key_env) == ("azure", ("AZURE_OPENAI_API_KEY",))
    assert endpoint.query == {"api-version": "preview"}


def test_an_own_entry():
    endpoint = catalog.Registry(LAB).find("Lab")
    assert endpoint.name == "lab"
    assert endpoint.key_env == ("LAB_KEY",)
    assert endpoint.dialect == "vllm-omni"
    assert "seed" in find_fields(endpoint, "any-model")
    assert not endpoint.free


def test_an_own_entry_with_a_known_name_overrides_just_its_keys():
    own = {"OpenAI": {"key_env": ["MY_KEY", "OPENAI_API_KEY"], "default_model": "gpt-image-1.5"}}
    endpoint = catalog.Registry(own).find("openai")
    assert endpoint.base_url == "https://api.openai.com/v1"
    assert endpoint.vendor == "openai"
    assert endpoint.key_env == ("MY_KEY", "OPENAI_API_KEY")
    assert endpoint.default_model == "gpt-image-1.5"


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"keyenv": "X"}, "key_env"),
        ({"api_key": "sk-secret"}, "'api_key'"),
        ({"key_env": "sk-secret-1234"}, "key_env"),
        ({"dialect": "vlm-omni"}, "vllm-omni"),
        ({"base": "secret"}, "base"),
        ({"free": "yes"}, "free"),
        ({"base_url": "https://me:secret@gpu.example"}, "base_url"),
        ("http://x", "'lab'"),
    ],
)
def test_a_wrong_entry_is_refused(entry, named):
    with pytest.raises(InvalidOption, match=named) as caught:
        catalog.Registry({"lab": entry}).find("lab")
    assert "secret" not in str(caught.value)


def test_an_entry_may_begin_with_a_row_of_the_table():
    entry = {"base": "xzbzq", "base_url": "https://relay.example", "key_env": "RELAY_KEY"}
    endpoint = catalog.Registry({"relay": entry}).find("relay")
    assert (endpoint.name, endpoint.base_url) == ("relay", "https://relay.example/v1")
    assert endpoint.key_env == ("RELAY_KEY",)
    assert endpoint.unreliable_fields == catalog.Registry().find("xzbzq").unreliable_fields
    with pytest.raises(InvalidOption, match="XZBZQ_API_KEY"):
        catalog.Registry({"relay": {"base": "xzbzq", "base_url": "https://relay.example"}}).find("relay")


def test_own_model_rows_may_hold_prices():
    price = {"currency": "USD", "source": "our bill", "date": "2026-11", "any": 0.01}
    own = {
        "lab": {"base_url": "https://gpu.example", "models": {"mine": {"price": price, "fields": ["size"]}}}
    }
    row = find_row(catalog.Registry(own).find("lab"), "mine")
    assert row.prices[0].amount == 0.01
    assert row.fields == ("size",)


def test_openai_base_url_moves_openai_and_its_key_only_there():
    environ = {"OPENAI_BASE_URL": "https://proxy.example/openai/v1"}
    moved = catalog.Registry({}, environ).find("openai")
    assert moved.base_url == "https://proxy.example/openai/v1"
    assert moved.key_env == ("OPENAI_API_KEY",)
    assert moved.vendor == ""  # no longer the vendor's own server
    assert catalog.Registry({}, environ).find("https://api.openai.com/v1").key_env == ()
    assert catalog.Registry({}, environ).find("https://proxy.example/v1").key_env == ("OPENAI_API_KEY",)


def test_an_address_of_the_table_is_known_under_any_name():
    moved = catalog.Registry({}, {"OPENAI_BASE_URL": "https://api.whatai.cc/v1"}).find("openai")
    assert (moved.name, moved.key_env, moved.default_model) == (
        "openai",
        ("OPENAI_API_KEY",),
        "flux-kontext-pro",
    )
    assert find_row(moved, "seedream-3.0").required == {"response_format": "b64_json"}
    assert catalog.Registry({"lab": {"base_url": "https://api.x.ai"}}).find("lab").dialect == "xai"


def test_a_wrong_openai_base_url_names_the_variable():
    with pytest.raises(InvalidOption, match="OPENAI_BASE_URL"):
        catalog.Registry({}, {"OPENAI_BASE_URL": "ftp://x"}).find("openai")


def test_a_typed_url_takes_the_key_of_its_origin_alone():
    assert catalog.Registry(LAB).find("http://gpu.example:8000/other").key_env == ("LAB_KEY",)
    assert catalog.Registry(LAB).find("http://gpu.example:8001/v1").key_env == ()
    assert catalog.Registry(LAB).find("https://gpu.example:8000/v1").key_env == ()
    environ = {"IPYIMAGEGEN_BASE_URL": "https://mine.example"}
    assert catalog.Registry({}, environ).find("https://mine.example/v2").key_env == ("IPYIMAGEGEN_API_KEY",)
    assert catalog.Registry({}, environ).find("https://other.example/v2").key_env == ()


def test_a_typed_url_is_plain_openai_named_by_its_host():
    endpoint = catalog.Registry().find("https://gpu.example:8443/v1")
    assert (endpoint.name, endpoint.dialect, endpoint.vendor, endpoint.free) == (
        "gpu.example:8443",
        "openai",
        "",
        False,
    )


def test_loopback_is_free_unless_its_entry_says_otherwise():
    assert catalog.Registry().find("http://127.0.0.1:8000").free
    assert catalog.Registry({"lab": {"base_url": "http://localhost:8000"}}).find("lab").free
    paid = {"lab": {"base_url": "http://localhost:8000", "free": False}}
    assert not catalog.Registry(paid).find("lab").free
    assert not catalog.Registry(paid).find("http://localhost:8000/other").free
    assert catalog.is_loopback(catalog.Registry().find("http://[::1]:8000"))
    assert not catalog.is_loopback(catalog.Registry().find("http://localhost.example"))


@pytest.mark.parametrize(
    ("columns", "free"),
    [
        ({}, True),
        ({"dialect": "vllm-omni", "key_env": "LAB_KEY"}, True),  # it draws itself, whoever may ask
        ({"dialect": "litellm"}, False),
        ({"dialect": "new-api"}, False),
        ({"dialect": "litellm", "free": True}, True),
        ({"key_env": "LAB_KEY"}, False),  # who requires a key may send a bill
        ({"key_env": "LAB_KEY", "key_optional": True}, True),
        ({"key_env": "LAB_KEY", "free": True}, True),
    ],
)
def test_a_gateway_or_a_key_is_not_free_by_being_local(columns, free):
    lab = {"lab": {"base_url": "http://127.0.0.1:4000", **columns}}
    assert catalog.Registry(lab).find("lab").free is free


def test_openai_moved_to_this_machine_is_not_taken_to_be_free():
    moved = catalog.Registry({}, {"OPENAI_BASE_URL": "http://127.0.0.1:1234/v1"}).find("openai")
    assert not moved.free


def test_a_key_over_http_needs_leave():
    lab = catalog.Registry(LAB).find("lab")
    catalog.check_transport(lab, False)
    with raising(InvalidOption, "allow_http", True) as caught:
        catalog.check_transport(lab, True)
    assert str(caught.value).count("\n") == 1
    allowed = {"lab": {**LAB["lab"], "allow_http": True}}
    catalog.check_transport(catalog.Registry(allowed).find("lab"), True)
    catalog.check_transport(catalog.Registry().find("http://localhost:8000"), True)
    catalog.check_transport(catalog.Registry().find("openai"), True)


def test_the_default_endpoint_by_order():
    environ = {"IPYIMAGEGEN_ENDPOINT": "ark", "IPYIMAGEGEN_BASE_URL": "https://mine.example"}

    def choose(chosen=None, environ=environ, has_key=lambda _: True):
        endpoint = catalog.Registry({}, environ).find_default(chosen, has_key)
        return endpoint and endpoint.name

    assert choose("whatai") == "whatai"
    assert choose() == "ark"
    assert choose(environ={"IPYIMAGEGEN_BASE_URL": "https://mine.example"}) == "mine.example"
    assert choose(environ={}) == "openai"
    assert choose(environ={}, has_key=lambda _: False) is None


def test_every_endpoint_is_listed_with_the_users_own():
    names = [endpoint.name for endpoint in catalog.Registry(LAB, {})]
    assert names[0] == "openai"
    assert names[-1] == "lab"
    assert "azure" in names


@pytest.mark.parametrize("address", ["", "http://[bad", "http://lab:port/v1", "ftp://lab/v1"])
def test_an_address_that_somebody_wrote_into_a_record_is_refused_in_words(address):
    with pytest.raises(InvalidOption):
        catalog.Registry().find_of_request(Request(endpoint="nobody", base_url=address, prompt="a fox"))


def test_the_endpoint_of_a_stored_request():
    request = Request(endpoint="whatai", base_url="https://api.whatai.cc/v1", prompt="x")
    assert catalog.Registry().find_of_request(request) == catalog.Registry().find("whatai")
    gone = Request(endpoint="lab", base_url="https://old.example/v1", dialect="sglang", prompt="x")
    endpoint = catalog.Registry(LAB).find_of_request(gone)
    assert (endpoint.name, endpoint.base_url, endpoint.dialect) == ("lab", "https://old.example/v1", "sglang")
    assert endpoint.key_env == ()


@pytest.mark.parametrize(
    ("name", "where"),
    [("gpt-image-2", "openai"), ("seedream-4.0", "ark"), ("imagen4", "xzbzq"), ("grok-imagine-image", "xai"),
     ("flux-schnell", "api000"), ("gpt-image-1", "openai"), ("never-heard-of", "openai")],
)  # fmt: skip
def test_the_owner_of_a_model(name, where):
    assert catalog.Registry().find_owner(name).name == where
    assert catalog.Registry({}, {"OPENAI_BASE_URL": "https://proxy.example"}).find_owner(name).name == where


FOREIGN = [
    "https://evil.example/v1",
    "http://127.0.0.1:8000/v1",
    "http://localhost/v1",
    "https://api.openai.com:8443/v1",
    "http://api.openai.com/v1",
    "https://api.openai.com.evil.example/v1",
    "https://api.x.ai/v1",
]


@pytest.mark.parametrize("base_url", FOREIGN)
@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("lab", {"key_env": "OPENAI_API_KEY"}),
        ("lab", {"key_env": ["LAB_KEY", "OPENAI_API_KEY"]}),
        ("lab", {"key_env": ["OPENAI_API_KEY"], "allow_key": False, "dialect": "vllm-omni"}),
        ("openai", {}),
        ("OpenAI", {"allow_http": True, "free": False}),
    ],
)
def test_an_entry_may_not_send_a_vendors_key_elsewhere(name, entry, base_url):
    own = {name: {**entry, "base_url": base_url}}
    for asked in (name, base_url, "sketch"):
        with pytest.raises(InvalidOption, match=r'OPENAI_API_KEY(.|\n)*"allow_key"') as refused:
            catalog.Registry(own).find(asked)
        assert base_url.split("/")[2] in str(refused.value)
    allowed = catalog.Registry({name: {**own[name], "allow_key": True}}).find(name)
    assert (allowed.allow_key, "OPENAI_API_KEY" in allowed.key_env) == (True, True)


@pytest.mark.parametrize(
    "own",
    [
        {"lab": {"base_url": "https://evil.example", "key_env": "LAB_KEY"}},
        {"lab": {"base_url": "https://api.openai.com/v1", "key_env": "OPENAI_API_KEY"}},
        {"lab": {"base_url": "https://api.openai.com/other", "key_env": "OPENAI_API_KEY", "allow_key": True}},
        {"openai": {"base_url": "http://127.0.0.1:8000/v1", "key_env": "LAB_KEY"}},
        {"openai": {"base_url": "http://127.0.0.1:8000/v1", "key_env": []}},
        {"openai": {"default_model": "gpt-image-2"}},
        {"azure": {"base_url": "https://me.openai.azure.com/openai/v1"}},
        {"eu": {"base_url": "https://eu.openai.azure.com/openai/v1", "key_env": "AZURE_OPENAI_API_KEY"}},
        {"litellm": {"base_url": "http://127.0.0.1:4000/v1", "free": False}},
    ],
)
def test_a_key_that_stays_where_it_belongs_needs_no_leave(own):
    (name,) = own
    assert not catalog.Registry(own).find(name).allow_key


def test_the_environments_own_address_may_have_its_key():
    moved = {"OPENAI_BASE_URL": "https://proxy.example/v1"}
    own = {"lab": {"base_url": "https://proxy.example/v1", "key_env": "OPENAI_API_KEY"}}
    assert catalog.Registry(own, moved).find("lab").key_env == ("OPENAI_API_KEY",)
    with pytest.raises(InvalidOption, match="OPENAI_API_KEY"):
        catalog.Registry({"lab": {**own["lab"], "base_url": "https://api.openai.com/v1"}}, moved).find("lab")


def test_the_key_of_any_server_goes_to_the_one_that_the_environment_names():
    own = {"lab": {"base_url": "https://mine.example/v1", "key_env": "IPYIMAGEGEN_API_KEY"}}
    assert catalog.Registry(own, {"IPYIMAGEGEN_BASE_URL": "https://mine.example"}).find("lab")
    assert catalog.Registry(own, {"IPYIMAGEGEN_BASE_URL": "no address"}).find("sketch")  # others work
    assert catalog.Registry(own, {}).find("lab")  # it belongs to no other server
    for environ in ({"IPYIMAGEGEN_BASE_URL": "https://other.example"},):
        with pytest.raises(InvalidOption, match="IPYIMAGEGEN_API_KEY"):
            catalog.Registry(own, environ).find("lab")


def test_the_keyrings_key_of_a_known_name_stays_with_its_server():
    own = {"openai": {"base_url": "https://evil.example", "key_env": "LAB_KEY"}}
    assert not catalog.Registry(own).find("openai").keyring
    assert catalog.Registry({"openai": {**own["openai"], "allow_key": True}}).find("openai").keyring
    assert catalog.Registry().find("openai").keyring
    assert catalog.Registry({"lab": own["openai"]}).find("lab").keyring


@pytest.mark.parametrize("column", ["idle_timeout", "call_timeout"])
@pytest.mark.parametrize("value", [0, -1, "10", True, float("nan")])
def test_a_limit_of_time_is_a_number_of_seconds(column, value):
    with raising(InvalidOption) as caught:
        catalog.Registry({"lab": {"base_url": "https://gpu.example/v1", column: value}})
    assert f"'lab': {column}" in str(caught.value)
