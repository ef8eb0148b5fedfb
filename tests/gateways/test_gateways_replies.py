"""How the gateways answer: metadata in items, addresses, revised prompts, usage; and their errors."""

import re
from dataclasses import replace

import pytest
from gateway_documents import GATEWAYS, new_api_error
from raising import UNBILLED
from strict import KEY, strict
from typed import list_notes, use

from ipyimagegen.core.messages import Remedy
from ipyimagegen.notebook.fronts import CELL

QUOTA = "用户额度不足, 剩余额度: ＄0.00"
CHANNEL = "分组 default 下模型 gpt-image-1 无可用渠道（distributor）"
SOON = {"retry-after-ms": "1"}
UNKNOWN = CELL.remedies[Remedy.RETRY]

# status, headers, code, message · the remedy · POSTs that arrived
ERRORS = [
    (400, {}, "invalid_request", "size is not supported", Remedy.CHANGE_REQUEST, 1),
    (400, {}, "sensitive_words_detected", "sensitive words detected", Remedy.CHANGE_PROMPT, 1),
    (401, {}, "", "无效的令牌", Remedy.CHECK_KEY, 1),
    (403, {}, "insufficient_user_quota", QUOTA, Remedy.ADD_CREDIT, 1),
    (403, {}, "pre_consume_token_quota_failed", "token quota is not enough", Remedy.ADD_CREDIT, 1),
    (503, {}, "model_not_found", CHANNEL, Remedy.CHANGE_MODEL, 1),
    (429, {}, "insufficient_user_quota", QUOTA, Remedy.ADD_CREDIT, 1),
    (429, SOON, "rate_limit_exceeded", "请求过于频繁", Remedy.RUN_LATER, 3),
    (500, {}, "do_request_failed", "upstream error: do request failed", Remedy.RETRY, 1),
    (502, {}, "bad_response_status_code", "bad response status code 502", Remedy.RETRY, 1),
]


@pytest.mark.parametrize("at", GATEWAYS)
def test_errors_are_told_with_the_state_of_the_bill(kernel, serve, at):
    now = []
    server = serve(lambda seen: (now[0][0], now[0][1], new_api_error(*now[0][:1], *now[0][2:4])))
    use(kernel, server, at)
    for number, error in enumerate(ERRORS):
        *_, message, remedy, posts = error
        now[:] = [error]
        before = len(server.posts)
        cell = kernel.run(f"%imagine -m dall-e-2 fox {number}")
        reason, bill = cell.error.splitlines()
        assert reason.startswith(f"{at} ")
        assert message in reason
        assert bill.startswith(UNBILLED) == (remedy is not Remedy.RETRY)
        assert bill.endswith(CELL.remedies[remedy])
        assert len(server.posts) - before == posts, error


def test_after_an_unknown_outcome_nothing_is_sent_without_retry(kernel, serve):
    broken = [True]
    good = strict(GATEWAYS["xzbzq"])
    server = serve(lambda seen: (500, {}, new_api_error(500, "", "upstream")) if broken else good(seen))
    use(kernel, server, "xzbzq")
    assert UNKNOWN in kernel.run("%imagine a fox").error
    broken.clear()
    assert UNKNOWN in kernel.run("%imagine a fox").error
    assert len(server.posts) == 1
    assert kernel.run("%imagine --retry a fox").error is None
    assert len(server.posts) == 2


@pytest.mark.parametrize("at", GATEWAYS)
def test_run_again_it_is_from_history_and_costs_nothing(kernel, serve, at):
    server = serve(strict(GATEWAYS[at]))
    use(kernel, server, at)
    model = next(iter(GATEWAYS[at].models))
    first, second = (kernel.run(f"%%imagine -m {model}\na fox") for _ in range(2))
    assert second.reused
    assert second.caption.startswith(f"{first.caption} · ")
    assert second.outputs[0]["data"] == first.outputs[0]["data"]
    assert len(server.posts) == 1


