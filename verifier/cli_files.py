"""What the commands read from files, and how they print a verdict."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from specs.encoding import Malformed
from specs.protocols.dcql import DcqlError
from specs.trust.x509 import AnchorKind, CertificateError, TrustAnchor, anchors_from_pem
from verifier.verdict import Verdict
from verifier.verify import Reference, ReferenceKind

ACCEPTED, REFUSED, USAGE = 0, 1, 2
_Value = TypeVar("_Value")


class UsageError(Exception):
    """An argument or its file cannot be used; the message is a sentence."""


def anchors(path: Path) -> tuple[TrustAnchor, ...]:
    """The certificates of a PEM file, as roots.

    Raises:
        UsageError: the file can't be used.
    """
    return from_file(path, lambda pem: anchors_from_pem(pem, kind=AnchorKind.CA, name=path.name))


def from_file(path: Path, parse: Callable[[bytes], _Value]) -> _Value:
    """What a file says.

    Raises:
        UsageError: the file can\'t be used.
    """
    content = read(path)
    try:
        return parse(content)
    except (Malformed, DcqlError, CertificateError) as error:
        raise UsageError(f"{path}: {error}") from None


def read(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        UsageError: it can\'t be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {os.strerror(error.errno or 0)}") from None


def described(verdict: Verdict, wanted: Sequence[Reference]) -> Mapping[str, object]:
    """A verdict as it is printed. wanted: documents that were not given."""
    return {
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "where": verdict.where,
        "credentials": [
            {
                "query_id": credential.query_id,
                "format": credential.format,
                "type": credential.type,
                "issuer": credential.issuer,
                "anchor": credential.anchor,
                "anchor_kind": credential.anchor_kind,
                "checks": list(credential.checks),
                "claims": dict(credential.claims),
            }
            for credential in verdict.credentials
        ],
        "discarded": [
            {"query_id": each.query_id, "position": each.position, "reason": each.reason} for each in verdict.discarded
        ],
        "over_disclosed": list(verdict.over_disclosed),
        "unneeded": list(verdict.unneeded),
        "wanted": [{"kind": reference.kind, "url": reference.url} for reference in wanted if can_be_given(reference)],
    }


def can_be_given(reference: Reference) -> bool:
    """Whether a command takes such a document from a file."""
    return reference.kind is not ReferenceKind.TYPE_METADATA
