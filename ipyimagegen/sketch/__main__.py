"""`python -m ipyimagegen.sketch`: the engine as a server for any client of the OpenAI Images API."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from ipyimagegen.sketch.server.app import create_app
from ipyimagegen.sketch.server.fields import FAULTS
from ipyimagegen.sketch.server.http_server import SketchServer
from ipyimagegen.sketch.server.quotas import ServerLimits
from ipyimagegen.sketch.server.welcome import EXAMPLE, list_origins, make_setup_cell

INPUT_BYTES = 256 << 20  # of bodies with images that are in memory at the same time
PIXELS = 10 * 2048 * 2048  # of all images of a call


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ipyimagegen.sketch", description=__doc__, allow_abbrev=False
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8080, help="port to listen on, 0 for a free one (default: %(default)s)")
    add("--key-env", metavar="NAME", help="environment variable that holds the key clients must send")
    add("--fault", metavar="F", help=f"fault of every call: {', '.join(FAULTS)}")
    text = "drawings at the same time; others wait in order (default: one for each core, %(default)s)"
    add("--parallel", type=int, metavar="N", default=os.cpu_count() or 1, help=text)
    options = parser.parse_args(arguments)
    if options.parallel < 1:
        return _fail("Invalid --parallel: expected at least 1")
    key = os.environ.get(options.key_env) if options.key_env else None
    if options.key_env and not key:
        return _fail(f"the environment variable {options.key_env} is not set")
    limits = ServerLimits(drawings=options.parallel, input_bytes=INPUT_BYTES, pixels=PIXELS)
    try:
        app = create_app(key=key, fault=options.fault, limits=limits)
        server = SketchServer((options.host, options.port), app)
    except (ValueError, OverflowError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"cannot listen on {options.host}:{options.port}: {error.strerror or error}")
    if not (key or options.host in {"localhost", "::1"} or options.host.startswith("127.")):
        warning = "anyone who reaches this address can draw here. Use --key-env NAME to require a key."
        print(f"Warning: {warning}", file=sys.stderr)
    _serve(server, options.host, has_key=key is not None)
    return 0


def _serve(server: SketchServer, host: str, *, has_key: bool) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    origins = list_origins(host, server.server_port)
    try:
        print(f"sketch serves at {' and '.join(f'{origin}/v1' for origin in origins)} (Ctrl-C stops it)")
        start = "Students paste this into a cell:"
        for origin in origins[:-1] or origins:  # the last is for this machine
            print(f"{start}\n\n{make_setup_cell(origin, has_key=has_key)}\n")
            start = "or, in another network,"
        print(f"and into the next one:\n\n{EXAMPLE}\n")
        sys.stdout.flush()
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        print("sketch stopped", flush=True)
    finally:
        server.server_close()


def _fail(message: str) -> int:
    print(f"sketch: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
