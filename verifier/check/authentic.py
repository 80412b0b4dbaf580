"""A credential that a check let pass, on its way to the next one; the types are the order of the checks."""

from dataclasses import dataclass, replace

from specs.credentials.sd_jwt import UNDISCLOSED
from specs.encoding.strict_json import JsonValue
from specs.protocols.dcql import Position
from specs.trust.x509 import ValidatedPath
from verifier.check.shape import Presentation
from verifier.expectations import TrustDomain
from verifier.verdict import Check


@dataclass(frozen=True, slots=True)
class Authentic:
    """A credential whose issuer, dates and holder hold; its status and its fitness for the question are still open.

    identity: equal for two presentations of the same credential. tree: the claims as issued, `UNDISCLOSED` where an
    array element
    is hidden. disclosed: positions of what the holder chose to show. status: the reference as the credential has it.
    ends: whether the credential has an end of its own.
    """

    presentation: Presentation
    identity: bytes
    type: str
    types: frozenset[str]
    domain: TrustDomain
    path: ValidatedPath
    tree: dict[str, object]
    disclosed: tuple[Position, ...]
    status: object
    ends: bool
    checks: tuple[Check, ...]

    def with_checks(self, checks: tuple[Check, ...]) -> "Authentic":
        """The same credential after further checks."""
        return replace(self, checks=(*self.checks, *checks)) if checks else self


def visible(tree: object, *, hidden: frozenset[Position]) -> JsonValue:
    """The claims as a caller gets them: without the hidden positions, undisclosed array elements gone."""
    return _visible(tree, (), hidden)


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
