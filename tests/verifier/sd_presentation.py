"""An SD-JWT VC presentation taken apart: each part can be bent alone, all others stay as they should be.

A `Jwt` is signed when its text is asked for: what a defect changes is signed anew, unless the defect is the signature.
"""

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from specs.credentials.status_list import StatusMediaType, compress
from specs.encoding import base64url, strict_json
from specs.keys.jose import jwk_from_public_key, x5c_header
from specs.keys.signer import FileSigner, Signer
from specs.protocols.dcql import DcqlQuery, parse_dcql
from specs.protocols.openid4vp.metadata import ALL_FORMATS, SupportedFormats
from specs.protocols.openid4vp.transaction_data import hash_transaction_data
from tests.specs.trust.drawing import Drawing, Scene
from tests.verifier.world import CLIENT_ID, DAY, HOUR, NONCE, QUERY, STATUS_URI, VCT, World
from verifier import DcApi, DirectPost, Fetched, Policy, Reference, TrustDomain, Verdict
from verifier.verify import references, verify_presentation

Sign = Callable[[bytes], bytes]
Claims = Mapping[str, object]
IDX = 7
SD_HASH = "sd_hash"


@dataclass(frozen=True)
class Jwt:
    """A compact JWS before it is signed. raw_header, raw_claims: bytes in place of what the members would be."""

    header: Claims
    claims: Claims
    sign: Sign
    raw_header: bytes | None = None
    raw_claims: bytes | None = None

    def heading(self, **members: object) -> "Jwt":
        """The same with these header members."""
        return replace(self, header={**self.header, **members})

    def headless(self, *names: str) -> "Jwt":
        """The same without these header members."""
        return replace(self, header={name: value for name, value in self.header.items() if name not in names})

    def saying(self, **claims: object) -> "Jwt":
        """The same with these claims."""
        return replace(self, claims={**self.claims, **claims})

    def lacking(self, *names: str) -> "Jwt":
        """The same without these claims."""
        return replace(self, claims={name: value for name, value in self.claims.items() if name not in names})

    def text(self) -> str:
        """The signed token."""
        header = strict_json.dumps(self.header) if self.raw_header is None else self.raw_header
        claims = strict_json.dumps(self.claims) if self.raw_claims is None else self.raw_claims
        signed = f"{base64url.encode(header)}.{base64url.encode(claims)}"
        return f"{signed}.{base64url.encode(self.sign(signed.encode()))}"


@dataclass(frozen=True)
class Http:
    """How the status list was answered. body: in place of the list."""

    status: int = 200
    content_type: str = StatusMediaType.JWT
    body: bytes | None = None


def _only_entry(text: str) -> object:
    return {"pid": [text]}


def _unedited(text: str) -> str:
    return text


