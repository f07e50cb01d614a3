"""`python -m sandbox --port P`: serves until it is stopped."""

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

from .application import Application
from .options import Options
from .server import listen, make_server


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A stand-in for incident.io's API.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--with-parent", action="store_true", help="end when the parent process does")
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
                help=f"{text} (%(default)s)",
            )
    return parser


def _end_with_parent(parent: int) -> None:
    """End this process when the one that started it is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> int:
    arguments = vars(_parser().parse_args())
    host, port = arguments.pop("host"), arguments.pop("port")
    with_parent = arguments.pop("with_parent")
    try:
        application = Application(Options(**arguments))
        sock = listen(host, port)
    except (ValueError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 2
    server = make_server(application)

    def tell() -> None:
        print(f"listening on http://{host}:{sock.getsockname()[1]}", flush=True)

    server.on_started = tell
    if with_parent:
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    # What was made so far stays; the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[sock]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
