#!/usr/bin/env python3
"""Compare or write fields.toml: which fields servers and client libraries take, from their own packages.

    python tests/gateways/freeze.py [--write] [NAME[==VERSION] | WHEEL ...]

Packages are downloaded and read with `ast`, never installed or imported. Only names, types, values and bounds
are kept. Without a version the newest is taken. Ends with 1 where fields.toml differs.
"""

import ast
import json
import operator
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from datetime import UTC, datetime
from pathlib import Path

FIELDS = Path(__file__).with_name("fields.toml")

# The operations of each package: a file, and the class in it, or the function that has a parameter for each
# field or returns a list of their names.
_SGLANG = "sglang/multimodal_gen/runtime/entrypoints/openai"
_VLLM = "vllm_omni/entrypoints/openai"
PACKAGES = {
    "openai": {
        "generations": ("openai/types/image_generate_params.py", "ImageGenerateParams"),
        "edits": ("openai/types/image_edit_params.py", "ImageEditParams"),
    },
    "litellm": {
        "generations": (
            "litellm/llms/openai/image_generation/gpt_transformation.py",
            "GPTImageGenerationConfig.get_supported_openai_params",
        ),
        "edits": ("litellm/types/images/main.py", "ImageEditRequestParams"),
    },
    "openrouter": {
        "generations": (
            "openrouter/components/imagegenerationrequest.py",
            "ImageGenerationRequestTypedDict",
        ),
    },
    "together": {"generations": ("together/types/image_generate_params.py", "ImageGenerateParams")},
    "vllm-omni": {
        "generations": (f"{_VLLM}/protocol/images.py", "ImageGenerationRequest"),
        "edits": (f"{_VLLM}/api_server.py", "edit_images"),
    },
    "sglang": {
        "generations": (f"{_SGLANG}/protocol.py", "ImageGenerationsRequest"),
        "edits": (f"{_SGLANG}/image_api.py", "edits"),
    },
    "xinference": {
        "generations": ("xinference/api/schemas/requests.py", "TextToImageRequest"),
        "edits": ("xinference/api/restful_api.py", "RESTfulAPI.create_image_edits"),
    },
}

_TYPES = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "flag",
    "UploadFile": "file",
    "FileTypes": "file",
    "None": None,
    "UnrecognizedStr": None,  # openrouter's: whatever a later version adds to the words
}
_LISTS = ("list", "List", "Sequence", "SequenceNotStr", "Iterable", "tuple")
_WRAPPERS = ("Optional", "Required", "NotRequired", "Annotated")
_BOUNDS = {"ge": "low", "le": "high"}
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Pow: operator.pow}


