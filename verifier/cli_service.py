"""`stadtnachweis verifier init`, `serve`, …: the names of the service's commands; `verifier.server.cli` does them."""

import argparse
from pathlib import Path


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add them; nothing is imported that the base installation lacks."""

    def command(name: str, what: str) -> argparse.ArgumentParser:
        parser = commands.add_parser(name, help=what, description=f"{what}. Settings: VERIFIER_… in the environment.")
        parser.set_defaults(run=_service, service_command=name)
        return parser

    command("init", "make the sealing key and the tables of the service")
    command("serve", "run the service").add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    command("lint", "check files of procedures").add_argument("files", nargs="+", type=Path, metavar="FILE")
    command("openapi", "print the API of the service as OpenAPI 3.1")
    command("doctor", "say what is wrong with the service's files, certificates and trust lists, or will be soon")
    key = command("add-key", "make an API key for a tenant's back end; it is shown once")
    key.add_argument("tenant")
    key.add_argument("--name", required=True, help="what the key is for")
    command("revoke-key", "end an API key at once").add_argument("client_id", help="the first half of the key")


def _service(arguments: argparse.Namespace) -> int:
    from verifier.server.cli import run  # needs more than the base installation

    return run(arguments)
