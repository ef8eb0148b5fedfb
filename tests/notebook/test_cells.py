"""Cells in a real kernel: what is shown, what is bound, what fails, and what is sent."""

import json
import re

import pytest
from loopback import CANARY, b64, image_bytes, records
from words import MESSAGES

from ipyimagegen.core.messages import Remedy
from ipyimagegen.notebook.fronts import CELL

IMAGE = image_bytes()


def good(seen):
    asked = seen.json
    size = asked.get("size", "64x48")
    width, height = (int(v) for v in size.split("x")) if "x" in size else (64, 48)
    data = image_bytes(width, height)
    return (
        200,
        {"x-request-id": "req_1"},
        {"created": 1, "data": [{"b64_json": b64(data)}] * asked.get("n", 1)},
    )


@pytest.fixture
def paid(serve, kernel):
    """Return a server that counts as paid, configured under the name lab."""
    server = serve(good)
    entry = {"base_url": server.base_url, "key_env": "LAB_API_KEY", "free": False}
    done = kernel.run(
        f"import os\nos.environ['LAB_API_KEY'] = {CANARY!r}\n"
        f"%config Imagine.endpoints = {{'lab': {entry!r}}}\n"
        "%config Imagine.endpoint = 'lab'"
    )
    assert done.error is None, done.error
    return server


def test_first_minute(kernel):
    cell = kernel.run("%%imagine\na red fox in the snow, watercolour\n")
    assert cell.error is None
    assert [output["output_type"] for output in cell.outputs] == ["display_data", "display_data"]
    (image,) = cell.images
    assert max(image.size) == 768
    first = cell.outputs[0]
    assert set(first["data"]) in ({"image/jpeg", "text/plain"}, {"image/png", "text/plain"})
    assert "a red fox" in first["metadata"][next(iter(first["metadata"]))]["alt"]
    assert MESSAGES["caption"]["sketch"] in cell.caption
    assert len(json.dumps(cell.outputs)) < 150 * 1024


def test_the_second_time_is_from_history_and_equal(kernel, paid):
    runs = [kernel.run("%%imagine -n 2 --size 128x64\na fox") for _ in range(3)]
    assert len(paid.posts) == 1
    plain = [[output["data"]["text/plain"] for output in run.outputs] for run in runs]
    assert plain[0][0] == plain[1][0]
    assert plain[0][1].rsplit("\n", 1)[0] == plain[1][1].rsplit("\n", 1)[0]
    assert plain[1] == plain[2]
    assert runs[1].outputs[0]["data"] == runs[2].outputs[0]["data"]
    assert runs[1].reused


def test_new_pays_again_and_says_what_is_sent(kernel, paid):
    kernel.run("%imagine a fox")
    kernel.run("%imagine --new a fox")
    assert len(paid.posts) == 2
    assert paid.posts[0].json == {"prompt": "a fox"}
    assert paid.posts[0].headers["Authorization"] == f"Bearer {CANARY}"


def test_each_image_appears_once(kernel):
    assert len(kernel.run("%imagine a cat").images) == 1
    assert len(kernel.run("cat = %imagine a cat\ncat").images) == 1
    assert len(kernel.run("cat").images) == 1
    assert len(kernel.run("%imagine a dog\nprint('after')").images) == 1
    loop = kernel.run("for s in (1, 2, 3):\n    get_ipython().run_line_magic('imagine', f'--seed {s} a cat')")
    assert len(loop.images) == 3
    assert len(kernel.run("from ipyimagegen import imagine\ncat = imagine('a cat')").images) == 0
    assert len(kernel.run("imagine('a cat')").images) == 1


def list_display_ids(cell):
    return [output["transient"]["display_id"] for output in cell.outputs if output.get("transient")]


SLOW = "--endpoint sketch --set fault=slow:1"


def test_a_status_line_is_replaced_where_the_front_end_knows_how(kernel):
    knows = kernel.collect(kernel.start(f"%imagine {SLOW} a cat", watched=True))
    ignores = kernel.collect(kernel.start(f"%imagine {SLOW} a dog", watched=True, updates=False))
    for cell in (knows, ignores):
        assert [bool(output["data"].keys() - {"text/plain"}) for output in cell.outputs] == [True, False]
    assert len(list_display_ids(knows)) == 2
    assert not list_display_ids(ignores)


