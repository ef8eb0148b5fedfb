"""Magic lines: words, options, and where the prompt begins."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import raising

from ipyimagegen.core.errors import ImagineError, InvalidInput, InvalidOption
from ipyimagegen.notebook.parser import (
    check_call,
    check_line_prompt,
    find_late_options,
    parse_line,
    resolve_image,
)
from ipyimagegen.notebook.tokenizer import tokenize, write_word

NAMES = {
    "on": False,
    "w": 640,
    "s": 7,
    "many": [1, 2],
    "t": {"x": 5},
    "lang": "en",
}


def values(line):
    parsed = parse_line(line, NAMES)
    return {**parsed.values, **({"extra": parsed.extra} if parsed.extra else {})}, parsed.rest


READ = [
    ("--size 1024x1536 -n 2 a fox", {"size": "1024x1536", "n": 2}, "a fox"),
    ("-n4 --seed=-1 a dog's life", {"n": 4, "seed": -1}, "a dog's life"),
    ("--seed -1 x", {"seed": -1}, "x"),
    ("--aspect_ratio 16:9", {"aspect_ratio": "16:9"}, ""),
    ("－－size＝１０２４×７６８ 狐狸", {"size": "1024x768"}, "狐狸"),
    ("--size “640x480” x", {"size": "640x480"}, "x"),
    ("--size {w}x{w} --seed {s} x", {"size": "640x640", "seed": 7}, "x"),
    ("--seed '{t[\"x\"]}' x", {"seed": 5}, "x"),
    ("--negative-prompt 'blurry, “text”' x", {"negative_prompt": "blurry, “text”"}, "x"),
    (r"--save C:\out\{model}.png x", {"save": r"C:\out\{model}.png"}, "x"),
    (
        "--set 'extra={\"a\": 1}' --set b=2 --set c=hi x",
        {"extra": {"extra": {"a": 1}, "b": 2, "c": "hi"}},
        "x",
    ),
    ("--watermark --no-watermark x", {"watermark": False}, "x"),
    ("--watermark=default --model default x", {"watermark": "default", "model": "default"}, "x"),
    ("-- --size is not an option", {}, "--size is not an option"),
    ("- a list", {}, "- a list"),
    ("it's a fox", {}, "it's a fox"),
    ("--n 2 'tis a fox", {"n": 2}, "'tis a fox"),
    ("--size ５１２ｘ５１２ x", {"size": "512x512"}, "x"),
    ("--watermark default a fox", {"watermark": "default"}, "a fox"),
    ("--new default a fox", {"new": True}, "default a fox"),
    ("--watermark={on} x", {"watermark": False}, "x"),
    ("—an aside— a fox", {}, "—an aside— a fox"),
    ("——一只狐狸", {}, "——一只狐狸"),
    ("——size 640x480 x", {"size": "640x480"}, "x"),
    ("—size 640x480 –n 2 x", {"size": "640x480", "n": 2}, "x"),
    ("－－ｓｉｚｅ　１０２４ｘ１０２４　狐狸", {"size": "1024x1024"}, "狐狸"),
    ("－ｎ　２　－－ｑｕａｌｉｔｙ＝ｈｉｇｈ　狐狸", {"n": 2, "quality": "high"}, "狐狸"),
    ("--aspect——ratio １６：９ x", {"aspect_ratio": "16:9"}, "x"),
    ("--response-format ｂ６４＿ｊｓｏｎ x", {"response_format": "b64_json"}, "x"),
    ("--response-format b64——json x", {"response_format": "b64_json"}, "x"),
    ("--model ｇｐｔ－ｉｍａｇｅ－２ x", {"model": "gpt-image-2"}, "x"),
    ("--guidance-scale 7。5 --seed 1、2，3 x", {"guidance_scale": 7.5, "seed": (1, 2, 3)}, "x"),
    ("--seed １。。３ x", {"seed": (1, 2, 3)}, "x"),
    ("--seed “7” --quality “high” x", {"seed": 7, "quality": "high"}, "x"),
    ("--negative-prompt “模糊　文字” x", {"negative_prompt": "“模糊　文字”"}, "x"),
    ("--negative-prompt ４：３，ａ｜ｂ x", {"negative_prompt": "４：３，ａ｜ｂ"}, "x"),
    ("--set ｓｔｅｐｓ＝３０ --set note＝（ａ） x", {"extra": {"steps": 30, "note": "（ａ）"}}, "x"),
    ("--as ｆｏｘ x", {"as_": "fox"}, "x"),
    ("--user ｛没有｝ --seed ｛many｝ x", {"user": "｛没有｝", "seed": (1, 2)}, "x"),
    ("--size ｛w｝x{ w } x", {"size": "640x640"}, "x"),
    ("a  fox   with  --blanks", {}, "a  fox   with  --blanks"),
    ("--user {lang} x", {"user": "en"}, "x"),
    ("--quality　high　狐狸", {"quality": "high"}, "狐狸"),
    ("--seed 1..4 x", {"seed": (1, 2, 3, 4)}, "x"),
    ("--seed=3..1,7 x", {"seed": (3, 2, 1, 7)}, "x"),
    ("--seed -1..1 x", {"seed": (-1, 0, 1)}, "x"),
    ("--seed １．．３，５ x", {"seed": (1, 2, 3, 5)}, "x"),
    ("-n1,2 x", {"n": (1, 2)}, "x"),
    ("--seed {many} x", {"seed": (1, 2)}, "x"),
    ("--seed {many[0]},9 x", {"seed": (1, 9)}, "x"),
    ("--seed {many[0]},5..7 x", {"seed": (1, 5, 6, 7)}, "x"),
    ("--seed {many},9 x", {"seed": (1, 2, 9)}, "x"),
    ("--model a,'b,c' x", {"model": ("a", "b,c")}, "x"),
    ("--model 'a,b' x", {"model": "a,b"}, "x"),
    ("--model gpt-4..5 x", {"model": "gpt-4..5"}, "x"),
    ("--quality default,high x", {"quality": ("default", "high")}, "x"),
    ("--size 512x512,1024x1024 x", {"size": ("512x512", "1024x1024")}, "x"),
    ("--guidance-scale 2,3.5 x", {"guidance_scale": (2.0, 3.5)}, "x"),
    ("--negative-prompt 'a, b' x", {"negative_prompt": "a, b"}, "x"),
    ("--user a,b x", {"user": "a,b"}, "x"),
]


@pytest.mark.parametrize(("line", "options", "rest"), READ)
def test_read(line, options, rest):
    assert values(line) == (options, rest)


CALLS = [
    '("a fox")',
    '("a fox", n=2);',
    "(prompt)[0]",
    '("a fox").save("x")',
    '("a fox").width = 3',
    "(f'a {x}'), 5",
    "(prompt) if x else y",
    "(*prompts)",
    "()",
    '("a fox", n=2',
    "[0]",
    "[-1].save('x')",
    "+= 1",
]
NO_CALLS = [
    "(a fox:1.2)",
    "(a fox), red",
    '("OPEN"), in neon',
    "(red) fox",
    "a fox (red)",
    "(a fox",
    "[red]",
    "- 3 foxes",
]


@pytest.mark.parametrize("line", CALLS)
@pytest.mark.parametrize("magic", ["imagine", "imagine_show"])
def test_what_automagic_makes_of_a_call_is_refused(magic, line):
    with raising(InvalidOption):
        check_call(magic, line)


@pytest.mark.parametrize("line", NO_CALLS)
def test_a_line_in_brackets_that_is_no_call_is_a_prompt(line):
    check_call("imagine", line)


def test_a_key_is_not_echoed():
    with pytest.raises(ImagineError) as caught:
        parse_line("--api-key sk-verysecretvalue x", NAMES)
    assert "verysecret" not in str(caught.value)


def test_prompts_that_are():
    prompts = (
        "a fox",
        "a fox --v",
        "show me a fox",
        "history of art",
        "a -- b",
        "em--dash",
        "(masterpiece:1.2), a fox",
        '("OPEN"), in neon',
    )
    for text in (*prompts, "(a fox)", "(red) fox", "a fox — at night", "snow —falling"):
        check_line_prompt(text)
    assert find_late_options("a fox -n 2 -m") == ["-n"]
    assert find_late_options("x --sizes --size=3") == ["--size"]
    assert find_late_options("x --ar 16:9 --no text ——ｓｉｚｅ＝3") == ["--ar", "--no", "——ｓｉｚｅ"]


@given(st.text(alphabet=st.characters(exclude_characters="\"'“{｛["), max_size=40))
def test_words_without_quotes_and_brackets_are_pythons_split(line):
    assert [w.text for w in tokenize(line)] == line.split()


@given(st.text(max_size=30).filter(lambda t: not ('"' in t and "'" in t)))
def test_a_written_word_is_read_back(text):
    assert [w.text for w in tokenize(write_word(text))] == [text]


# What the words of --image and --mask stand for


def test_a_file_beside_a_variable_of_its_first_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cat = type("Cat", (), {"raw": b"raw"})()
    for name in ("cat.png", "cat.raw"):
        Path(name).touch()
    assert resolve_image("cat.png", {"cat": cat}, "inputs").value == Path("cat.png")  # it has no .png
    with pytest.raises(InvalidInput, match=r"\./cat\.raw"):  # it has .raw
        resolve_image("cat.raw", {"cat": cat}, "inputs")
    assert resolve_image("cat.raw", {}, "inputs").value == Path("cat.raw")


@pytest.mark.parametrize("word", ["~mask", "-mask"])
def test_an_expression_is_not_evaluated(word):
    with pytest.raises(InvalidInput):
        resolve_image(word, {"mask": [1]}, "mask")


def test_a_home_that_nobody_has_is_no_traceback():
    assert resolve_image("~nobody-here/x.png", {}, "inputs").value == Path("~nobody-here/x.png")


def test_the_name_of_a_file_has_variables_and_fields(kernel, tmp_path):
    code = 'run = 7\n%imagine --size 64x64 --seed 3 --save "out/{run}-{seed:02d}-{index}.png" a fox'
    assert kernel.run(code).error is None
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["7-03-1.png"]
    assert kernel.run("%imagine --size 64x64 --save “out/狐 狸.png” a fox").error is None
    assert (tmp_path / "out" / "狐 狸.png").is_file()