def test_two_unsent_seeds_are_two_calls_and_each_is_reused(kernel, serve):
    server = serve(strict(GATEWAYS["dmxapi"]))
    use(kernel, server, "dmxapi")
    for seed in (1, 2, 1, 2):
        cell = kernel.run(f"%imagine --seed {seed} a fox")
        (note,) = list_notes(cell)
        assert re.fullmatch(rf"- seed={seed} .*seedream-4\.0 .*dmxapi .*", note)
    assert [post.json for post in server.posts] == [{"model": "seedream-4.0", "prompt": "a fox"}] * 2


def test_images_given_by_address_are_fetched_without_the_key(kernel, serve):
    server = serve(strict(GATEWAYS["api000"]))
    use(kernel, server, "api000")
    assert kernel.run("%imagine -m dall-e-2 --size 256x256 -n 2 a fox").error is None
    fetched = [request for request in server.requests if request.method == "GET"]
    assert [request.path for request in fetched] == ["/files/256x256.png", "/files/256x256-2.png"]
    assert not any(KEY in str(request.headers) for request in fetched)


def test_revised_prompts_are_kept(kernel, serve):
    use(kernel, serve(strict(GATEWAYS["api000"])), "api000")
    shown = kernel.run("fox = %imagine a fox\nprint(fox.prompt, fox.revised_prompts)")
    assert shown.texts[-1] == "a fox ('In great detail: a fox',)\n"


def test_metadata_in_items_and_tokens_under_older_names_are_read(kernel, serve):
    use(kernel, serve(strict(GATEWAYS["new-api"])), "new-api")
    shown = kernel.run(
        "fox = %imagine -m gpt-image-1 --quality low --size 1024x1024 --background opaque a fox\n"
        "print(fox.usage, [fox.run.response[k] for k in ('quality', 'size', 'background')])"
    )
    usage = {"input_tokens": 12, "output_tokens": 1056, "total_tokens": 1068}
    assert shown.texts[-1] == f"{usage} ['low', '1024x1024', 'opaque']\n"


def test_what_the_items_say_of_the_quality_is_a_verdict(kernel, serve):
    relay = strict(GATEWAYS["new-api"])

    def cheaper(seen):
        status, headers, body = relay(seen)
        for item in body["data"] if seen.method == "POST" else ():
            item["quality"] = "low"
        return status, headers, body

    use(kernel, serve(cheaper), "new-api")
    cell = kernel.run("%imagine -m gpt-image-1 --quality high a fox")
    (note,) = list_notes(cell)
    assert re.fullmatch("! .*high.*low", note)
    assert cell.caption.endswith("· $0.02")  # what came, not what was asked


def test_an_item_without_a_image_may_have_been_billed(kernel, serve):
    """Without the filled-in response_format, seedream-3.0 brings two empty texts."""
    server = serve(strict(GATEWAYS["xzbzq"]))
    use(kernel, server, "xzbzq")
    cell = kernel.run("%imagine -m seedream-3.0 --set response_format=url a fox")
    reason, bill = cell.error.splitlines()
    assert reason.startswith("xzbzq ")
    assert bill.endswith(UNKNOWN)
    assert len(server.posts) == 1


def test_a_wrong_size_is_told(kernel, serve):
    narrow = replace(GATEWAYS["xzbzq"], size=lambda asked: (512, 512))
    use(kernel, serve(strict(narrow)), "xzbzq")
    cell = kernel.run("%imagine -m seedream-3.0 --size 1664x936 a fox")
    assert any(re.fullmatch("! .*1664x936.*512x512", note) for note in list_notes(cell))


RETIRED = {
    ("xzbzq", "gpt-image-1"): "openai",
    ("whatai", "imagen4"): "google",
    ("dmxapi", "gpt-image-1-mini"): "openai",
    ("api000", "dall-e-3"): "openai",
    ("new-api", "dall-e-2"): "openai",
}