def test_nothing_is_to_be_replaced_in_an_output_widget(kernel):
    kernel.run("import ipywidgets\nout, later = ipywidgets.Output(), ipywidgets.Output()")
    for code in (f"%imagine {SLOW} a cat", f"%imagine {SLOW} --seed 1,2 a cat"):
        inside = kernel.collect(kernel.start(f"with out:\n    {code}", watched=True))
        assert len(inside.images) == 1
        assert not list_display_ids(inside)
    outside = kernel.collect(kernel.start(f"with out:\n    1\n%imagine {SLOW} a dog", watched=True))
    assert len(list_display_ids(outside)) == 2  # of an Output that was left


def test_what_is_displayed_by_hand_is_shown_with_its_caption(kernel):
    cell = kernel.run(
        "from IPython.display import clear_output\nfox = %imagine a fox\nclear_output()\ndisplay(fox)"
    )
    assert len(cell.images) == 2  # this reader ignores clear_output
    assert cell.texts[1].startswith("1 · ")
    assert cell.texts[3].startswith("1 · ")
    for code in ("display(fox, fox)", "for _number in range(2): display(fox)"):
        cell = kernel.run(code)
        assert len(cell.images) == 2
        assert cell.caption.startswith("1 · ")
    assert kernel.run("many = %imagine -n 2 --seed 1,2 a fox\ndisplay(many)").caption.startswith("2 of 2")


def test_a_display_id_has_a_single_output(kernel):
    made = "fox, owl = %imagine --size 128x64 a {fox|owl}"
    kernel.run(f"{made}\nhandle = display(fox, display_id='here')")
    cell = kernel.run("handle = display(fox, display_id=True)\nhandle.update(owl)")
    (output,) = cell.outputs
    assert "a owl" in output["data"]["text/plain"]
    compared = "from ipyimagegen import history\nboth = history.compare(1, 2)\n"
    cell = kernel.run(f"{compared}handle = display(both, display_id=True)\nhandle.update(fox)")
    assert len(cell.outputs) == 1
    (output,) = kernel.run("display(fox, exclude=['image/png', 'image/jpeg'])").outputs
    assert set(output["data"]) == {"text/plain"}


def test_out_and_underscore_hold_what_was_shown(kernel):
    kernel.run("%imagine a fox")
    held = kernel.run("print(type(_).__name__, _.prompt, any(value is _ for value in Out.values()))")
    assert held.texts == ["Generation a fox True\n"]


def test_a_result_of_a_callback_is_shown_by_the_next_cell(kernel):
    kernel.run(
        "import ipywidgets\n"
        "def click(_button):\n    global fox\n    fox = get_ipython().run_line_magic('imagine', 'a fox')\n"
        "button = ipywidgets.Button()\nbutton.on_click(click)"
    )
    comm = kernel.run("print(button.comm.comm_id)").texts[0].strip()
    data = {"method": "custom", "content": {"event": "click"}}
    message = kernel.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
    kernel.client.shell_channel.send(message)
    kernel.collect(message["header"]["msg_id"])
    assert len(kernel.run("fox").images) == 1


def test_the_debugger_opens_at_the_line_of_the_user(kernel):
    """Nobody answers its question here, so that it ends at once."""
    kernel.run(
        "from ipyimagegen import imagine\ndef draw(size):\n    return imagine('a fox', size=size)\n%pdb on"
    )
    for code in ("%imagine --size 12 a fox", "%imagine_show 99", "%%imagine --sise 1x1\na fox"):
        cell = kernel.run(code)
        assert [output["output_type"] for output in cell.outputs] == ["stream"]
        assert cell.texts[0].startswith("UsageError: ")
        assert len(cell.texts[0].splitlines()) <= 2
    assert kernel.run("print(type(_imagine_error).__name__)").texts == ["InvalidOption\n"]
    opened = "\n".join(kernel.run("draw('12')").texts)
    assert "imagine(" in opened
    assert "draw" in opened
    assert "/ipyimagegen/" not in opened
    kernel.run("%pdb off")
    assert kernel.run("%imagine --size 12 a fox").kind == "InvalidOption"