class Module:
    """The source of a module: its classes, functions and aliases by name."""

    def __init__(self, text):
        self.names = {}
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                self.names[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.names[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                self.names[node.target.id] = node.value

    def read(self, name):
        """Return the fields of a class or function: {name: {type, choices, low, high, required}}."""
        node = self.names[name.split(".")[0]]
        for part in name.split(".")[1:]:
            node = next(child for child in node.body if getattr(child, "name", None) == part)
        if isinstance(node, ast.Subscript):  # a union of classes
            return _unite([self.read(part.id) for part in node.slice.elts])
        if isinstance(node, ast.ClassDef):
            return self._read_class(node)
        names = [
            item.value
            for child in ast.walk(node)
            if isinstance(child, ast.Return) and isinstance(child.value, ast.List)
            for item in child.value.elts
        ]
        return {field: {} for field in names} or dict(self._read_parameters(node.args))

    def _read_class(self, node):
        fields = {}
        for base in node.bases:
            parent = self.names.get(getattr(base, "id", ""))
            fields |= self._read_class(parent) if isinstance(parent, ast.ClassDef) else {}
        partial = any(word.arg == "total" for word in node.keywords)
        for item in node.body:
            if isinstance(item, ast.AnnAssign):
                name, field = self._describe(item.target.id, item.annotation, item.value)
                if _has_name(item.annotation, "NotRequired" if not partial else "Required") != partial:
                    field.pop("required", None)
                fields[name] = field
        return fields

    def _read_parameters(self, arguments):
        defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + arguments.defaults
        for argument, default in zip(arguments.args, defaults, strict=True):
            if argument.annotation is not None and not _has_name(argument.annotation, "Request"):
                yield self._describe(argument.arg, argument.annotation, default)

    def _describe(self, name, annotation, default):
        """Return the name of a field in a body, and what it takes."""
        kinds, choices = self._read_type(annotation)
        field = {"type": " | ".join(sorted(kinds))} | ({"choices": choices} if choices else {})
        for call in (node for node in (annotation, default) for node in ast.walk(node or ast.Load())):
            for word in call.keywords if isinstance(call, ast.Call) else ():
                if word.arg in _BOUNDS:
                    field[_BOUNDS[word.arg]] = self._read_number(word.value)
                elif word.arg == "alias":
                    name = word.value.value
        if isinstance(default, ast.Call):  # Field(…), Form(…), File(…)
            words = {word.arg: word.value for word in default.keywords}
            default = default.args[0] if default.args else words.get("default", words.get("default_factory"))
        if default is None or (isinstance(default, ast.Constant) and default.value is ...):
            field["required"] = True
        return name, field

    def _read_number(self, node):
        if isinstance(node, ast.Name):
            return self._read_number(self.names[node.id])
        if isinstance(node, ast.UnaryOp):
            return -self._read_number(node.operand)
        if isinstance(node, ast.BinOp):
            return _OPERATORS[type(node.op)](self._read_number(node.left), self._read_number(node.right))
        return node.value

    def _read_type(self, node):
        """Return the kinds of value that an annotation allows, and the words where it lists them."""
        if isinstance(node, ast.Constant):
            return set(), []  # None
        if isinstance(node, ast.BinOp):
            return self._join(node.left, node.right)
        if isinstance(node, ast.Subscript):
            return self._read_generic(node)
        name = ast.unparse(node).rpartition(".")[2]
        known = self.names.get(name)
        if name in _TYPES:
            return ({_TYPES[name]} if _TYPES[name] else set()), []
        if isinstance(known, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in known.bases):
            return {"text"}, [item.value.value for item in known.body if isinstance(item, ast.Assign)]
        return self._read_type(known) if isinstance(known, ast.expr) else ({"object"}, [])

    def _read_generic(self, node):
        outer = ast.unparse(node.value).rpartition(".")[2]
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if outer == "Literal":
            words = [item.value for item in inner]
            return {_TYPES[type(word).__name__] for word in words}, [w for w in words if isinstance(w, str)]
        if outer == "Union":
            return self._join(*inner)
        if outer in _WRAPPERS:
            return self._read_type(inner[0])
        if outer in _LISTS:
            return ({"files"} if self._read_type(inner[0])[0] == {"file"} else {"list"}), []
        return {"object"}, []

    def _join(self, *nodes):
        """Return what a union allows. Its words are only suggestions where it allows any text too."""
        members = [self._read_type(node) for node in nodes]
        any_text = any("text" in kinds and not words for kinds, words in members)
        words = [] if any_text else [word for _, words in members for word in words]
        return set().union(*(kinds for kinds, _ in members)), words


def _has_name(annotation, name):
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(annotation))


def _unite(members):
    """Return the fields of a union: those that all members require are required."""
    fields = {}
    for member in members:
        fields |= member
    for name, field in fields.items():
        if not all(name in member and member[name].get("required") for member in members):
            fields[name] = {word: value for word, value in field.items() if word != "required"}
    return fields


def read_fields(package, open_text):
    """Return the fields of a package by operation; `open_text` returns the text of one of its files."""
    return {
        operation: Module(open_text(file)).read(name) for operation, (file, name) in PACKAGES[package].items()
    }


def to_package(requirement):
    """Return the package that a requirement or a wheel's path names."""
    name = Path(requirement).name
    return name.split("-")[0].replace("_", "-") if name.endswith(".whl") else name.split("==")[0]


def download(requirement, folder):
    """Return version and wheel of a package."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--ignore-requires-python", "-d", folder, requirement]
    subprocess.run(command, check=True)
    wheel = max(Path(folder).glob("*.whl"), key=lambda path: path.stat().st_mtime_ns)
    return wheel.name.split("-")[1], zipfile.ZipFile(wheel)


def to_toml(frozen):
    """Return the file's text: a table for each operation, a line for each field."""
    lines = [
        "# Written by freeze.py, which compares it with the packages again. Any other field is unknown there."
    ]
    for package, entry in frozen.items():
        lines += ["", f"[{package}]", f'version = "{entry["version"]}"', f'date = "{entry["date"]}"']
        for operation, fields in entry.items():
            if isinstance(fields, dict):
                lines += [f"[{package}.{operation}]", *(_to_line(*field) for field in fields.items())]
    return "\n".join(lines) + "\n"


def _to_line(name, field):
    key = name if name.replace("_", "").isalnum() else json.dumps(name)
    members = ", ".join(f"{member} = {json.dumps(value)}" for member, value in field.items())
    return f"{key} = {{ {members} }}" if members else f"{key} = {{}}"


def main(arguments):
    """Compare, or write, the fields of the packages named, or of all."""
    write = "--write" in arguments
    frozen = tomllib.loads(FIELDS.read_text()) if FIELDS.exists() else {}
    wanted = {to_package(name): name for name in arguments if name != "--write"} or dict(
        zip(PACKAGES, PACKAGES, strict=True)
    )
    differences = []
    for package, requirement in wanted.items():
        with tempfile.TemporaryDirectory() as folder:
            version, wheel = download(requirement, folder)
            fields = read_fields(package, lambda file, wheel=wheel: wheel.read(file).decode())
        known = frozen.get(package, {})
        for operation, now in fields.items():
            before = known.get(operation, {})
            differences += [
                f"{package} {version}, {operation}: {name}: {before.get(name)} is {now.get(name)}"
                for name in {**before, **now}
                if before.get(name) != now.get(name)
            ]
        if fields != {name: value for name, value in known.items() if isinstance(value, dict)}:
            frozen[package] = {"version": version, "date": f"{datetime.now(UTC):%Y-%m-%d}", **fields}
    print("\n".join(differences) or "no differences")
    if write:
        FIELDS.write_text(to_toml({package: frozen[package] for package in PACKAGES if package in frozen}))
    return bool(differences) and not write


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
