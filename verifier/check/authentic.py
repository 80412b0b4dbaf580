"""A credential that a check let pass, on its way to the next one; the types are the order of the checks."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from specs.credentials.sd_jwt import UNDISCLOSED
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.protocols.dcql import Position
from specs.trust.x509 import ValidatedPath
from verifier.check.shape import Presentation
from verifier.expectations import TrustDomain
from verifier.verdict import Check


class Authentic(NamedTuple):
    """A credential whose issuer, dates and holder hold; its status and its fitness for the question are still open.

    identity: equal for two presentations of the same credential. tree: the claims as issued, `UNDISCLOSED` where an
    array element is hidden. claims: the same without these gaps. disclosed: positions of what the holder chose to show.
    status: the reference as the credential has it. ends: whether the credential has an end of its own. agreed: the
    transaction data, as the texts that were sent, that the holder's proof binds.
    """

    presentation: Presentation
    identity: bytes
    type: str
    types: frozenset[str]
    domain: TrustDomain
    path: ValidatedPath
    tree: Mapping[str, object]
    claims: JsonObject
    disclosed: tuple[Position, ...]
    status: object
    ends: bool
    checks: tuple[Check, ...]
    agreed: frozenset[str] = frozenset()


def visible(credential: Authentic, *, hidden: Collection[Position]) -> JsonObject:
    """The claims as a caller gets them: without the hidden positions, undisclosed array elements gone."""
    if not hidden:
        return credential.claims
    claims = _visible(credential.tree, (), frozenset(hidden))
    assert isinstance(claims, dict)  # the tree of a credential is an object
    return claims


def _visible(node: object, at: Position, hidden: frozenset[Position]) -> JsonValue:
    if isinstance(node, dict):
        return {name: _visible(value, (*at, name), hidden) for name, value in node.items() if (*at, name) not in hidden}
    if isinstance(node, list):
        return [
            _visible(value, (*at, index), hidden)
            for index, value in enumerate(node)
            if value is not UNDISCLOSED and (*at, index) not in hidden
        ]
    return node  # type: ignore[return-value]  # a JSON scalar: what the parsers put there