def test_names_are_filled_in_and_bound(kernel):
    cell = kernel.run("animal = 'fox'\nfox = %imagine --as same a {animal} and {{braces}}")
    assert cell.error is None
    shown = kernel.run("print(fox.prompt, '|', fox.template, '|', same == fox, '|', fox)")
    assert shown.texts[0].startswith("a fox and {braces} | a {animal} and {{braces}} | True")
    inside = kernel.run(
        "def draw(what):\n"
        "    return get_ipython().run_line_magic('imagine', 'a {what}')\n"
        "print(draw('cup').prompt)"
    )
    assert inside.texts[-1] == "a cup\n"


REFUSED = [
    ("%imagine --si 3 a fox", "--size"),
    ("%%imagine --size 12\na fox", "--size 12"),
    ("%%imagine --size 10x10\na fox", "64"),
    ("%%imagine --qualty high\na fox", "--quality"),
    ("%%imagine --quality hihg\na fox", "high"),
    ("%%imagine --endpoint sketsch\na fox", "sketch"),
    ("%%imagine --user 'open\na fox", "'open"),
    ("%%imagine\na {missing} fox", "'missing'"),
    ("%%imagine a red fox\nin the snow", "a red fox"),
    ("%%imagine --size 1024x1024 --aspect-ratio 16:9\na fox", "16:9"),
    ("%imagine_show 7", "7"),
    ("%imagine_show fox", "'fox'"),
    ("%imagine_models gpt-imge-2", "gpt-image-2"),
    ("%imagine_rerun", "%imagine_rerun"),
    ("both = ['1', '2']\n%imagine_rerun {both}", "2"),
    ("%imagine a fox --size 1x1", "--size"),
    ("%imagine", "%imagine --help"),
    ("%imagine --seed 1,,4 a fox", "--seed"),
    ("%imagine --seed 1..200 --n 1..100 a fox", "20,000"),
    ("%imagine a {missing} {red|blue} fox", "'missing'"),
    ("%imagine --size 512x512,17 a fox", "--size 17"),
    ("%imagine --seed 1,1 a fox", "--new"),
    ("%imagine --endpoint sketch --size 512x512,64x64,10x10 a fox", "64"),
    ("%imagine --image cat.png a fox", "cat.png"),
    ("%imagine --mask 1,1,2,2 a fox", "--image"),
    ("%imagine --partial-images 4 a fox", "--partial-images 4"),
    ("%imagine -m gpt-image-2 a fox", "OPENAI_API_KEY"),
    ("%imagine --endpoint openai a fox", "OPENAI_API_KEY"),
    ("%imagine --save out/{modle} a fox", "{modle}"),
    ("%imagine --save /dev/null/fox a fox", "/dev/null"),
    ("%imagine --key sk-0123456789abcdefghij a fox", ".env"),
    ("%%imagine\nuse sk-0123456789abcdefghij", ".env"),
    ("imagine('a fox')", "from ipyimagegen import imagine"),
    ("imagine('a fox') # a note", "from ipyimagegen import imagine"),
    ("imagine('a fox')[0]", "from ipyimagegen import imagine"),
    ("imagine(prompt='a fox')[0]", "from ipyimagegen import imagine"),
    ("imagine('a fox'), 5", "from ipyimagegen import imagine"),
    ("imagine('a fox'); 5", "from ipyimagegen import imagine"),
    ("imagine(prompt)", "from ipyimagegen import imagine"),
    ("imagine ('a fox', n=2);", "from ipyimagegen import imagine"),
    ("imagine('a fox').save('x')", "from ipyimagegen import imagine"),
    ("imagine('a fox', n=2", "from ipyimagegen import imagine"),
    ("imagine += 1", "from ipyimagegen import imagine"),
    ("imagine_history()", "from ipyimagegen import imagine"),
    ("imagine_show(3)", "%imagine_show"),
    ("%imagine a fox --ar 16:9", "--aspect-ratio"),
    ("%imagine a fox ——ｓｉｚｅ 1x1", "——ｓｉｚｅ"),
    ("%%imagine --num-images 2\na fox", "-n"),
    ("%%imagine --prompt fox\na fox", "--prompt"),
    ("x = 3\n%imagine a {x+1} fox", "{table.loc[row, column]}"),
    ("x = 3\n%imagine --seed {x + 1} a fox", "{table.loc[row, column]}"),
    ("imagine(['a fox', 'a cat'])", "from ipyimagegen import imagine"),
    ("%imagine --offline --endpoint http://gpu.example/v1 a fox", "--offline"),
    ("%imagine_history --search", "--search"),
    ("%imagine_cost now", "%imagine_cost"),
    ("%imagine --send-key a fox", "--executor"),
]