@pytest.mark.parametrize(("at", "model"), RETIRED)
def test_a_retired_model_goes_and_the_caption_says_so(kernel, serve, at, model):
    use(kernel, serve(strict(GATEWAYS[at])), at)
    cell = kernel.run(f"%imagine -m {model} a fox")
    vendor = re.escape(RETIRED[at, model])
    (line,) = (text for text in cell.caption.splitlines() if "shut down" in text)
    assert re.fullmatch(
        rf"- {model} (was|will be) shut down by its vendor \({vendor}\) on 2026-\d\d-\d\d", line
    )


@pytest.mark.parametrize(
    ("at", "model"), [("xzbzq", "seedream-3.0"), ("whatai", "flux-kontext-max"), ("api000", "flux-schnell")]
)
def test_a_living_model_is_not_called_retired(kernel, serve, at, model):
    use(kernel, serve(strict(GATEWAYS[at])), at)
    assert "shut down" not in kernel.run(f"%imagine -m {model} a fox").caption


def test_the_plan_names_price_source_and_date_and_sends_nothing(kernel, serve):
    server = serve(strict(GATEWAYS["xzbzq"]))
    use(kernel, server, "xzbzq")
    plan = kernel.run("%imagine --dry-run -m seedream-3.0 -n 1 a fox").caption
    assert '"response_format": "b64_json"' in plan
    assert "¥0.08" in plan
    assert "the gateway's documents" in plan
    assert "2026-11" in plan
    assert KEY not in plan
    assert not server.requests


def test_an_address_that_has_died_was_paid_for_and_is_fetched_later(kernel, serve):
    dead = [True]
    live = strict(GATEWAYS["whatai"])
    server = serve(lambda seen: (403, {}, b"expired") if seen.method == "GET" and dead else live(seen))
    use(kernel, server, "whatai")
    reason, bill = kernel.run("%imagine -m gpt-image-1 -n 2 --response-format url a fox").error.splitlines()
    assert "403" in reason
    assert "%imagine_show" in bill
    assert "¥2.00" in kernel.run("%imagine_cost").texts[0]
    dead.clear()
    assert len(kernel.run("%imagine_show -1").images) == 1
    again = kernel.run("%imagine -m gpt-image-1 -n 2 --response-format url a fox")
    assert again.reused
    assert "¥2.00" in again.caption
    assert len(server.posts) == 1


def test_amounts_are_summed_by_currency(kernel, serve):
    gateways = {"xzbzq": serve(strict(GATEWAYS["xzbzq"])), "new-api": serve(strict(GATEWAYS["new-api"]))}
    entries = {
        name: {"base_url": server.base_url, "free": False, "allow_key": True}
        for name, server in gateways.items()
    }
    use(kernel, gateways["new-api"], "new-api")
    use(kernel, gateways["xzbzq"], "xzbzq")
    kernel.run(f"%config Imagine.endpoints = {entries!r}")
    for call in (
        "-m seedream-3.0",
        "-m gpt-image-1 -n 3",
        "--endpoint new-api -m gpt-image-1 --quality low",
        "--endpoint new-api -m dall-e-3",
    ):
        assert kernel.run(f"%imagine {call} a fox").error is None
    _header, second, first, total = kernel.run("%imagine_cost").texts[0].splitlines()
    assert re.search(r"^xzbzq +2 .*¥3\.08", first)
    assert re.search(r"^new-api +2 .*\$0\.02 +1 ", second)  # and one of unknown cost
    assert re.search(r" 4 .*¥3\.08 \+ \$0\.02 +1 ", total)


def test_a_typed_address_of_the_gateway_is_the_gateway(kernel, serve):
    server = serve(strict(GATEWAYS["xzbzq"]))
    use(kernel, server, "xzbzq")
    cell = kernel.run(f"%imagine --endpoint {server.base_url}/images/generations -m seedream-3.0 a fox")
    assert cell.error is None
    assert server.posts[0].json["response_format"] == "b64_json"
    assert cell.caption.splitlines()[1].startswith("xzbzq · seedream-3.0")
