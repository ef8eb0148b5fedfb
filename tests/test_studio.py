"""The studio: which server is asked, what is reused, what is refused before anything is sent."""

import io
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from loopback import CANARY, b64, image_bytes, records
from PIL import Image as PilImage
from raising import assert_names, raising
from studios import make_studio

from ipyimagegen import Plan, Settings, Studio
from ipyimagegen.core import errors as e
from ipyimagegen.core.messages import Remedy
from ipyimagegen.core.run import Cost, add_costs
from ipyimagegen.core.user_input import UserInput, from_call


def good(seen):
    return 200, {}, {"created": 1, "data": [{"b64_json": b64(image_bytes())}] * seen.json.get("n", 1)}


@pytest.fixture
def lab(serve):
    return serve(good)


def test_the_same_request_is_asked_once(home, lab):
    studio = make_studio(home, lab)
    first, again = studio.imagine("a fox", n=2), studio.imagine(" a fox\n", n=2)
    assert (first.reused, again.reused) == (False, True)
    assert [image.sha256 for image in again] == [image.sha256 for image in first]
    assert len(lab.posts) == 1
    other_session = make_studio(home, lab).imagine("a fox", n=2, timeout=5)
    assert other_session.id == first.id
    assert len(lab.posts) == 1
    for changed in ({"seed": 1}, {"model": "m"}, {"extra": {"a": 1}}, {"new": True}):
        studio.imagine("a fox", n=2, **changed)
    assert len(lab.posts) == 5


def test_a_word_too_long_for_a_file_is_refused_like_any_other(home, lab):
    with pytest.raises(e.InvalidInput):
        make_studio(home, lab).imagine("a fox", image="W" * 3000)
    assert not lab.posts


@pytest.mark.parametrize(
    "image",
    [
        "",
        "nothing",
        "@2",
        "@3",
        "https:///cat.png",
        "http://images.example/cat.png",
        "https://images.example/cat.png",
        "file:///cat.png",
        "data:image/png;base64,A",
        None,
    ],
)
def test_a_refused_image_names_the_next_step(home, lab, image):
    one = make_studio(home, lab, environ={"IPYIMAGEGEN_OFFLINE": "1"})
    for prompt in ("a fox", "a hat", "an owl"):
        one.imagine(prompt)
    one.history.forget(["2"])
    one.history[3][0].path.write_bytes(b"damaged")
    options = {"image": image} if image is not None else {"mask": "1,1,2,2"}
    with pytest.raises(e.InvalidInput, match=r"Nothing was sent\. [A-Z].+\.$"):
        one.imagine("add a hat", **options)
    assert len(lab.posts) == 3


def test_reuse_can_be_turned_off_but_not_for_what_may_have_been_billed(home, serve):
    server = serve(lambda seen: (500, {}, b"oops"))
    with pytest.raises(e.OutcomeUnknown):
        make_studio(home, server).imagine("a fox")
    with raising(e.OutcomeUnknown, billed=None, remedy=Remedy.RETRY):
        make_studio(home, server, reuse=False).imagine("a fox")
    assert len(server.posts) == 1


def test_a_free_endpoint_is_simply_asked_again(home, serve):
    server = serve(lambda seen: (500, {}, b"oops"))
    for _ in range(2):
        with pytest.raises(e.OutcomeUnknown):
            make_studio(home, server, paid=False).imagine("a fox")
    assert len(server.posts) == 2


def test_what_costs_nothing_is_never_called_billed(home, serve):
    server = serve(lambda seen: (200, {}, {"created": 1, "data": [{"url": "http://127.0.0.1:9/1.png"}]}))
    with raising(e.CallError, billed=False):
        make_studio(home, server, paid=False).imagine("a fox")
    with raising(e.CallError, remedy=Remedy.ASK_B64):
        make_studio(home, server).imagine("a cat")


def test_which_server_is_asked(home, lab):
    environ = {"IPYIMAGEGEN_BASE_URL": lab.base_url, "IPYIMAGEGEN_API_KEY": CANARY}
    assert make_studio(home, environ=environ).default_endpoint().base_url == lab.base_url
    assert make_studio(home, environ={"OPENAI_API_KEY": CANARY}).default_endpoint().name == "openai"
    assert make_studio(home, environ={"IPYIMAGEGEN_ENDPOINT": "sketch"}).default_endpoint().name == "sketch"
    assert make_studio(home).default_endpoint().name == "sketch"
    assert Studio("whatai", home, environ={}).default_endpoint().name == "whatai"


