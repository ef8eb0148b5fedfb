"""What a cell sends for the names, alternatives and results in a prompt, whoever calls the magic."""

import textwrap

import pytest
from loopback import b64, image_bytes


@pytest.fixture
def lab(serve, kernel, tmp_path):
    """Return a server that every cell asks, beside a script and a module that ask it, too."""
    server = serve(lambda seen: (200, {}, {"created": 1, "data": [{"b64_json": b64(image_bytes())}]}))
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text(HELPER)
    done = kernel.run(
        f"%config Imagine.endpoint = {server.base_url!r}\nimport sys\nsys.modules.pop('helper', None)"
    )
    assert done.error is None, done.error
    return server


def prompts(server):
    return [post.json["prompt"] for post in server.posts]


SCRIPT = """
animal = 'owl'
get_ipython().run_cell_magic('imagine', '--as bird', 'a {animal}, cell\\n')
assert bird.prompt == 'a owl, cell'
get_ipython().run_line_magic('imagine', 'a {animal}, line')
"""
HELPER = """
from IPython import get_ipython
STYLE = 'ink'
def draw(what):
    return get_ipython().run_line_magic('imagine', 'a {what} in {STYLE}')
def draw_name():
    return get_ipython().run_line_magic('imagine', 'a {name}')
"""
SCOPES = {  # cells, and the prompts that they send
    "a script": (
        """
        animal = 'STALE'
        %run script.py
        """,
        ["a owl, cell", "a owl, line"],
    ),
    "a module": (
        """
        STYLE = 'NOTEBOOK'
        import helper
        helper.draw('fox')
        """,
        ["a fox in ink"],
    ),
    "a cell magic in a function": (
        """
        name = 'GLOBAL'
        def f(name):
            get_ipython().run_cell_magic('imagine', '', 'a {name}')
        f('local')
        """,
        ["a local"],
    ),
    "a global": (
        """
        name = 'GLOBAL'
        def f():
            %imagine a {name}
        f()
        """,
        ["a GLOBAL"],
    ),
    "a method": (
        """
        style = 'GLOBAL'
        class A:
            style = 'own'
            def f(self):
                %imagine a {style} and {self.style}
        A().f()
        """,
        ["a GLOBAL and own"],
    ),
    "a closure that uses it": (
        """
        style = 'GLOBAL'
        def make(style):
            def f(name):
                style
                %imagine a {name}, {style}
            return f
        make('ink')('fox')
        """,
        ["a fox, ink"],
    ),
    "an inner function": (
        """
        style = 'GLOBAL'
        def f():
            def g():
                %imagine a {style}
            g()
        f()
        """,
        ["a GLOBAL"],
    ),
    "a thread": (
        """
        import threading
        def f(name):
            get_ipython().run_line_magic('imagine', 'a {name}')
        thread = threading.Thread(target=f, args=('fox',))
        thread.start()
        thread.join()
        """,
        ["a fox"],
    ),
    "a coroutine": (
        """
        async def f(name):
            %imagine a {name}
        await f('fox')
        """,
        ["a fox"],
    ),
    "a timed line": (
        """
        name = 'fox'
        %time %imagine a {name}
        """,
        ["a fox"],
    ),
    "an alias": (
        """
        name = 'fox'
        %alias_magic draw imagine
        %draw a {name}
        """,
        ["a fox"],
    ),
    "other globals": (
        """
        line = "name = 'fox'; get_ipython().run_line_magic('imagine', 'a {name}')"
        exec(line, {'get_ipython': get_ipython})
        """,
        ["a fox"],
    ),
}


@pytest.mark.parametrize("caller", SCOPES)
def test_names_are_those_of_the_code_that_calls(kernel, lab, caller):
    code, sent = SCOPES[caller]
    cell = kernel.run(textwrap.dedent(code))
    assert cell.error is None, cell.error
    assert prompts(lab) == sent


HIDDEN = {
    "a global of the notebook, for a module": """
        name = 'NOTEBOOK'
        import helper
        helper.draw_name()
        """,
    "a variable of the function that calls": """
        style = 'GLOBAL'
        def f(style):
            def g():
                %imagine a {style}
            g()
        f('ink')
        """,
    "a variable of a function that has returned": """
        style = 'GLOBAL'
        def f(style):
            def g():
                %imagine a {style}
            return g
        f('ink')()
        """,
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_name_that_the_code_cannot_see_is_refused(kernel, lab, name):
    assert kernel.run(textwrap.dedent(HIDDEN[name])).kind == "InvalidInput"
    assert not lab.posts


def test_an_image_variable_is_that_of_the_code_that_calls(kernel, lab):
    cell = kernel.run(
        "from PIL import Image\n"
        "图 = 'no image'\n"
        "def f(图):\n"
        "    %imagine --image 图 --as 结果 a hat\n"
        "f(Image.new('RGB', (8, 8)))\n"
        "print(结果.prompt)"
    )
    assert cell.error is None, cell.error
    assert "edits" in lab.posts[0].path
    assert cell.caption == "a hat\n"


WORLD = {
    "हिन्दी": "एक लाल लोमड़ी, क्षितिज",
    "ชื่อ": "จิ้งจอกสีแดงในหิมะ",
    "اسم": "ثعلبٌ أحمر في الثلج\u200c",
    "名字": "雪中的红狐，水彩",
    "가격": "붉은 여우",
    "όνομα": "κόκκινη αλεπού",
    "ім_я": "червона лисиця",
    "שם": "שׁוּעָל אָדֹם",
    "décor": "cafe\u0301 a\u030a, décor",
    "emoji": "🦊❄️👩🏽‍🚀🏳️‍🌈",
}


def test_names_and_values_of_every_script_are_sent_byte_for_byte(kernel, lab):
    for name, value in WORLD.items():
        cell = kernel.run(f"{name} = {value!r}\n%imagine {value} {{{name}}} {{{name}!s:>3}}")
        assert cell.error is None, cell.error
    assert prompts(lab) == [f"{value} {value} {value}" for value in WORLD.values()]
    assert all(post.headers["Content-Type"].startswith("application/json") for post in lab.posts)


def test_blanks_of_alternatives_are_kept(kernel, lab):
    assert kernel.run("%imagine a {|very }big fox{| in the snow}, ink").error is None
    assert set(prompts(lab)) == {
        "a big fox, ink",
        "a very big fox, ink",
        "a big fox in the snow, ink",
        "a very big fox in the snow, ink",
    }


def test_a_semicolon_ends_a_line_and_is_no_part_of_the_prompt(kernel, lab):
    cell = kernel.run("x = %imagine a fox;")
    assert len(cell.images) == 1
    assert cell.caption.split("\n")[0].endswith("a fox")
    assert kernel.run("print(x.prompt)").caption == "a fox\n"
    assert len(kernel.run("%imagine a cat;").images) == 1
    kernel.run("%imagine a: b;;")
    kernel.run("%%imagine\na cell;\n")
    assert prompts(lab) == ["a fox", "a cat", "a: b;", "a cell;"]


def test_a_result_in_a_prompt_or_an_option_is_refused(kernel, lab):
    kernel.run("fox = %imagine a fox")
    for line in (
        "a {fox}",
        "a {fox[0]}",
        "--user {fox} a cat",
        "--set user={fox} a cat",
        "--model {fox} a cat",
    ):
        cell = kernel.run(f"%imagine {line}")
        assert cell.kind == "InvalidInput"
        assert "--image fox" in cell.error
        assert ".prompt}" in cell.error
    assert len(lab.posts) == 1
    assert kernel.run("%imagine --user {fox.id} as {fox.prompt}").error is None
