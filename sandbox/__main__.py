"""`python -m sandbox --port P`: serves the mock API until it is terminated."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import threading
import time
from dataclasses import fields
from typing import get_type_hints

from sandbox.application import Application
from sandbox.options import Options
from sandbox.server import listen, make_server


def make_parser() -> argparse.ArgumentParser:
    """The command line: one flag per field of `Options`, and how to serve."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A mock incident.io API. Prints its address to stdout when it is ready.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 picks a free port (%(default)s)")
    parser.add_argument("--with-parent", action="store_true", help="exit when the parent process exits")
    hints = get_type_hints(Options)
    for field in fields(Options):
        flag = "--" + field.name.replace("_", "-")
        text = field.metadata["help"].replace("%", "%%")
        kind = hints[field.name]
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default, help=text)
        elif kind == list[str]:
            parser.add_argument(flag, action="append", default=[], help=text)
        else:
            parser.add_argument(
                flag,
                type=kind if kind in (int, float) else str,
                default=field.default,
                choices=field.metadata["choices"] or None,
                help=f"{text} (%(default)s)",
            )
    return parser


def _exit_with_parent(parent: int) -> None:
    """Exit when the parent process is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> int:
    arguments = vars(make_parser().parse_args())
    host, port = arguments.pop("host"), arguments.pop("port")
    with_parent = arguments.pop("with_parent")
    try:
        application = Application(Options(**arguments))
        sock = listen(host, port)
    except (ValueError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 2
    server = make_server(application)
    server.on_started = lambda: print(f"listening on http://{host}:{sock.getsockname()[1]}", flush=True)
    if with_parent:
        threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    # Everything allocated so far lives until the end: exclude it from garbage collection.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[sock]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