@pytest.mark.parametrize(("code", "named"), REFUSED)
def test_refused_in_two_lines_at_most(kernel, home, code, named):
    kernel.run("%config Imagine.endpoint = None")
    kernel.run("if 'imagine' in globals(): del imagine")
    cell = kernel.run(code)
    assert cell.error is not None, cell.texts
    assert named in cell.error
    assert len(cell.error.splitlines()) <= 2
    assert "sk-0123" not in json.dumps(cell.outputs)
    assert not records(home)


def test_errors_of_the_server_are_told_with_the_state_of_the_bill(kernel, paid, serve):
    def refuse(seen):
        error = {"message": "Your key " + CANARY + " is wrong\x1b[31m", "code": "invalid_api_key"}
        return 401, {}, {"error": error}

    server = serve(refuse)
    entry = {"base_url": server.base_url, "key_env": "LAB_API_KEY", "free": False}
    kernel.run(f"%config Imagine.endpoints = {{'lab': {entry!r}}}")
    cell = kernel.run("%%imagine\na fox")
    assert CELL.remedies[Remedy.CHECK_KEY] in cell.error
    assert CANARY not in json.dumps(cell.outputs)
    assert len(cell.error.splitlines()) <= 2


def test_an_unknown_outcome_is_not_paid_twice(kernel, serve):
    answers = [(502, {}, b"bad gateway"), good]

    def answer(seen):
        first = answers.pop(0) if len(answers) > 1 else answers[0]
        return first(seen) if callable(first) else first

    server = serve(answer)
    entry = {"base_url": server.base_url, "free": False}
    kernel.run(f"%config Imagine.endpoints = {{'lab': {entry!r}}}\n%config Imagine.endpoint = 'lab'")
    assert CELL.remedies[Remedy.RETRY] in kernel.run("%imagine a fox").error
    assert CELL.remedies[Remedy.RETRY] in kernel.run("%imagine a fox").error
    assert len(server.posts) == 1
    assert kernel.run("%imagine --retry a fox").error is None
    assert kernel.run("%imagine --retry a fox").reused
    assert len(server.posts) == 2


def test_caps_are_checked_before_sending(kernel, paid):
    kernel.run("%config Imagine.max_images = 3")
    assert kernel.run("%imagine -n 2 a fox").error is None
    cell = kernel.run("%imagine -n 2 a cat")
    assert "max_images" in cell.error
    assert len(paid.posts) == 1
    assert kernel.run("%imagine -n 2 a fox").error is None  # from history


def test_a_bad_setting_stops_the_next_cell(kernel, paid):
    assert kernel.run("%config Imagine.n = 99999").error is None
    assert "%config Imagine.n" in kernel.run("%imagine a fox").error
    kernel.run("%config Imagine.n = 2")
    assert "2 images" in kernel.run("%imagine a fox").caption
    assert "2 images" not in kernel.run("%imagine --n default a fox").caption
    assert len(paid.posts) == 2


def test_dry_run_sends_and_keeps_nothing(kernel, paid, home):
    cell = kernel.run("%imagine --dry-run -n 2 --seed 7 --set a=1 a fox")
    assert cell.error is None
    assert '"seed": 7' in cell.caption
    assert "1 call · 2 images" in cell.caption
    assert CANARY not in cell.caption
    assert not paid.posts
    assert not records(home)


def test_rerun_keeps_options_and_shows_what_differs(kernel, paid):
    kernel.run("%config Imagine.quality = 'low'")
    kernel.run("%imagine --seed 7 --set steps=3 a fox")
    kernel.run("%config Imagine.quality = 'high'")
    cell = kernel.run("%imagine_rerun 1 --seed 8")
    assert paid.posts[1].json == {"prompt": "a fox", "seed": 8, "quality": "low", "steps": 3}
    assert "seed: 7 → 8" in cell.caption
    kernel.run("what = 'cat'")
    cell = kernel.run("%%imagine_rerun 1 --seed default\na {what}")
    assert paid.posts[2].json == {"prompt": "a cat", "quality": "low", "steps": 3}
    assert kernel.run("%imagine_rerun 1").error is None
    assert len(paid.posts) == 4
    assert "seed: 7 → 9" in kernel.run("%imagine_rerun 1 --seed 9 --new").caption
    for code in ("rerun 1 --help", "rerun 1 --seed 8 -h", "history 1 --help", "doctor sketch -h"):
        cell = kernel.run(f"%imagine_{code}")
        assert cell.error is None
        assert "Examples:" in cell.texts[0]
    assert len(paid.posts) == 5
    assert "fox" in kernel.run("%imagine_history 1 --search FOX").caption
    assert "fox" not in kernel.run("%imagine_history 1 --search cat").caption


