"""What the server shows a class: its addresses, the cells that students paste, the page of `/`."""

from __future__ import annotations

import html
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from wsgiref.types import WSGIEnvironment

from ipyimagegen.sketch.server.fields import FAULTS

KEY_ENV = "SKETCH_KEY"  # the variable from which a student's notebook takes the key
EXAMPLE = "%%imagine\na red fox under a tree"
VIRTUAL = ("lo", "docker", "br-", "veth", "virbr")  # networks inside this machine
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


def list_origins(host: str, port: int) -> list[str]:
    """Return the origins at which a server on this host is reached, those for other machines first."""
    hosts = [host]
    if set(host) <= set("0.:"):  # all addresses of this machine
        hosts = [*dict.fromkeys([*_find_addresses(), "127.0.0.1"])]
    return [f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}" for name in hosts]


def _find_addresses() -> Iterator[str]:
    """Yield the addresses of this machine in its networks, that towards the Internet first."""
    option = getattr(socket, "SO_BINDTODEVICE", None)  # Linux has it
    names = [name for _, name in socket.if_nameindex() if option and not name.startswith(VIRTUAL)]
    for name in ("", *names):
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            if option and name:
                probe.setsockopt(socket.SOL_SOCKET, option, name.encode())
            probe.connect(("192.0.2.1", 9))  # reserved for documentation; a UDP connect sends nothing
            yield probe.getsockname()[0]
    with suppress(OSError):  # elsewhere a look-up of the own name may ask a name service
        yield from () if option else socket.gethostbyname_ex(socket.gethostname())[2]


def find_origin(environ: WSGIEnvironment) -> str:
    """Return the origin that the client used, its own address where the Host header is invalid."""
    host = environ.get("HTTP_HOST", "")
    if not _HOST.fullmatch(host):
        host = f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return f"{environ['wsgi.url_scheme']}://{host}"


def make_setup_cell(origin: str, *, has_key: bool) -> str:
    """Return the cell that makes a notebook use this server."""
    base_url = f"{origin}/v1"
    lines = [f'%config Imagine.endpoint = "{base_url}"']
    if has_key:
        endpoint = f'{{"base_url": "{base_url}", "key_env": "{KEY_ENV}", "allow_http": True}}'
        lines = [f'%config Imagine.endpoints = {{"class": {endpoint}}}', '%config Imagine.endpoint = "class"']
    return "\n".join(["%load_ext ipyimagegen", *lines])


def make_page(origin: str, *, has_key: bool) -> bytes:
    """Return the page that tells students how to use this server, in HTML."""
    key = "the key of your class" if has_key else "any"
    client = f'from openai import OpenAI\n\nclient = OpenAI(base_url="{origin}/v1", api_key="{key}")'
    request = 'client.images.generate(model="gpt-image-2", prompt="a red fox under a tree")'
    texts = {
        "setup": make_setup_cell(origin, has_key=has_key),
        "example": EXAMPLE,
        "client": f"{client}\n{request}",
        "faults": ", ".join(FAULTS),
    }
    page = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    for name, text in texts.items():
        page = page.replace(f"{{{name}}}", html.escape(text, quote=False))
    return page.encode("ascii", "xmlcharrefreplace")