def test_with_nothing_chosen_the_store_answers_first(home, lab):
    environ = {"IPYIMAGEGEN_BASE_URL": lab.base_url, "IPYIMAGEGEN_API_KEY": CANARY}
    asked = make_studio(home, environ=environ).imagine("a fox", size="64x48")
    assert asked.endpoint != "sketch"
    assert make_studio(home).imagine("a fox", size="64x48").id == asked.id
    assert make_studio(home).imagine("a fox", size="128x128").endpoint == "sketch"
    assert make_studio(home).imagine("a fox", size="64x64", endpoint="sketch").endpoint == "sketch"


def test_a_named_model_is_never_drawn_by_sketch_unasked(home):
    with pytest.raises(e.MissingKey, match="OPENAI_API_KEY"):
        make_studio(home).imagine("a fox", model="gpt-image-2")
    with pytest.raises(e.MissingKey, match="ARK_API_KEY"):
        make_studio(home).imagine("a fox", model="seedream-4.0")
    drawn = make_studio(home).imagine("a fox", model="gpt-image-2", endpoint="sketch", size="128x128")
    assert drawn.model == "gpt-image-2"


def test_a_rerun_waits_as_long_as_is_configured(home, lab):
    configured = {"endpoint": "lab", "timeout": 7, "quality": "high"}
    own = {"lab": {"base_url": lab.base_url}}
    studio = Studio(home=home, environ={}, settings=Settings(endpoints=own, options=configured))
    run = studio.imagine("a fox").run
    configured["quality"] = "low"
    plan = studio.plan(studio.again(run, from_call("a fox", {"seed": 3})))
    assert plan.local["timeout"] == 7
    assert plan.calls[0].sent.options == {"quality": "high", "seed": 3}


def test_offline(home, lab):
    far = {"endpoint": "https://gpu.example/v1"}
    with raising(e.InvalidOption, "gpu.example", "offline"):
        make_studio(home).imagine("a fox", offline=True, **far)
    with raising(e.InvalidOption, "gpu.example", "offline"):
        make_studio(home, environ={"IPYIMAGEGEN_OFFLINE": "1"}).imagine("a fox", **far)
    assert make_studio(home, lab).imagine("a fox", offline=True).endpoint == "lab"  # loopback
    assert make_studio(home).imagine("a fox", offline=True, size="128x128", endpoint="sketch")
    servers = {"offline": True, "size": "128x128", "endpoint": ["sketch", far["endpoint"]]}
    with pytest.raises(
        e.InvalidOption, match=r"2 of 4 results \(https://gpu.example/v1 · seed 1, .* · seed 2\)"
    ):
        make_studio(home).imagine("a fox", seed=[1, 2], **servers)


def test_caps(home, lab):
    with pytest.raises(e.OverBudget, match="max_images"):
        make_studio(home, lab, max_images=3).imagine("a fox", n=4)
    with pytest.raises(e.OverBudget, match="max_calls"):
        make_studio(home, lab, max_calls=0).imagine("a fox")
    assert make_studio(home, lab, paid=False, max_calls=0, max_images=0).imagine("a fox", n=4)
    assert len(lab.posts) == 1


@pytest.mark.parametrize(("cap", "error"), [(0, e.OverBudget), ("many", e.InvalidOption)])
def test_a_cap_counts_as_it_is_when_a_plan_is_carried_out(home, lab, cap, error):
    caps = {"max_images": 4}

    def settings():
        return Settings(endpoints={"lab": {"base_url": lab.base_url, "free": False}}, **caps)

    studio = Studio("lab", home, settings=settings, environ={})
    plan = studio.plan(from_call("a fox", {}))
    caps["max_images"] = cap
    with pytest.raises(error):
        studio.carry_out(plan)
    assert not lab.posts


def test_what_is_sent_is_what_was_planned(home, lab):
    studio, values = make_studio(home, lab), [1]
    plan = studio.plan(from_call("a fox", {"extra": {"x": values}}))
    values.append(2)
    assert studio.carry_out(plan).run.request.extra == {"x": [1]}
    assert not studio.imagine("a fox", extra={"x": [1, 2]}).reused
    assert [post.json["x"] for post in lab.posts] == [[1], [1, 2]]


