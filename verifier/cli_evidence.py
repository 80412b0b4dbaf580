"""`stadtnachweis verifier evidence`: check a record of a case file, and what the issuer says today of that time."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from specs.keys.jose import PublicKey
from specs.trust.parsed_certificate import parse_certificate
from verifier.cli_files import ACCEPTED, REFUSED, USAGE, UsageError, anchors, described, read
from verifier.evidence import EvidenceError, FolderKeys, open_evidence, read_statement
from verifier.fetch import PolicedFetcher
from verifier.status_history import with_status_history

_EVIDENCE = """\
Check a record: that its maker signed it and nobody changed it and, with its key, that the verdict follows when the
examination is repeated. With --status-history the issuer is asked, too, how its status lists were at that time, where
it keeps that; `then` is the verdict by them. Exit status: 0 it holds, 1 it does not (altered, another key, erased, or
another verdict by the lists of that time), 2 a file cannot be used.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `evidence`."""
    evidence = commands.add_parser("evidence", help="check a record of a case file, offline", description=_EVIDENCE)
    evidence.add_argument("record", type=Path, metavar="FILE", help="the record")
    evidence.add_argument("--signer", type=Path, required=True, metavar="PEM", help="certificate of who made it")
    evidence.add_argument("--keys", type=Path, metavar="FOLDER", help="keys of records; without: the statement alone")
    evidence.add_argument(
        "--status-history",
        action="store_true",
        help="judge by the status lists of that time, too",
    )
    evidence.add_argument("--show-claims", action="store_true", help="print what was shown, too")
    evidence.set_defaults(run=_evidence)


def _evidence(arguments: argparse.Namespace) -> int:
    try:
        record = read(arguments.record).decode("ascii", "replace").strip()
        signer_key = _signer_key(arguments.signer)
        then = None
        if arguments.status_history and arguments.keys is None:
            raise UsageError("--status-history needs --keys: the record must be opened")
        if arguments.keys is None:
            statement, verdict = read_statement(record, signer=signer_key), None
        else:
            if not arguments.keys.is_dir():
                raise UsageError(f"{arguments.keys} is no folder")
            opened = open_evidence(record, signer=signer_key, keys=FolderKeys(arguments.keys))
            statement, verdict = opened.statement, opened.verdict
            if arguments.status_history:
                then = with_status_history(opened.examination, fetcher=PolicedFetcher()).verdict()
    except UsageError as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return USAGE
    except EvidenceError as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return REFUSED
    said: dict[str, object] = {"statement": asdict(statement), "repeated": verdict is not None}
    if then is not None:
        said["then"] = {"accepted": then.accepted, "reason": then.reason}
    if verdict is not None and arguments.show_claims:
        said["verdict"] = described(verdict, [])
    print(json.dumps(said, indent=2, ensure_ascii=False))
    return REFUSED if then is not None and verdict is not None and then.accepted != verdict.accepted else ACCEPTED


def _signer_key(path: Path) -> PublicKey:
    key = parse_certificate(anchors(path)[0].certificate).key
    if isinstance(key, RSAPublicKey):
        raise UsageError(f"{path}: records are signed with an elliptic curve key")
    return key
