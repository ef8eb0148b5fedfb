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
    ("%imagine_show ", {"1", "2"}),
    ("%imagine_compare 1 ", {"1", "2"}),
    ("%imagine_rerun --no-w", {"--no-watermark"}),
    ("%imagine_history --se", {"--search"}),
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
    kernel.run("animal, animals = 'fox', ['fox']\n%imagine --size 64x64 a fox\n%imagine --size 64x64 a cat")
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
