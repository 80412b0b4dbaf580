"""A question for an age as a device answered it: the nearest element in place of the one that was asked for.

ISO/IEC 18013-5 §7.2.5. What a device chose is only looked up here; the judge believes it when the issuer signed it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from specs.credentials.age_attestation import age_asked, nearest_answer
from specs.credentials.mdoc import MdocLimits, parse_device_response, parse_item
from specs.encoding import Malformed, base64url
from specs.protocols.dcql import ClaimsQuery, CredentialQuery, DcqlQuery
from specs.refusal import Refusal

Elements = Mapping[str, Mapping[str, object]]


def query_as_answered(query: DcqlQuery, vp_token: Mapping[str, Sequence[str]], *, limits: MdocLimits) -> DcqlQuery:
    """The question with each `age_over_NN` that was not shown exchanged for the nearest one that settles it.

    A value that was wanted stays wanted: the nearest element must say the same. Nothing is exchanged where the answer
    settles nothing, or can't be read; the judge refuses it then.
    """
    credentials = [_as_answered(entry, _shown(vp_token.get(entry.id, ()), limits)) for entry in query.credentials]
    return replace(query, credentials=tuple(credentials))


def _as_answered(entry: CredentialQuery, shown: Elements) -> CredentialQuery:
    return replace(entry, claims=tuple(_claim(claim, shown) for claim in entry.claims))


def _claim(claim: ClaimsQuery, shown: Elements) -> ClaimsQuery:
    name_space, element = claim.path[0], claim.path[-1]
    asked = age_asked(element) if isinstance(element, str) and len(claim.path) == 2 else None
    if asked is None or not isinstance(name_space, str):
        return claim
    held = shown.get(name_space, {})
    answer = nearest_answer(asked, held)
    if answer is None or answer == element:
        return claim
    value = held[answer]
    if not isinstance(value, bool) or (claim.values is not None and not any(value is each for each in claim.values)):
        return claim
    return replace(claim, path=(name_space, answer), values=(value,))


def _shown(presentations: Sequence[str], limits: MdocLimits) -> Elements:
    """The elements of the one mdoc that answered; none where there are several, or it can't be read."""
    if len(presentations) != 1:
        return {}
    try:
        response = parse_device_response(base64url.decode(presentations[0]), limits=limits)
        return {
            name_space: dict(parse_item(item) for item in items)
            for document in response.documents
            for name_space, items in document.issuer_signed.name_spaces.items()
        }
    except (Malformed, Refusal):
        return {}