def test_what_was_forgotten_is_shown_as_that_and_goes_on_to_count(kernel, paid):
    kernel.run("fox = %imagine -n 2 a fox\nimport pickle\nkept = pickle.dumps(fox[0])")
    assert kernel.run("%imagine_forget 1").error is None
    for code in ("fox", "fox[0]", "pickle.loads(kept)", "%config Imagine.embed = 'original'\nfox"):
        cell = kernel.run(code)
        assert cell.error is None
        assert cell.images, code
    _header, row, forgotten = kernel.run("%imagine_cost").caption.splitlines()
    assert re.findall(r"\d+", row)[:3] == ["1", "0", "2"]  # a request; no image of two
    assert re.findall(r"\d+", forgotten) == ["1"]


def test_who_mistyped_an_endpoint_is_shown_which_there_are(kernel):
    kernel.run("%config Imagine.endpoint = 'sketsch'")
    cell = kernel.run("%imagine_endpoints")
    assert cell.error is None
    assert "https://api.openai.com/v1" in cell.caption
    assert "'sketsch'" in cell.caption


def test_words_of_a_server_of_its_own_go_as_typed(kernel, paid):
    kernel.run("%imagine --style Anime --quality HIGH a fox")
    assert paid.posts[0].json == {"prompt": "a fox", "style": "Anime", "quality": "high"}


def test_a_word_that_has_a_magic_is_sent_from_a_body_and_the_caption_says_so(kernel, paid):
    cell = kernel.run("%%imagine\nHistory")
    assert "%imagine_history" in cell.caption
    assert paid.posts[0].json == {"prompt": "History"}


def test_an_edit_many_ways_says_what_it_began_with(kernel):
    kernel.run("%config Imagine.endpoint = 'sketch'\n%imagine --size 64x64 a fox")
    caption = kernel.run("%imagine --image @1 --seed 1,2 put a hat on it").caption
    assert "/1.1 'a fox'" in caption
    listed = kernel.run("%imagine_history -l ２")
    assert listed.error is None
    _header, *rows, left_out = listed.caption.splitlines()
    assert [row.split()[0] for row in rows] == ["2", "3"]
    assert re.findall(r"\d+", left_out) == ["1", "3"]


def test_help_and_question_mark(kernel):
    for code in ("%imagine --help", "%%imagine -h\nx", "%imagine_rerun --help", "%imagine_history --help"):
        cell = kernel.run(code)
        assert cell.error is None
        assert "Examples:" in cell.texts[0]
        assert not cell.images
    message = kernel.client.execute("%%imagine?")
    reply = kernel.client.get_shell_msg(timeout=20)
    while reply["parent_header"].get("msg_id") != message:
        reply = kernel.client.get_shell_msg(timeout=20)
    (page,) = reply["content"]["payload"]
    assert "--aspect-ratio" in page["data"]["text/plain"]
    assert "Examples:" in page["data"]["text/plain"]


def test_load_reload_unload(kernel):
    for _ in range(2):
        kernel.run("%reload_ext ipyimagegen")
    counted = kernel.run(
        "ip = get_ipython()\n"
        "print(sum('imagine_matcher' in str(m) for m in ip.Completer.custom_matchers),"
        " sum(type(c).__name__ == 'Imagine' for c in ip.configurables))"
    )
    assert counted.texts == ["1 1\n"]
    kernel.run("%unload_ext ipyimagegen")
    assert "UsageError" in kernel.run("%imagine a fox").texts[0]
    gone = kernel.run("print([m for k in ip.magics_manager.magics.values() for m in k if 'imagine' in m])")
    assert gone.texts == ["[]\n"]
    kernel.run("%load_ext ipyimagegen")
    assert kernel.run("%imagine a fox").error is None
