"""What is measured: ten claims in both formats, minted and verified, by us, by the bare cryptography, by peers.

Holders take turns, each with a key and a credential of its own. Issuer, question and status list come again at each
call, as they do at a verifier; nothing else does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials.key_binding import build_key_binding
from specs.credentials.mdoc import Validity, parse_issuer_signed
from specs.credentials.mdoc_device import build_device_response, build_document
from specs.credentials.mdoc_issue import build_issuer_signed, mdoc_identity
from specs.credentials.sd_jwt_issue import Sd
from specs.credentials.sd_jwt_present import parse_issued, serialize
from specs.credentials.sd_jwt_vc import TYP, build_sd_jwt_vc, vc_issuer
from specs.credentials.status_list import StatusReference, status_reference_claim
from specs.encoding import base64url
from specs.keys.jose import jwk_from_public_key, x5c_header
from specs.keys.signer import Signer, generate_signer
from specs.protocols.dcql import parse_dcql
from tests.bench import peers
from tests.verifier.world import CLIENT_ID, DAY, DOC_TYPE, HOUR, NAME_SPACE, NONCE, STATUS_URI, VCT, World
from verifier import Policy
from verifier.verify import verify_presentation

CLAIMS = {f"claim_{number}": f"value number {number}" for number in range(10)}
HOLDERS = 16
Call = Callable[[], object]


@dataclass(frozen=True)
class Subject:
    """One row: our call, its floor, the ratio that is wanted, and peers that do the same."""

    id: str
    ours: Call
    floor: Call
    target: float
    peers: dict[str, Call] = field(default_factory=dict)


def subjects() -> list[Subject]:
    """All rows, on fresh keys."""
    world = World()
    holders = [generate_signer() for _ in range(HOLDERS)]
    return [
        _verify_sd_jwt(world, holders),
        _mint_sd_jwt(world, holders),
        _verify_mdoc(world, holders),
        _mint_mdoc(world, holders),
    ]


def _floor(*, signatures: int = 0, verifications: int = 0) -> Call:
    key = ec.generate_private_key(ec.SECP256R1())
    public_key, algorithm = key.public_key(), ec.ECDSA(hashes.SHA256())
    message = b"m" * 1024
    signature = key.sign(message, algorithm)

    def run() -> None:
        for _ in range(signatures):
            key.sign(message, algorithm)
        for _ in range(verifications):
            public_key.verify(signature, message, algorithm)

    return run


def _verify_sd_jwt(world: World, holders: Sequence[Signer]) -> Subject:
    query = parse_dcql(
        {
            "credentials": [
                {
                    "id": "c",
                    "format": "dc+sd-jwt",
                    "meta": {"vct_values": [VCT]},
                    "claims": [{"path": [name]} for name in CLAIMS],
                }
            ]
        }
    )
    shown = [_shown_sd_jwt(world, holder) for holder in holders]
    presentations = cycle(shown)
    lists, policy = world.status_lists(), Policy()

    def ours() -> None:
        verdict = verify_presentation(
            {"c": [next(presentations)]},
            query=query,
            nonce=NONCE,
            client_id=CLIENT_ID,
            binding=world.binding,
            trust=world.trust,
            status_lists=lists,
            policy=policy,
            now=world.now,
        )
        assert verdict.accepted

    peer = peers.verify_sd_jwt(
        shown[0], issuer_key=_p256(world.sd_jwt_identity.signer), nonce=NONCE, audience=CLIENT_ID
    )
    return Subject("verify_sd_jwt", ours, _floor(verifications=2), 0.65, {"sd-jwt": peer})


def _shown_sd_jwt(world: World, holder: Signer) -> str:
    issued = parse_issued(_mint_sd(world, [holder])())
    bound = build_key_binding(issued, signer=holder, nonce=NONCE, audience=CLIENT_ID, issued_at=world.now)
    return serialize(bound)


def _mint_sd(world: World, holders: Sequence[Signer]) -> Callable[[], str]:
    issuer = vc_issuer(world.sd_jwt_identity)
    jwks = cycle([jwk_from_public_key(holder.public_key) for holder in holders])
    claims = {name: Sd(value) for name, value in CLAIMS.items()}
    status = status_reference_claim(StatusReference(STATUS_URI, 7))

    def mint() -> str:
        return build_sd_jwt_vc(
            claims,
            issuer=issuer,
            vct=VCT,
            holder_jwk=next(jwks),
            not_before=world.now - HOUR,
            expires_at=world.now + 14 * DAY,
            status=status,  # type: ignore[arg-type]  # dict is invariant
        )

    return mint


def _mint_sd_jwt(world: World, holders: Sequence[Signer]) -> Subject:
    always: dict[str, object] = {
        "vct": VCT,
        "nbf": world.now - HOUR,
        "exp": world.now + 14 * DAY,
        "status": status_reference_claim(StatusReference(STATUS_URI, 7)),
    }
    header = {"typ": TYP, "x5c": x5c_header(world.sd_jwt_identity.chain)}
    peer = peers.mint_sd_jwt(CLAIMS, always, header=header, holder=_p256(holders[0]))
    return Subject("mint_sd_jwt", _mint_sd(world, holders), _floor(signatures=1), 0.45, {"sd-jwt": peer})


def _mint_issuer_signed(world: World, holders: Sequence[Signer]) -> Callable[[], bytes]:
    identity = mdoc_identity(world.mdoc_identity)
    device_keys = cycle([holder.public_key for holder in holders])

    def mint() -> bytes:
        return build_issuer_signed(
            identity,
            doc_type=DOC_TYPE,
            claims={NAME_SPACE: CLAIMS},
            device_key=next(device_keys),
            validity=Validity(signed=world.now - HOUR, valid_from=world.now - HOUR, valid_until=world.now + 14 * DAY),
            status=StatusReference(STATUS_URI, 7),
        )

    return mint


def _verify_mdoc(world: World, holders: Sequence[Signer]) -> Subject:
    query = parse_dcql(
        {
            "credentials": [
                {
                    "id": "c",
                    "format": "mso_mdoc",
                    "meta": {"doctype_value": DOC_TYPE},
                    "claims": [{"path": [NAME_SPACE, name]} for name in CLAIMS],
                }
            ]
        }
    )
    responses = [_shown_mdoc(world, holder) for holder in holders]
    presentations = cycle([base64url.encode(response) for response in responses])
    lists, policy = world.status_lists(), Policy()

    def ours() -> None:
        verdict = verify_presentation(
            {"c": [next(presentations)]},
            query=query,
            nonce=NONCE,
            client_id=CLIENT_ID,
            binding=world.binding,
            trust=world.trust,
            status_lists=lists,
            policy=policy,
            now=world.now,
        )
        assert verdict.accepted

    peer = peers.verify_mdoc(responses[0], session_transcript=world.transcript)
    issuer_only = peers.verify_issuer_signed(responses[0])
    return Subject("verify_mdoc", ours, _floor(verifications=2), 0.65, {"isomdoc": peer, "pymdoccbor": issuer_only})


def _shown_mdoc(world: World, holder: Signer) -> bytes:
    document = build_document(
        parse_issuer_signed(_mint_issuer_signed(world, [holder])()),
        doc_type=DOC_TYPE,
        disclose=[(NAME_SPACE, name) for name in CLAIMS],
        session_transcript=world.transcript,
        device_key=holder,
    )
    return build_device_response([document])


def _mint_mdoc(world: World, holders: Sequence[Signer]) -> Subject:
    peer = peers.mint_mdoc(
        {NAME_SPACE: CLAIMS},
        doc_type=DOC_TYPE,
        certificate=world.mdoc_identity.chain[0],
        holder=_p256(holders[0]),
        now=world.now,
    )
    return Subject("mint_mdoc", _mint_issuer_signed(world, holders), _floor(signatures=1), 0.32, {"pymdoccbor": peer})


def _p256(signer: Signer) -> ec.EllipticCurvePublicKey:
    assert isinstance(signer.public_key, ec.EllipticCurvePublicKey)
    return signer.public_key
