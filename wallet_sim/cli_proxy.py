"""`stadtnachweis wallet proxy`: live traffic with one server, decoded."""

import argparse
import os
import sys
from pathlib import Path

from wallet_sim.recording_proxy import Recorded, RecordingProxy

_DEFAULT_PORT = 8704


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `proxy`."""
    parser = commands.add_parser("proxy", help="pass traffic on to one server and show it decoded")
    parser.add_argument("--target", required=True, metavar="URL", help="the one server that it talks to")
    parser.add_argument("--port", type=int, default=_DEFAULT_PORT, help=f"on 127.0.0.1 (default: {_DEFAULT_PORT})")
    parser.add_argument("--record", type=Path, metavar="FILE", help="also write it there, one JSON object a line")
    parser.add_argument("--language", choices=("de", "en"), default="en")
    parser.set_defaults(run=_proxy)


def _proxy(arguments: argparse.Namespace) -> int:
    def tell(recorded: Recorded) -> None:
        print(recorded.request.as_text(arguments.language))
        print(recorded.answer.as_text(arguments.language), end="\n\n", flush=True)
        if arguments.record is not None:
            descriptor = os.open(arguments.record, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                file.write(recorded.as_json() + "\n")

    try:
        proxy = RecordingProxy(arguments.target, tell=tell, port=arguments.port)
    except (ValueError, OSError) as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return 2
    print(f"Set HTTP_PROXY={proxy.url} for whoever talks to {arguments.target}; Ctrl-C ends it.", file=sys.stderr)
    proxy.serve()
    return 0
