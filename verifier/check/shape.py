"""Is the answer of the shape that was asked for? Its entries, not yet their content (OpenID4VP §8.1, §8.6)."""

from typing import NamedTuple

from specs.protocols.dcql import FORMAT_MDOC, FORMAT_SD_JWT_VC, CredentialQuery, DcqlQuery
from specs.refusal import ReasonCode
from verifier.expectations import Limits
from verifier.verdict import Refused


class Presentation(NamedTuple):
    """One element of the vp_token: which query it says it answers, and its text."""

    query: CredentialQuery
    position: int
    text: str

    @property
    def where(self) -> str:
        """How a verdict points at it."""
        return f"{self.query.id}[{self.position}]"


def check_shape(vp_token: object, *, query: DcqlQuery, limits: Limits) -> tuple[Presentation, ...]:
    """Take the vp_token apart, in the order of the query.

    Raises:
        Refused: not an object, an id that was not asked, an empty array, too many, or an element of another format.
    """
    if not isinstance(vp_token, dict):
        raise Refused(ReasonCode.VP_TOKEN_MALFORMED, "not an object")
    for query_id in vp_token:
        if query_id not in query.by_id:
            raise Refused(ReasonCode.QUERY_ID_UNKNOWN)
    presentations: list[Presentation] = []
    for credential_query in query.credentials:
        if credential_query.id not in vp_token:
            continue
        elements = vp_token[credential_query.id]
        if not isinstance(elements, list) or not elements:
            raise Refused(ReasonCode.VP_TOKEN_MALFORMED, "not a non-empty array", where=credential_query.id)
        if len(elements) > 1 and not credential_query.multiple:
            raise Refused(ReasonCode.TOO_MANY_PRESENTATIONS, where=credential_query.id)
        for position, element in enumerate(elements):
            presentations.append(_presentation(credential_query, position, element, limits))
            if len(presentations) > limits.presentations:
                raise Refused(ReasonCode.TOO_MANY_PRESENTATIONS, "limit")
    return tuple(presentations)


def _presentation(query: CredentialQuery, position: int, element: object, limits: Limits) -> Presentation:
    if type(element) is str and query.format in (FORMAT_SD_JWT_VC, FORMAT_MDOC):
        if len(element) > limits.presentation_bytes:
            raise Refused(ReasonCode.LIMIT_EXCEEDED, "presentation", where=f"{query.id}[{position}]")
        # base64url has neither; a compact SD-JWT has both
        if "~" not in element if query.format == FORMAT_MDOC else "~" in element or "." in element:
            return Presentation(query, position, element)
    raise Refused(ReasonCode.FORMAT_MISMATCH, where=f"{query.id}[{position}]")
