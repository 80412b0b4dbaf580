"""A list of states of either kind, read as what its media type says it is."""

from typing import TypeAlias

from specs.credentials.identifier_list import (
    IDENTIFIER_LIST_CWT,
    IdentifierListToken,
    SignedIdentifierList,
    parse_identifier_list,
    verify_identifier_list,
)
from specs.credentials.status_list import (
    SignedStatusList,
    StatusListToken,
    StatusMediaType,
    parse_status_list_cwt,
    parse_status_list_jwt,
    verify_status_list,
)
from specs.keys.jose import PublicKey

LIST_MEDIA_TYPES = (*StatusMediaType, IDENTIFIER_LIST_CWT)

SignedList: TypeAlias = SignedStatusList | SignedIdentifierList
ListToken: TypeAlias = StatusListToken | IdentifierListToken


def parse_list(body: bytes, media_type: str) -> SignedList:
    """Take a list apart.

    Raises:
        StatusListError: it is no list of this media type.
    """
    if media_type == IDENTIFIER_LIST_CWT:
        return parse_identifier_list(body)
    return parse_status_list_jwt(body) if media_type == StatusMediaType.JWT else parse_status_list_cwt(body)


def verify_list(
    signed: SignedList, *, key: PublicKey, expected_uri: str, now: int, max_bytes: int, skew: int = 60
) -> ListToken:
    """Check a list, whichever it is; arguments and order as `verify_status_list` and `verify_identifier_list`.

    Raises:
        StatusListError: it does not hold.
    """
    if isinstance(signed, SignedIdentifierList):
        return verify_identifier_list(
            signed, key=key, expected_uri=expected_uri, now=now, max_bytes=max_bytes, skew=skew
        )
    return verify_status_list(signed, key=key, expected_uri=expected_uri, now=now, max_bytes=max_bytes, skew=skew)
