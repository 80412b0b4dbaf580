"""Trust anchors: the certificates that somebody decided to believe, each with the kind of belief it gets.

`ca` certifies others: a full path must lead to it. `listed` is an end entity that a trust list names: the leaf itself
must be that certificate. `pinned_test` is one certificate of a test domain, self-signed or not, believed by its bytes
alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from specs.refusal import ReasonCode
from specs.trust.parsed_certificate import CertificateError, parse_certificate


class AnchorKind(StrEnum):
    """How an anchor speaks for a certificate."""

    CA = "ca"
    LISTED = "listed"
    PINNED_TEST = "pinned_test"


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """A believed certificate (DER) and a name for it that people read in verdicts and evidence.

    Raises:
        CertificateError: at construction, if the certificate can't be read. A broken anchor is a mistake in the
            settings.
    """

    kind: AnchorKind
    certificate: bytes
    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", AnchorKind(self.kind))
        parse_certificate(self.certificate)

    def __hash__(self) -> int:
        return hash(self.certificate)  # kept by the bytes object: anchors are hashed at each validation


def anchors_from_pem(pem: bytes, *, kind: AnchorKind, name: str) -> tuple[TrustAnchor, ...]:
    """Every certificate of a PEM file as an anchor of one kind; several get numbered names.

    Raises:
        CertificateError: no certificate in it, or one that can't be read.
    """
    try:
        found: Sequence[x509.Certificate] = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise CertificateError(ReasonCode.CERTIFICATE_MALFORMED, "no PEM certificates") from error
    return tuple(
        TrustAnchor(
            kind=kind,
            certificate=certificate.public_bytes(Encoding.DER),
            name=f"{name} {number}" if len(found) > 1 else name,
        )
        for number, certificate in enumerate(found, start=1)
    )
