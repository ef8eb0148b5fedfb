"""What the Tab key offers in a real kernel."""

import pytest
from IPython.core import completer

OFFERED = [
    ("%imagine --asp", {"--aspect-ratio"}),
    ("%%imagine --qua", {"--quality"}),
    ("x = %imagine --se", {"--seed", "--send-key", "--set"}),
    ("%imagine --quality hi", {"high"}),
    ("%imagine --quality=me", {"medium"}),
    ("%imagine -m gpt-image-2.5", {"gpt-image-2.5-flare", "gpt-image-2.5-sunburst"}),
    ("%imagine --endpoint xzb", {"xzbzq"}),
    ("%imagine a {anim", {"animal", "animals"}),
    ("%%imagine\na {anim", {"animal", "animals"}),
    ("%imagine_show ", {"1", "2", "drawing"}),
    ("%imagine_compare 1 ", {"1", "2", "drawing"}),
    ("%imagine_rerun --no-wa", {"--no-watermark", "--no-wait"}),
    ("%imagine_history --se", {"--search"}),
    ("%imagine_history --si", {"--since"}),
    ("%imagine_history --since yes", {"yesterday"}),
    ("%imagine_history --endpoint wha", {"whatai"}),
    ("%imagine_history --endpoint=wha", {"whatai"}),
    ("%imagine_history -m dall-e-", {"dall-e-2", "dall-e-3"}),
    ("%imagine_show dr", {"drawing"}),
    ("%imagine_compare 1,dr", {"drawing"}),
    ("%imagine_forget --be", {"--before"}),
    ("%imagine_cost --a", {"--all"}),
    ("%imagine_models dall-e-", {"dall-e-2", "dall-e-3"}),
    ("%imagine_models --server wha", {"whatai"}),
    ("%imagine_models --server=wha", {"whatai"}),
    ("%imagine_models --s", {"--server"}),
    ("%imagine_doctor wha", {"whatai"}),
    ("%imagine_doctor --o", {"--offline"}),
    ("%imagine --quality low,hi", {"high"}),
    ("%imagine --quality=low,hi", {"high"}),
    ("%imagine --executor po", {"pool"}),
    ("%imagine --im", {"--image"}),
    ("%imagine --image @", {"@1", "@2"}),
    ("%imagine --image ani", {"animal", "animals"}),
    ("%imagine --mask=cat", {"cat.png"}),
    ("%imagine --image my", {'"my cat.png"', '"my folder/'}),
    ('%imagine --image "my c', {'"my cat.png"'}),
    ("%imagine --image='my c", {"'my cat.png'"}),
    ('%imagine --image "my folder/', {'"my folder/a dog.png"'}),
    ('%imagine --image "my cat.png" --qual', {"--quality"}),
    ('%imagine --save "my f', {'"my folder/'}),
    ("%imagine --save ca", {"cat.png"}),
]


@pytest.fixture
def drawn(kernel):
    kernel.run("from pathlib import Path\nPath('cat.png').touch(); Path('cat.txt').touch()")
    kernel.run("Path('my folder').mkdir(); Path('my folder/a dog.png').touch(); Path('my cat.png').touch()")
    kernel.run("from concurrent.futures import ThreadPoolExecutor\npool, post = ThreadPoolExecutor(1), 1")
    kernel.run("animal, animals = 'fox', ['fox']\n%imagine --size 64x64 a fox")
    kernel.run("drawing = %imagine --size 64x64 a cat")
    return kernel


@pytest.mark.parametrize(("code", "offered"), OFFERED)
def test_offered(drawn, code, offered):
    client = drawn.client
    message = client.complete(code, len(code))
    reply = client.get_shell_msg(timeout=20)
    while reply["parent_header"].get("msg_id") != message:
        reply = client.get_shell_msg(timeout=20)
    content = reply["content"]
    matches = {match for match in content["matches"] if not match.startswith("%")}
    if not hasattr(completer, "context_matcher"):  # IPython before 8.6 adds its own, and splits at @
        assert matches >= {match.removeprefix("@") for match in offered}
        return
    assert matches == offered
    if offered:
        typed = code[content["cursor_start"] : content["cursor_end"]].strip("\"'")
        assert all(match.strip("\"'").startswith(typed) for match in offered)


@pytest.mark.parametrize("code", ["%imagine_show ", "%imagine_compare 1 ", "%imagine_forget --session "])
def test_lasting_ids_are_offered(drawn, code):
    id_ = drawn.run("print(drawing.id, end='')").texts[0]
    session, _slash, _number = id_.partition("/")
    wanted = session if "--session" in code else id_
    typed = code + session[:7]
    message = drawn.client.complete(typed, len(typed))
    reply = drawn.client.get_shell_msg(timeout=20)
    while reply["parent_header"].get("msg_id") != message:
        reply = drawn.client.get_shell_msg(timeout=20)
    assert wanted in reply["content"]["matches"]