@dataclass(frozen=True)
class SdPresentation:
    """A presentation, the list that its status stands in, and the question that it answers.

    key_binding: its claim `sd_hash` is set when the text is made, unless it is there. edit: what happens to the text on
    its way. entries: the vp_token around it.
    """

    world: World
    issuer_jwt: Jwt
    disclosures: tuple[str, ...]
    key_binding: Jwt | None
    status_list: Jwt
    domain: TrustDomain
    http: Http = Http()
    edit: Callable[[str], str] = _unedited
    entries: Callable[[str], object] = _only_entry
    query: DcqlQuery = QUERY
    nonce: str = NONCE
    client_id: str | None = CLIENT_ID
    binding: DirectPost | DcApi = field(default_factory=lambda: DirectPost("https://city.example/response"))
    policy: Policy = field(default_factory=Policy)
    transaction_data: tuple[str, ...] = ()
    vcts: tuple[str, ...] = (VCT,)
    scene: Scene | None = None
    status_uri: str = STATUS_URI
    revocation: Mapping[str, Fetched | None] = field(default_factory=dict)
    type_metadata: Mapping[str, Fetched | None] = field(default_factory=dict)
    announced: SupportedFormats = ALL_FORMATS

    # the issuer

    def issuer_heading(self, **members: object) -> "SdPresentation":
        """The issuer's header says this."""
        return replace(self, issuer_jwt=self.issuer_jwt.heading(**members))

    def issuer_headless(self, *names: str) -> "SdPresentation":
        """The issuer's header lacks this."""
        return replace(self, issuer_jwt=self.issuer_jwt.headless(*names))

    def issuer_saying(self, **claims: object) -> "SdPresentation":
        """The issuer's payload says this."""
        return replace(self, issuer_jwt=self.issuer_jwt.saying(**claims))

    def issuer_lacking(self, *names: str) -> "SdPresentation":
        """The issuer's payload lacks this."""
        return replace(self, issuer_jwt=self.issuer_jwt.lacking(*names))

    def issuer_writing(self, payload: Callable[[bytes], bytes]) -> "SdPresentation":
        """The issuer's payload is written in other bytes, and signed."""
        return replace(
            self, issuer_jwt=replace(self.issuer_jwt, raw_claims=payload(strict_json.dumps(self.issuer_jwt.claims)))
        )

    def issuer_signing(self, sign: Sign) -> "SdPresentation":
        """The issuer's signature is made in another way."""
        return replace(self, issuer_jwt=replace(self.issuer_jwt, sign=sign))

    def hiding(self, *contents: Sequence[object], under: tuple[str, ...] = ()) -> "SdPresentation":
        """The issuer hides these, written as [salt, name, value], in the object at a path; the holder shows them."""
        return self.hiding_texts(*(disclosure(content) for content in contents), under=under)

    def hiding_texts(self, *texts: str, under: tuple[str, ...] = ()) -> "SdPresentation":
        """As `hiding`, for disclosures already written."""
        return self.digesting(*texts, under=under).showing(*texts)

    def digesting(self, *texts: str, under: tuple[str, ...] = ()) -> "SdPresentation":
        """The issuer's payload has the digests of these in the object at a path."""
        claims = copy.deepcopy(dict(self.issuer_jwt.claims))
        node: object = claims
        for step in under:
            assert isinstance(node, dict)
            node = node[step]
        assert isinstance(node, dict)
        alg = str(claims.get("_sd_alg", "sha-256"))
        node["_sd"] = [*node.get("_sd", []), *(digest(text, alg=alg) for text in texts)]
        return replace(self, issuer_jwt=replace(self.issuer_jwt, claims=claims))

    def showing(self, *texts: str) -> "SdPresentation":
        """The holder shows these disclosures too."""
        return replace(self, disclosures=(*self.disclosures, *texts))

    def drawn(self, scene: Scene) -> "SdPresentation":
        """The issuer signs with the leaf of this scene, and its chain and anchors are the scene's."""
        dated = tuple(_moved(drawing, self.world.now - scene.now) for drawing in scene.drawings)
        certificates = replace(scene, drawings=dated).certificates()
        signer = scene.drawings[0].key
        assert isinstance(signer, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey))
        own = FileSigner(signer)
        jwt = self.issuer_jwt.heading(alg=own.alg, x5c=x5c_header(scene.sent(certificates)))
        anchors = tuple(scene.believed(certificates))
        return replace(
            self,
            issuer_jwt=replace(jwt, sign=own.sign),
            domain=replace(self.domain, anchors=anchors),
            scene=scene,
        )

    # the holder

    def holder_heading(self, **members: object) -> "SdPresentation":
        """The key binding's header says this."""
        return self.holder(lambda jwt: jwt.heading(**members))

    def holder_saying(self, **claims: object) -> "SdPresentation":
        """The key binding says this."""
        return self.holder(lambda jwt: jwt.saying(**claims))

    def holder_lacking(self, *names: str) -> "SdPresentation":
        """The key binding lacks this."""
        return self.holder(lambda jwt: jwt.lacking(*names))

    def holder_signing(self, sign: Sign) -> "SdPresentation":
        """The key binding's signature is made in another way."""
        return self.holder(lambda jwt: replace(jwt, sign=sign))

    def holder(self, change: Callable[[Jwt], Jwt]) -> "SdPresentation":
        """The key binding is another."""
        assert self.key_binding is not None
        return replace(self, key_binding=change(self.key_binding))

    def unbound(self) -> "SdPresentation":
        """There is no key binding."""
        return replace(self, key_binding=None)

    # the status list

    def status_saying(self, **claims: object) -> "SdPresentation":
        """The status list's token says this."""
        return replace(self, status_list=self.status_list.saying(**claims))

    def status_listing(self, raw: bytes, *, bits: int) -> "SdPresentation":
        """The status list is this one."""
        return self.status_saying(status_list={"bits": bits, "lst": base64url.encode(compress(raw))})

    def pointing(self, **reference: object) -> "SdPresentation":
        """The credential's reference to its status says this."""
        return self.issuer_saying(status={"status_list": {"idx": IDX, "uri": STATUS_URI, **reference}})

    # the question

    def asking(self, *claims: Mapping[str, object], **members: object) -> "SdPresentation":
        """The question asks for these claims of the one credential."""
        entry: dict[str, object] = {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": list(self.vcts)}}
        if claims:
            entry["claims"] = list(claims)
        return replace(self, query=dcql({"credentials": [{**entry, **members}]}))

    def under(self, **settings: object) -> "SdPresentation":
        """The procedure has other rules."""
        return replace(self, policy=replace(self.policy, **settings))  # type: ignore[arg-type]  # checked when run

    # the whole

    @property
    def hashed_part(self) -> str:
        """What the key binding is over."""
        return "~".join((self.issuer_jwt.text(), *self.disclosures, ""))

    def text(self) -> str:
        """The presentation as it is sent."""
        hashed = self.hashed_part
        if self.key_binding is None:
            return self.edit(hashed)
        alg = str(self.issuer_jwt.claims.get("_sd_alg", "sha-256"))
        claims = {SD_HASH: digest(hashed, alg=alg), **self.key_binding.claims}
        return self.edit(hashed + replace(self.key_binding, claims=claims).text())

    def vp_token(self) -> object:
        """The answer around it."""
        return self.entries(self.text())

    def fetched(self) -> dict[tuple[str, str], Fetched | None]:
        """What came from the address that the reference should name."""
        body = self.status_list.text().encode() if self.http.body is None else self.http.body
        answer = Fetched(body, self.http.status, self.http.content_type, self.world.now)
        return {(self.status_uri, StatusMediaType.JWT): answer}

    def prepared(self) -> partial[Verdict]:
        """The verifier's work alone: everything is made, signed and fetched before."""
        return partial(
            verify_presentation,
            self.vp_token(),
            query=self.query,
            nonce=self.nonce,
            client_id=self.client_id,
            binding=self.binding,
            trust=self._trust(),
            status_lists=self.fetched(),
            policy=self.policy,
            now=self.world.now,
            transaction_data=self.transaction_data,
            announced=self.announced,
            type_metadata=self.type_metadata,
            revocation=self.revocation,
        )

    def judged(self) -> Verdict:
        """The verdict."""
        return self.prepared()()

    def references(self) -> tuple[Reference, ...]:
        """What the verifier wants to have fetched, before anything was."""
        return self._references({}, {})

    def further_references(self) -> tuple[Reference, ...]:
        """What the verifier wants to have fetched now that the status list and `revocation` are there."""
        return self._references(self.fetched(), self.revocation)

    def _references(
        self, status_lists: Mapping[tuple[str, str], Fetched | None], revocation: Mapping[str, Fetched | None]
    ) -> tuple[Reference, ...]:
        return references(
            self.vp_token(),
            query=self.query,
            nonce=self.nonce,
            client_id=self.client_id,
            binding=self.binding,
            trust=self._trust(),
            policy=self.policy,
            now=self.world.now,
            transaction_data=self.transaction_data,
            announced=self.announced,
            type_metadata=self.type_metadata,
            status_lists=status_lists,
            revocation=revocation,
        )

    def _trust(self) -> dict[tuple[str, str], tuple[TrustDomain, ...]]:
        return {("dc+sd-jwt", vct): (self.domain,) for vct in self.vcts}


def valid_presentation(world: World) -> SdPresentation:
    """What a wallet shows to the question of the world: two claims of a credential, all as it should be."""
    hidden = {
        "family_name": disclosure(["salt-of-family-name----", "family_name", "LINDENAU"]),
        "given_name": disclosure(["salt-of-given-name-----", "given_name", "MILA JOHANNA"]),
        "locality": disclosure(["salt-of-locality-------", "locality", "LEIPZIG"]),
        "street": disclosure(["salt-of-street---------", "street_address", "BEISPIELGASSE 7"]),
        "18": disclosure(["salt-of-18-------------", "18", True]),
        "first": disclosure(["salt-of-first----------", "DE"]),
        "second": disclosure(["salt-of-second---------", "FR"]),
    }
    digests = {name: digest(text) for name, text in hidden.items()}
    issuer, holder, status = world.sd_jwt_identity, world.holder, world.status_identity
    return SdPresentation(
        world=world,
        issuer_jwt=Jwt(
            {"alg": issuer.signer.alg, "typ": "dc+sd-jwt", "x5c": x5c_header(issuer.chain)},
            {
                "vct": VCT,
                "iat": world.now - HOUR,
                "nbf": world.now - HOUR,
                "exp": world.now + 14 * DAY,
                "cnf": {"jwk": jwk_from_public_key(holder.public_key)},
                "status": {"status_list": {"idx": IDX, "uri": STATUS_URI}},
                "_sd_alg": "sha-256",
                "_sd": [digests["family_name"], digests["given_name"]],
                "address": {"_sd": [digests["locality"], digests["street"]], "country": "DE"},
                "nationalities": [{"...": digests["first"]}, {"...": digests["second"]}],
                "age_equal_or_over": {"_sd": [digests["18"]]},
            },
            issuer.signer.sign,
        ),
        disclosures=(hidden["family_name"], hidden["locality"]),
        key_binding=Jwt(
            {"alg": holder.alg, "typ": "kb+jwt"},
            {"iat": world.now, "aud": CLIENT_ID, "nonce": NONCE},
            holder.sign,
        ),
        status_list=Jwt(
            {"alg": status.signer.alg, "typ": "statuslist+jwt", "x5c": x5c_header(status.chain)},
            {
                "sub": STATUS_URI,
                "iat": world.now - 60,
                "exp": world.now + DAY,
                "ttl": 300,
                "status_list": {"bits": 2, "lst": base64url.encode(compress(bytes(250)))},
            },
            status.signer.sign,
        ),
        domain=world.domain,
    )


def disclosure(content: Sequence[object]) -> str:
    """[salt, name, value] or [salt, value] as it is sent."""
    return base64url.encode(strict_json.dumps(list(content)))


FIRST_NATIONALITY = disclosure(["salt-of-first----------", "DE"])
GIVEN_NAME = disclosure(["salt-of-given-name-----", "given_name", "MILA JOHANNA"])
AGE_OVER_18 = disclosure(["salt-of-18-------------", "18", True])

_HASHES = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}


