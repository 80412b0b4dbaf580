"""`stadtnachweis wallet explain`: what is this, and what is wrong with it?"""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from specs.protocols.oauth import InvalidAnswer
from specs.refusal import Refusal
from specs.trust.anchors import AnchorKind, TrustAnchor, anchors_from_pem
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.profiles import is_authority
from wallet_sim.explain.explanation import Explanation
from wallet_sim.explain.thing import MAX_BYTES, Fetch, explain
from wallet_sim.terminal import plain
from wallet_sim.transport import Transport, WalletFailure

_LONGEST_PATH = 4096
_EVERYTHING = "application/oauth-authz-req+jwt, application/statuslist+jwt, application/json;q=0.9, */*;q=0.8"


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `explain`."""
    parser = commands.add_parser("explain", help="what a link, token, credential or certificate is, what is wrong")
    parser.add_argument("thing", help="the thing itself, a file that holds it, or - for standard input")
    parser.add_argument("--fetch", action="store_true", help="also get what lies at the address that it names")
    parser.add_argument("--allow-loopback-http", action="store_true", help="fetch over plain http from this machine")
    parser.add_argument(
        "--anchor",
        type=Path,
        action="append",
        default=[],
        metavar="PEM",
        help="whom you trust: also say whether the certificates lead there (may be repeated)",
    )
    parser.add_argument("--language", choices=("de", "en"), default=_language(), help="default: of the environment")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.set_defaults(run=_explain)


def _explain(arguments: argparse.Namespace) -> int:
    try:
        thing = _given(arguments.thing)
        anchors = tuple(anchor for path in arguments.anchor for anchor in _anchors(path))
        said: Explanation = explain(thing, now=int(time.time()), fetch=_fetch_of(arguments), anchors=anchors)
    except (OSError, WalletFailure, Refusal) as error:
        print(plain(f"stadtnachweis: {error}"), file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(said.as_json(), indent=2, ensure_ascii=False))
    else:
        print(said.as_text(arguments.language))
    return 0 if said.is_good and said.is_known else 1


def _anchors(path: Path) -> list[TrustAnchor]:
    """Each certificate of a file: an authority, or one that is believed by its bytes."""
    found = anchors_from_pem(path.read_bytes(), kind=AnchorKind.CA, name=path.name)
    kinds = [
        AnchorKind.CA if is_authority(parse_certificate(each.certificate)) else AnchorKind.LISTED for each in found
    ]
    return [replace(each, kind=kind) for each, kind in zip(found, kinds, strict=True)]


def _given(thing: str) -> bytes:
    if thing == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(thing) < _LONGEST_PATH and "\0" not in thing:
        try:
            path = Path(thing)
            if path.is_file():
                with path.open("rb") as file:
                    return file.read(MAX_BYTES + 1)
        except OSError:  # too long for a name: the thing itself
            pass
    return thing.encode("utf-8", "surrogateescape")


def _fetch_of(arguments: argparse.Namespace) -> Fetch | None:
    if not arguments.fetch:
        return None
    transport = Transport(allow_loopback_http=arguments.allow_loopback_http)

    def fetch(url: str) -> bytes:
        try:
            answer = transport.get(url, accept=_EVERYTHING)
        except InvalidAnswer as error:
            raise WalletFailure(f"{url} is not fetched: {error}") from error
        if not answer.is_good:
            raise WalletFailure(f"{url} answers with status {answer.status}")
        return answer.body

    return fetch


def _language() -> str:
    return "de" if os.environ.get("LANG", "").startswith("de") else "en"
