"""`stadtnachweis wallet serve`: the wallet over HTTP, with pages or unattended."""

import argparse
import sys
from pathlib import Path

_DEFAULT_PORT = 8703
_TARGET_PORT = 9445
_HOST = "127.0.0.1"
_CIPHERS = "ECDHE+AESGCM"


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `serve`."""
    serve = commands.add_parser("serve", help="the wallet over HTTP: pages for a phone, or unattended for a test suite")
    serve.add_argument("--settings", type=Path, required=True, metavar="YAML", help="wallets, and whom they trust")
    serve.add_argument("--port", type=int, default=_DEFAULT_PORT, help=f"on this machine (default: {_DEFAULT_PORT})")
    serve.add_argument(
        "--unattended", action="store_true", help="agree to whatever a trusted party asks, without a person"
    )
    serve.add_argument(
        "--host-name", action="append", default=[], metavar="NAME", help="also answer to this name, behind a proxy"
    )
    serve.add_argument("--misbehave", metavar="NAME", help="do one thing wrong; /reactions says what came back")
    serve.set_defaults(run=_serve)


def register_target(parser: argparse.ArgumentParser) -> None:
    """Add what starts a target for the OpenID Foundation's suite, where no command is given."""
    parser.add_argument(
        "--profile", choices=("oidf",), help="start a target for the OpenID Foundation's conformance suite instead"
    )
    parser.add_argument(
        "--port",
        dest="target_port",
        type=int,
        default=_TARGET_PORT,
        help=f"port of that target (default: {_TARGET_PORT})",
    )
    parser.set_defaults(run=_target)


def _target(arguments: argparse.Namespace) -> int:
    if arguments.profile is None:
        print("stadtnachweis: say what to do: stadtnachweis wallet --help lists it.", file=sys.stderr)
        return 2
    from wallet_sim.oidf.target import run_target

    try:
        return run_target(port=arguments.target_port)
    except OSError as error:
        print(f"stadtnachweis: the target cannot start: {error.strerror or error}", file=sys.stderr)
        return 1


def _serve(arguments: argparse.Namespace) -> int:
    import uvicorn  # only this command needs a server

    from specs.encoding import Malformed
    from specs.encoding.placed_yaml import FileInvalid
    from specs.refusal import Refusal
    from wallet_sim.misbehaviour import UnknownMisbehaviour
    from wallet_sim.web.app import HOSTS, create_app
    from wallet_sim.web.settings import open_wallets, read_settings

    try:
        settings = read_settings(arguments.settings)
        if arguments.misbehave is not None:
            settings = settings.model_copy(update={"misbehave": arguments.misbehave})
        served = open_wallets(settings)
    except (FileInvalid, Refusal, Malformed, UnknownMisbehaviour, OSError, ValueError) as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return 1
    app = create_app(served, unattended=arguments.unattended, hosts=(*HOSTS, *arguments.host_name))
    scheme = "http" if settings.tls_certificate is None else "https"
    print(f"The wallet is at {scheme}://{_HOST}:{arguments.port}/", flush=True)
    uvicorn.run(
        app,
        host=_HOST,
        port=arguments.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_ciphers=_CIPHERS,
    )
    return 0