def test_a_text_for_an_option_that_takes_an_object_is_refused(home):
    with pytest.raises(e.InvalidOption):
        Studio("sketch", home, settings=Settings(options={"executor": "pool"}), environ={}).imagine("a fox")


def test_a_refusal_is_not_counted_as_spent(home, serve):
    answers = [(400, {}, {"error": {"message": "no"}}), None]

    def answer(seen):
        return answers.pop(0) or good(seen)

    studio = make_studio(home, serve(answer), max_images=2)
    with pytest.raises(e.RequestRefused):
        studio.imagine("a fox", n=2)
    assert studio.imagine("a cat", n=2)


@pytest.mark.parametrize("key", [CANARY, "0123456789abcdef" * 2])
def test_a_key_in_an_address_is_refused_and_recorded_nowhere(home, lab, key):
    own = {"lab": {"base_url": f"{lab.base_url}/{key}/v1", "key_env": "LAB_KEY"}}
    studio = Studio(home=home, environ={"LAB_KEY": key}, settings=Settings(endpoints=own))
    with pytest.raises(e.InvalidOption):
        studio.imagine("a fox", endpoint="lab")
    assert lab.requests == []
    assert not any(key.encode() in path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert key not in repr(studio.doctor("lab", offline=True))


def test_an_unwritable_store_is_told_before_paying(tmp_path, lab):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(e.StoreError, match="IPYIMAGEGEN_HOME"):
        make_studio(blocked / "home", lab).imagine("a fox")
    assert not lab.posts


def test_nothing_usable_came(home, serve):
    for body in ({"data": []}, {"data": None}, {"data": "x"}, {"data": [{"b64_json": ""}]}, {}):
        server = serve(lambda seen, body=body: (200, {}, {"created": 1, **body}))
        with raising(e.OutcomeUnknown, billed=None):
            make_studio(home, server).imagine("a fox")
        assert len(server.posts) == 1


def test_what_is_no_image_is_kept_and_not_shown(home, serve):
    page = b"<!doctype html><svg onload='alert(1)'/>"
    server = serve(lambda seen: (200, {}, {"data": [{"b64_json": b64(page)}]}))
    with pytest.raises(e.CallError):
        make_studio(home, server).imagine("a fox")
    (record,) = records(home).values()
    (image,) = record["images"]
    assert image["state"] == "quarantined"
    kept = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    assert page in kept


def test_a_download_that_failed_is_fetched_later(home, serve):
    pages = {"up": False}

    def answer(seen):
        if seen.method == "POST":
            return 200, {}, {"data": [{"url": f"http://{seen.headers['Host']}/files/1.png"}]}
        return (200, {}, image_bytes()) if pages["up"] else (403, {}, b"gone")

    server = serve(answer)
    studio = make_studio(home, server)
    with pytest.raises(e.CallError):
        studio.imagine("a fox")
    pages["up"] = True
    later = make_studio(home, server).imagine("a fox")
    assert later.reused
    assert later[0].size == (64, 48)
    assert len(server.posts) == 1
    assert "Authorization" not in server.requests[-1].headers


def test_fewer_than_asked_passes_with_a_verdict(home, serve):
    server = serve(lambda seen: (200, {}, {"data": [{"b64_json": b64(image_bytes())}]}))
    fox = make_studio(home, server).imagine("a fox", n=3)
    assert [str(v) for v in fox.mismatches] == ["count: asked 3 images, got 1 image"]
    assert make_studio(home, server).imagine("a fox", n=3).reused
    assert len(server.posts) == 1


def test_a_429_is_repeated_with_the_same_key_and_body(home, serve):
    answers = [(429, {"Retry-After": "0.05"}, {"error": {"message": "slow down"}}), None]
    server = serve(lambda seen: answers.pop(0) or good(seen))
    assert make_studio(home, server).imagine("a fox")
    first, second = server.posts
    assert first.body == second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_history_is_a_sequence_and_searchable(home, lab):
    studio = make_studio(home, lab)
    past = studio.history
    for prompt in ("a fox", "a 狐狸 cat", "a fox"):
        studio.imagine(prompt)
    assert len(past) == 2
    assert past[-1].prompt == "a 狐狸 cat"
    assert past[1].prompt == "a fox"
    assert [run.prompt for run in past.search("狐狸")] == ["a 狐狸 cat"]
    assert make_studio(home).history.search("FOX")[0].prompt == "a fox"
    with pytest.raises(e.NotInHistory):
        make_studio(home).history[1]


FAILING = [(500, {}, {}), (200, {}, {"data": [{"url": "http://127.0.0.1:1/a.png"}]})]


@pytest.mark.parametrize("failing", FAILING, ids=["no answer", "no image"])
def test_a_number_is_the_same_image_at_every_run_all_though_a_call_failed(home, serve, failing):
    image = {"data": [{"b64_json": b64(image_bytes())}]}
    server = serve(lambda seen: failing if b"a fox" in seen.body else (200, {}, image))
    for _ in range(3):
        studio = make_studio(home, server)
        with pytest.raises(e.CallError):
            studio.imagine("a fox")
        studio.imagine("a cow")
        studio.imagine("a hen")
        assert studio.history[2].prompt == "a cow"
        hat = studio.imagine("give it a hat", image="@2")
        assert [run.status == "done" for _, run in studio.ledger.numbered()][1:] == [True] * 3
    assert hat.reused
    assert len(server.posts) == 4


def test_a_store_that_passes_away_is_told_once():
    first, second = (Studio(environ={"COLAB_RELEASE_TAG": "x"}) for _ in range(2))
    assert "drive/MyDrive" in first.warn_of_store()
    assert first.warn_of_store() is None
    assert second.warn_of_store()
    assert (
        Studio(environ={"COLAB_RELEASE_TAG": "x", "IPYIMAGEGEN_HOME": "/content/drive/x"}).warn_of_store()
        is None
    )
    assert Studio(environ={}).warn_of_store() is None


def test_that_a_file_system_has_no_modes_is_said_once(home, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    first = Studio(home=home, environ={})
    first.imagine("a fox", endpoint="sketch", size="64x64")
    assert first.warn_of_store() is None
    (home / "index.sqlite").chmod(0o644)
    monkeypatch.setattr("os.fchmod", refuse)
    second = Studio(home=home, environ={})
    second.imagine("a cat", endpoint="sketch", size="64x64")
    assert str(home) in second.warn_of_store()
    assert second.warn_of_store() is None


def test_forget(home, lab):
    studio = make_studio(home, lab)
    fox = studio.imagine("a secret fox")
    path = fox[0].path
    make_studio(home, lab).imagine("a secret fox")  # a reuse record in another session
    studio.history.forget(["1"])
    assert not path.exists()
    assert "secret" not in "".join(p.read_text() for p in home.glob("records/*/*.json"))
    assert not studio.store.runs(search="secret")


def test_python_arguments_are_checked(home):
    studio = make_studio(home)
    with raising(e.InvalidOption, "sise", "size"):
        studio.imagine("a fox", sise="1x1")
    with raising(e.InvalidOption, "raw"):
        studio.imagine("a fox", raw=True)
    with raising(e.InvalidOption, "progress"):
        studio.imagine("a fox", progress="yes")
    with raising(e.InvalidOption, "progres", "progress"):
        studio.imagine("a fox", progres=True)
    with raising(e.InvalidInput, "int"):
        studio.imagine(3)
    with pytest.raises(e.InvalidInput):
        studio.imagine("  ")
    with raising(e.InvalidOption, "seed"):
        studio.imagine("a fox", seed=[])
    assert studio.imagine("a {literal} fox", size="128x128").prompt == "a {literal} fox"
    assert not [r for r in records(home).values() if r["request"]["prompt"] != "a {literal} fox"]


def test_a_dry_run_returns_its_plan(home, lab):
    studio = make_studio(home, lab, max_calls=3)
    plan = studio.imagine("a fox", seed=range(4), n=2, dry_run=True)
    assert isinstance(plan, Plan)
    assert (len(plan.calls), plan.images, plan.estimate.basis) == (4, 8, "unknown")
    assert_names(plan.excess, "max_calls", 4)
    assert not lab.posts
    assert not records(home)
    studio.imagine("a fox", seed=0, n=2)
    plan = studio.imagine("a fox", seed=[0, 1], n=2, dry_run=True)
    assert (len(plan.calls), plan.images, plan.excess) == (2, 2, None)
    assert plan.calls[0].reused
    stored = studio.history[1].rerun(seed=0, dry_run=True), studio.imagine("a fox", seed=0, n=2, dry_run=True)
    assert [(plan.images, plan.estimate.basis) for plan in stored] == [(2, "unknown"), (0, "free")]
    assert studio.history[1][0].edit("a hat", dry_run=True).images == 1
    assert len(lab.posts) == 1


def test_an_estimate_adds_known_prices(home):
    studio = make_studio(home, environ={"OPENAI_API_KEY": CANARY})
    options = {"model": "gpt-image-2", "quality": "low", "size": "1024x1024"}
    single = studio.imagine("a fox", **options, dry_run=True).estimate
    plan = studio.imagine(["a fox", "a cat", "a fox"], **options, dry_run=True)
    assert (single.currency, plan.estimate.currency, plan.images) == ("USD", "USD", 2)
    assert plan.estimate.amount == pytest.approx(2 * single.amount)
    assert (plan.estimate.source, plan.estimate.date) == (single.source, single.date)
    prices = [Cost(amount=1, currency="USD", basis="table"), Cost(amount=2, currency="CNY", basis="table")]
    assert add_costs(prices).amount is None
    assert add_costs([prices[0], Cost()]) == Cost(amount=1, currency="USD", basis="table", at_least=True)


def test_the_facts_of_a_result(home, serve):
    answer = {"created": 1, "data": [{"b64_json": b64(image_bytes())}]}
    studio = make_studio(home, serve(lambda _: (200, {}, answer)))
    fox = studio.imagine("a fox", seed=7, extra={"a": 1})
    assert abs(fox.created - datetime.now(UTC)) < timedelta(minutes=5)
    assert fox.created.utcoffset() is not None
    assert fox.pil.size == fox[0].size
    assert fox.options == {"seed": 7, "extra": {"a": 1}}
    hat = fox.edit("a hat")
    assert hat.parents == (fox[0].id,)
    with raising(e.InvalidInput, 2):
        _ = make_studio(home, serve(good)).imagine("a fox", n=2).pil


def test_a_change_of_what_a_result_returns_changes_nothing(home, lab):
    fox = make_studio(home, lab).imagine("a fox", size="64x64", extra={"a": {"b": [1]}})
    fox.options["size"] = "1x1"
    fox.options["extra"]["a"]["b"].append(2)
    fox.usage["total"] = 3
    assert fox.options == {"size": "64x64", "extra": {"a": {"b": [1]}}}
    assert "total" not in fox.usage


def test_an_edit_asks_the_server_of_its_image_whatever_is_configured(home, serve):
    answer = 200, {}, {"created": 1, "data": [{"b64_json": b64(image_bytes())}]}
    first, second = serve(lambda _: answer), serve(lambda _: answer)
    own = {"lab": {"base_url": first.base_url}, "paid": {"base_url": second.base_url, "free": False}}
    studio = Studio(home=home, environ={}, settings=Settings(endpoints=own, options={"endpoint": "paid"}))
    base = studio.imagine("a fox", endpoint="lab")
    assert base.edit("give it a hat").endpoint == "lab"
    assert base[0].edit(["a cap", "a coat"])[1].endpoint == "lab"
    assert base.edit("a hat", endpoint="paid").endpoint == "paid"
    assert (len(first.posts), len(second.posts)) == (4, 1)


def test_two_threads_that_ask_the_same_pay_once(home, serve):
    may_answer = threading.Event()

    def answer(seen):
        assert may_answer.wait(20)
        return good(seen)

    server = serve(answer)
    studio = make_studio(home, server)
    plans = [studio.plan(from_call("a fox", {})) for _ in range(3)]  # all before any is sent
    results = []
    threads = [threading.Thread(target=lambda p=p: results.append(studio.carry_out(p))) for p in plans[:2]]
    for thread in threads:
        thread.start()
    may_answer.set()
    for thread in threads:
        thread.join(20)
    results.append(studio.carry_out(plans[2]))  # planned before, carried out after
    assert len(server.posts) == 1
    assert len({result.id for result in results}) == 1


def test_a_result_with_a_single_image_stands_for_it(home, lab):
    studio = make_studio(home, lab)
    fox = studio.imagine("a fox")
    for name in ("bytes", "size", "mime", "sha256", "path"):
        assert getattr(fox, name) == getattr(fox[0], name)
    assert fox.pil.size == fox[0].pil.size
    assert (fox.index(fox[0]), fox[0].number) == (0, 1)
    both = studio.imagine("a fox", n=2)
    assert [image.number for image in both] == [1, 2]
    with raising(e.InvalidInput, 2, "pil"):
        _ = both.pil


@pytest.mark.parametrize(
    ("mode", "channels"), [("RGB", 3), ("RGBA", 4), ("L", 3), ("LA", 4), ("I;16", 3), ("P", 3)]
)
def test_an_image_is_an_array_of_its_pixels(home, serve, mode, channels):
    out = io.BytesIO()
    PilImage.new(mode, (6, 4)).save(out, "PNG")
    server = serve(lambda _: (200, {}, {"created": 1, "data": [{"b64_json": b64(out.getvalue())}]}))
    image = make_studio(home, server).imagine("a fox")[0]
    array = np.asarray(image)
    assert (array.shape, array.dtype) == ((4, 6, channels), np.uint8)
    assert np.asarray(image, dtype=float).dtype == float
    assert np.array(image, copy=True).shape == array.shape
    with pytest.raises(ValueError, match="copy"):
        np.array(image, copy=False)


def test_what_was_saved_in_another_format_is_told(home, lab, tmp_path):
    made = make_studio(home, lab).imagine("a fox", n=2)
    with pytest.warns(UserWarning, match="JPEG") as told:
        files = made.save(tmp_path / "{prompt}.jpg")
    assert [file.name for file in files] == ["a-fox-1.jpg", "a-fox-2.jpg"]
    assert all(file.read_bytes()[:3] == b"\xff\xd8\xff" for file in files)
    assert all(str(file) in str(warning.message) for file, warning in zip(files, told, strict=True))
    for thing in (None, "", io.BytesIO()):
        with raising(e.InvalidOption, "save"):
            made.save(thing)
        with raising(e.InvalidOption, "save"):
            made[0].save(thing)


@pytest.mark.parametrize("save", ["{seed:03x}z/{index:99999d}", "{modle}", "{date:%Y/%m}", "{index!r}"])
def test_a_name_is_checked_before_anything_is_paid(home, lab, save):
    studio = make_studio(home, lab)
    with pytest.raises(e.InvalidOption):
        studio.plan(UserInput(prompt="a fox", options={"save": save}))
    assert not lab.posts


def test_an_image_that_is_none_is_told_and_never_replaced_in_silence(home, serve):
    server = serve(lambda _: (200, {}, {"created": 1, "data": [{"b64_json": b64(image_bytes())}]}))
    studio = make_studio(home, server)
    plan = studio.plan(from_call("a fox", {"image": None, "mask": None}))
    assert len(plan.notes) == 2
    fox = studio.carry_out(plan)
    assert set(plan.notes) <= set(fox.run.sent.notes)
    assert studio.imagine("a fox").reused
    edit = studio.imagine("a hat", image=fox)
    for call in (
        lambda: studio.imagine("a hat", image=[fox, None]),
        lambda: studio.imagine("a hat", image=fox, mask=None),
        lambda: fox.edit("a hat", mask=None),
        lambda: edit.rerun("a cap", mask=None),
    ):
        with raising(e.InvalidInput):
            call()
    assert len(server.posts) == 2
    assert edit.rerun("a cap", image=None).parents == edit.parents
    assert not fox.rerun(mask=None).reused
    assert fox.edit("a scarf", image=None).parents == (fox[0].id,)


# The same request in other forms


SAME_PROMPTS = [("a\nfox", "a\r\nfox\r\n"), ("a caf\u00e9", "a cafe\u0301"), ("a fox", "\u3000a fox \n")]


@pytest.mark.parametrize(("prompt", "other"), SAME_PROMPTS)
def test_other_forms_of_a_prompt_are_paid_once(home, lab, prompt, other):
    studio = make_studio(home, lab)
    studio.imagine(prompt, extra={"note": prompt})
    assert studio.imagine(other, extra={"note": other.strip()}).reused
    assert len(lab.posts) == 1


def test_other_forms_of_an_address_are_paid_once(home, lab):
    port = lab.base_url.rpartition(":")[2].partition("/")[0]
    studio = make_studio(home)
    urls = [
        *(f"http://127.0.0.1:{port}/v1", f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}/"),
        *(
            f"HTTP://127.0.0.1:{port}/v1/",
            f"127.0.0.1:{port}/v1",
            f"http://127.0.0.1:{port}/v1/images/generations",
        ),
    ]
    assert [studio.imagine("a fox", endpoint=url).reused for url in urls] == [False] + [True] * 5
    hosts = [f"http://{host}:{port}" for host in ("LOCALHOST", "localhost")]
    assert [studio.imagine("a fox", endpoint=url).reused for url in hosts] == [False, True]
    assert len(lab.posts) == 2
