"""Which types is the credential of? Its own, and those it extends if its issuer signed for that (SD-JWT VC §6.4)."""

from collections.abc import Mapping

from specs.credentials.sd_jwt_vc import SdJwtVc
from specs.credentials.type_metadata import load_type
from specs.refusal import ReasonCode
from verifier.expectations import Fetched
from verifier.verdict import Refused

TypeMetadata = Mapping[str, Fetched | None]
"""Type metadata documents already fetched, by the `vct` that they describe."""


class TypeMetadataMissing(Refused):
    """The credential may be of a requested type, but the document that would say so is not there. url: where it is."""

    def __init__(self, url: str) -> None:
        super().__init__(ReasonCode.TYPE_MISMATCH, "type metadata is missing")
        self.url = url


def ancestors_of(credential: SdJwtVc, *, documents: TypeMetadata) -> frozenset[str]:
    """The credential's type and all that it extends.

    Each document must be the one whose hash the document before names, the first one's hash signed by the issuer: a
    type's publisher alone can't make a credential what its issuer did not say it is.

    Raises:
        TypeMetadataMissing: a document of the chain is not among `documents`.
        Refused: the chain is not vouched for.
        SdJwtError: a document is not what it should be, or the chain is a circle.
    """
    if credential.vct_integrity is None:
        raise Refused(ReasonCode.TYPE_MISMATCH, "the issuer does not vouch for what the type extends")
    type_ = load_type(
        credential.vct,
        integrity=credential.vct_integrity,
        documents=lambda vct: _document(vct, documents),
        require_integrity=True,
    )
    return frozenset(type_.lineage)


def _document(vct: str, documents: TypeMetadata) -> bytes:
    fetched = documents.get(vct)
    if fetched is None:
        if vct.startswith("https://"):
            raise TypeMetadataMissing(vct)
        raise Refused(ReasonCode.TYPE_MISMATCH, "vct")
    if not 200 <= fetched.http_status < 300:
        raise Refused(ReasonCode.TYPE_MISMATCH, "type metadata could not be had")
    return fetched.body