def digest(text: str, *, alg: str = "sha-256") -> str:
    """The digest of a text as base64url; by SHA-256 where the algorithm is one that nobody knows."""
    return base64url.encode(hashlib.new(_HASHES.get(alg, "sha256"), text.encode()).digest())


def raw_ecdsa(key: ec.EllipticCurvePrivateKey, *, size: int, using: hashes.HashAlgorithm) -> Sign:
    """Signs as JOSE wants it, with any curve and hash. size: bytes of a coordinate."""

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(using)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return sign


def dcql(query: Mapping[str, object]) -> DcqlQuery:
    """A question, written as it is sent."""
    return parse_dcql(strict_json.dumps(query))


def bound_to(shown: SdPresentation, *entries: str, alg: str | None = None) -> SdPresentation:
    """The holder also agreed to this transaction data."""
    claims: dict[str, object] = {
        "transaction_data_hashes": [hash_transaction_data(entry, alg=alg or "sha-256") for entry in entries]
    }
    if alg is not None:
        claims["transaction_data_hashes_alg"] = alg
    return replace(shown.holder_saying(**claims), transaction_data=entries)


def held_by(shown: SdPresentation, holder: Signer) -> SdPresentation:
    """The credential is bound to this key, and its holder signs with it."""
    cnf = {"jwk": jwk_from_public_key(holder.public_key)}
    return shown.issuer_saying(cnf=cnf).holder_heading(alg=holder.alg).holder_signing(holder.sign)


Prepare = Callable[[SdPresentation], SdPresentation]
_twins: dict[object, Prepare] = {}


def twin(prepare: Prepare) -> Callable[[Prepare], Prepare]:
    """Let a defect start from another valid presentation than the plain one."""

    def register(apply: Prepare) -> Prepare:
        _twins[apply] = prepare
        return apply

    return register


def valid_twin(apply: Prepare, plain: SdPresentation) -> SdPresentation:
    """The valid presentation that a defect is applied to."""
    prepare = _twins.get(apply)
    return plain if prepare is None else prepare(plain)


def _moved(drawing: Drawing, seconds: int) -> Drawing:
    return replace(drawing, begin=drawing.begin + seconds, end=drawing.end + seconds)
