"""What the server shows a class: its addresses, the cells that students paste, the page of `/`."""

from __future__ import annotations

import html
import ipaddress
import re
import socket
from wsgiref.types import WSGIEnvironment

KEY_ENV = "SKETCH_KEY"  # the variable from which a student's notebook takes the key
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>sketch: images without a model</title>
<body style="font-family: sans-serif; max-width: 45rem; margin: 2rem auto; padding: 0 1rem">
<h1>sketch</h1>
<p>This server draws images from prompts by fixed rules. <strong>No AI model is used.</strong></p>
<p>Paste this into a notebook cell and run it:</p>
<pre>{setup}</pre>
<p>Then ask for an image in the next cell:</p>
<pre>{example}</pre>
</body></html>
"""
EXAMPLE = "%%imagine\na red fox under a tree"


def list_origins(host: str, port: int) -> list[str]:
    """Return the origins at which a server on this host is reached, that for other machines first."""
    address, hosts = parse_address(host), [host]
    if address.is_unspecified if address else not host:  # all addresses of this machine
        hosts = [*filter(None, [_find_outward_address()]), "127.0.0.1"]
    return [f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}" for name in hosts]


def parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that a host is, None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _find_outward_address() -> str | None:
    """Return the address of this machine in its network, without asking a name service."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # reserved for documentation; a UDP connect sends nothing
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return address


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
    setup = html.escape(make_setup_cell(origin, has_key=has_key), quote=False)
    return _PAGE.format(setup=setup, example=html.escape(EXAMPLE, quote=False)).encode()
