"""A published trust list to bend: entities, its signer, and times."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import SigningIdentity, generate_signer
from specs.trust.certificates import SubjectName, build_self_signed_certificate
from specs.trust.trust_list import (
    PID_PROVIDERS,
    SERVICE_TYPES,
    ListedEntity,
    ListedService,
    TrustList,
    build_trust_list,
)
from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.specs.trust.drawing import DAY, NOW, draw_two

ISSUANCE, REVOCATION = f"{SERVICE_TYPES}PID/Issuance", f"{SERVICE_TYPES}PID/Revocation"


def publisher(now: int = NOW, name: str = "List operator") -> SigningIdentity:
    """Somebody who signs lists, with a certificate of its own making."""
    signer = generate_signer()
    key = signer._ec
    assert key is not None
    return SigningIdentity(
        signer, (build_self_signed_certificate(key=key, subject=SubjectName(name, "DE"), serial=7, now=now),)
    )


def entity(name: str, *certificates: bytes, status: tuple[bytes, ...] = ()) -> ListedEntity:
    """A PID provider."""
    services = [ListedService(ISSUANCE, f"{name}: issuance", certificates)]
    if status:
        services.append(ListedService(REVOCATION, f"{name}: revocation", status))
    return ListedEntity(name, tuple(services))


def plain_list(*entities: ListedEntity, now: int = NOW, sequence: int = 5) -> TrustList:
    """A list as it should be."""
    return TrustList(
        type=PID_PROVIDERS,
        operator="Ministry",
        territory="EU",
        sequence=sequence,
        issued_at=now - DAY,
        next_update=now + 30 * DAY,
        entities=entities or (entity("Provider", draw_two().certificates()[-1]),),
    )


@dataclass(frozen=True)
class Published:
    """A list as it is sent. bend: changes the content before it is signed; edit: the text on its way."""

    identity: SigningIdentity
    content: TrustList = field(default_factory=plain_list)
    header: JsonObject = field(default_factory=dict)
    bend: Callable[[JsonObject], JsonObject] = lambda claims: claims
    edit: Callable[[str], str] = lambda text: text

    def text(self) -> str:
        """The signed list."""
        head, body, _ = build_trust_list(self.content, identity=self.identity).split(".")
        header = {**strict_json.parse_object(base64url.decode(head)), **self.header}
        header = {name: value for name, value in header.items() if value != "absent"}
        claims = self.bend(strict_json.parse_object(base64url.decode(body)))
        signed = f"{base64url.encode(strict_json.dumps(header))}.{base64url.encode(strict_json.dumps(claims))}"
        return self.edit(f"{signed}.{base64url.encode(self.identity.signer.sign(signed.encode()))}")

    def with_scheme(self, **members: object) -> "Published":
        """The scheme information says this."""

        def bend(claims: JsonObject) -> JsonObject:
            root = claims["LoTE"]
            assert isinstance(root, dict)
            scheme = root["ListAndSchemeInformation"]
            assert isinstance(scheme, dict)
            kept = {name: value for name, value in {**scheme, **members}.items() if value != "absent"}
            return {**claims, "LoTE": {**root, "ListAndSchemeInformation": kept}}  # type: ignore[dict-item]

        return replace(self, bend=bend)

    @cached_property
    def pinned(self) -> TrustAnchor:
        """The signer, as it was pinned."""
        return TrustAnchor(AnchorKind.LISTED, self.identity.chain[0], "list operator")
