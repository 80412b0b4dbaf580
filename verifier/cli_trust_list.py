"""`stadtnachweis verifier trust-list …`: publish a list of trusted entities, and read one as a verifier does."""

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from specs.keys.jose import JoseError
from specs.keys.signer import SigningIdentity, load_signer
from specs.trust.trust_list import (
    MAX_SECONDS,
    ListedEntity,
    ListedService,
    TrustList,
    TrustListError,
    build_trust_list,
    verify_trust_list,
)
from specs.trust.x509 import AnchorKind, CertificateError, anchors_from_pem

DONE, REFUSED, USAGE = 0, 1, 2
_DAY = 24 * 60 * 60
_PUBLISH = """\
Sign a list of trusted entities (ETSI TS 119 602, JSON). The description says who may do what; certificates are PEM
files beside it. Give each publication a higher number than the one before: followers never go back.

  {"type": "http://uri.etsi.org/19602/LoTEType/EUPubEAAProvidersList", "operator": "Stadt Leipzig", "territory": "DE",
   "entities": [{"name": "Stadt Leipzig, Sozialamt", "services": [
     {"type": "http://uri.etsi.org/19602/SvcType/PubEAA/Issuance", "certificates": "root.pem",
      "status": "http://uri.etsi.org/19602/PubEAAProvidersList/SvcStatus/notified", "since": "2026-12-01T00:00:00Z"}]}]}
"""
_SHOW = """\
Read a published list as a verifier does: signature, type, times. Exit status: 0 it holds, 1 it does not, 2 a file
cannot be used.
"""

_Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Service(_Strict):
    type: _Text
    certificates: _Text
    name: str = ""
    status: _Text | None = None
    since: datetime | None = None


class _Entity(_Strict):
    name: _Text
    identifier: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}[A-Z]{2}-[!-~]{1,64}$")] | None = None
    services: tuple[_Service, ...]


class _Description(_Strict):
    type: _Text
    operator: _Text
    territory: _Text
    entities: tuple[_Entity, ...]
    distribution_points: tuple[_Text, ...] = ()


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `trust-list`."""
    parser = commands.add_parser("trust-list", help="publish or read a list of trusted entities")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    publish = actions.add_parser(
        "publish", help="sign a list", description=_PUBLISH, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    publish.add_argument("description", type=Path, metavar="JSON", help="who may do what")
    publish.add_argument("--number", type=int, required=True, help="sequence number, one more than the last")
    publish.add_argument("--key", type=Path, required=True, metavar="PEM", help="private key of the publisher")
    publish.add_argument("--chain", type=Path, required=True, metavar="PEM", help="its certificate, then its issuers")
    publish.add_argument(
        "--days", type=int, default=30, help=f"until the next update; {MAX_SECONDS // _DAY} at most (default: 30)"
    )
    publish.set_defaults(run=_publish)
    show = actions.add_parser("show", help="read a list", description=_SHOW)
    show.add_argument("list", type=Path, metavar="FILE", help="the signed list")
    show.add_argument("--type", required=True, metavar="URI", help="the type of list that is expected")
    show.add_argument("--signer", type=Path, required=True, metavar="PEM", help="certificate of who may publish it")
    show.set_defaults(run=_show)


def _publish(arguments: argparse.Namespace) -> int:
    now = int(time.time())
    try:
        described = _Description.model_validate_json(arguments.description.read_bytes())
        folder = arguments.description.resolve().parent
        identity = SigningIdentity(load_signer(arguments.key.read_bytes()), _certificates(arguments.chain))
        signed = build_trust_list(
            TrustList(
                type=described.type,
                operator=described.operator,
                territory=described.territory,
                sequence=arguments.number,
                issued_at=now,
                next_update=now + arguments.days * _DAY,
                entities=tuple(_entity(entity, folder) for entity in described.entities),
                distribution_points=described.distribution_points,
            ),
            identity=identity,
        )
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            where = ".".join(str(step) for step in problem["loc"])
            print(f"stadtnachweis: {arguments.description}: {where}: {problem['msg']}", file=sys.stderr)
        return USAGE
    except (OSError, ValueError, JoseError) as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return USAGE
    print(signed)
    return DONE


def _show(arguments: argparse.Namespace) -> int:
    try:
        signers = anchors_from_pem(arguments.signer.read_bytes(), kind=AnchorKind.LISTED, name="signer")
        token = arguments.list.read_bytes()
    except (OSError, CertificateError) as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return USAGE
    try:
        found = verify_trust_list(token, signers=signers, expected_type=arguments.type, now=int(time.time()))
    except TrustListError as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return REFUSED
    print(json.dumps(_described(found), indent=2, ensure_ascii=False))
    return DONE


def _entity(entity: _Entity, folder: Path) -> ListedEntity:
    return ListedEntity(
        entity.name,
        tuple(
            ListedService(
                service.type,
                service.name,
                _certificates(folder / service.certificates),
                service.status,
                None if service.since is None else int(service.since.timestamp()),
            )
            for service in entity.services
        ),
    )


def _certificates(path: Path) -> tuple[bytes, ...]:
    found = x509.load_pem_x509_certificates(path.read_bytes())
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in found)


def _described(found: TrustList) -> dict[str, object]:
    def at(seconds: int) -> str:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    return {
        "type": found.type,
        "operator": found.operator,
        "territory": found.territory,
        "number": found.sequence,
        "issued_at": at(found.issued_at),
        "next_update": at(found.next_update),
        "entities": [
            {
                "name": entity.name,
                "services": [
                    {"type": service.type, "status": service.status, "certificates": len(service.certificates)}
                    for service in entity.services
                ],
            }
            for entity in found.entities
        ],
    }
