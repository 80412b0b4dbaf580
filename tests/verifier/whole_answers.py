"""Whole answers to drawn questions: what is asked, what a wallet shows, and all that it is judged by."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import cbor2
from hypothesis import strategies as st

from specs.credentials import key_binding, sd_jwt_present, sd_jwt_vc
from specs.credentials.mdoc import parse_issuer_signed
from specs.credentials.mdoc_device import build_device_response, build_document
from specs.credentials.session_transcript import dc_api_transcript, openid4vp_transcript
from specs.encoding import base64url
from specs.keys.signer import FileSigner
from specs.protocols.dcql import parse_dcql
from specs.protocols.openid4vp.transaction_data import hash_transaction_data
from tests.verifier.naive.answer import believed
from tests.verifier.naive.credentials import Question
from tests.verifier.naive.proofs import b64, chain_of, key_identifiers
from tests.verifier.world import (
    CLIENT_ID,
    DOC_TYPE,
    NAME_SPACE,
    NONCE,
    NOW,
    RESPONSE_URI,
    VCT,
    World,
)
from verifier import DcApi, DirectPost, Fetched, Policy, TrustDomain, Verdict, verify_presentation
from verifier.verdict import Discarded
from verifier.verify import Judge

ORIGIN = "https://city.example"

WORLDS = (
    World(),
    World(alg="ES384", holder_alg="EdDSA", response_key_thumbprint=None),
    World(alg="EdDSA", holder_alg="ES512"),
)
SD_PATHS: tuple[tuple[str | int | None, ...], ...] = (
    ("family_name",),
    ("given_name",),
    ("address", "locality"),
    ("address", "postal_code"),
    ("address",),
    ("nationalities",),
    ("nationalities", None),
    ("age_equal_or_over", "18"),
)
VALUES: Mapping[tuple[str | int | None, ...], list[Any]] = {
    ("family_name",): ["LINDENAU", "KLEIN"],
    ("address", "locality"): ["LEIPZIG"],
    ("age_equal_or_over", "18"): [True],
    ("nationalities", None): ["FR", "DE"],
}
ELEMENTS = ("family_name", "given_name", "birth_date", "nationality", "resident_city", "age_over_18")
STATES = {20: 1, 21: 2, 22: 3}


@dataclass
class Case:
    """An answer and all that it is judged by, once for the verifier and once for the plain reading."""

    world: World
    query: dict[str, Any]
    token: dict[str, Any] = field(default_factory=dict)
    nonce: str = NONCE
    client_id: str = CLIENT_ID
    response_uri: str = RESPONSE_URI
    origin: str | None = None
    now: int = NOW
    anchored_in: World | None = None
    lists: dict[tuple[str, str], Fetched | None] = field(default_factory=dict)
    transaction_data: tuple[str, ...] = ()

    def verdict(self) -> Verdict:
        """What the verifier says."""
        return verify_presentation(self.token, **self._expectations(), status_lists=self.lists)

    def verdict_after_references(self) -> Verdict:
        """The same by a judge that said before what is to be fetched."""
        judge = Judge(self.token, policy=Policy(), **self._expectations())
        judge.references()
        return judge.verdict(status_lists=self.lists)

    def _expectations(self) -> dict[str, Any]:
        trusted = (self.anchored_in or self.world).domain
        domain = TrustDomain("pid", trusted.anchors, trusted.status_anchors, revocation=trusted.revocation)
        thumbprint = self.world.response_key_thumbprint
        return {
            "query": parse_dcql(self.query),
            "nonce": self.nonce,
            "client_id": None if self.origin else self.client_id,
            "binding": DcApi(self.origin, thumbprint) if self.origin else DirectPost(self.response_uri, thumbprint),
            "trust": {("dc+sd-jwt", VCT): (domain,), ("mso_mdoc", DOC_TYPE): (domain,)},
            "now": self.now,
            "transaction_data": self.transaction_data,
        }

    def without(self, discarded: Iterable[Discarded]) -> "Case":
        """The same answer without some of its presentations."""
        gone = {(each.query_id, each.position) for each in discarded}
        left = {
            name: [text for position, text in enumerate(texts) if (name, position) not in gone]
            for name, texts in self.token.items()
        }
        return replace(self, token={name: texts for name, texts in left.items() if texts})

    def plainly(self) -> list[tuple[str, dict[str, Any]]]:
        """What the plain reading says."""
        trusted = (self.anchored_in or self.world).domain
        thumbprint = self.world.response_key_thumbprint
        if self.origin:
            info: list[Any] = [self.origin, self.nonce, thumbprint]
            handover = "OpenID4VPDCAPIHandover"
        else:
            info = [self.client_id, self.nonce, thumbprint, self.response_uri]
            handover = "OpenID4VPHandover"
        roots = tuple(anchor.certificate for anchor in trusted.anchors)
        return believed(
            self.token,
            Question(
                query=self.query,
                nonce=self.nonce,
                audience=f"origin:{self.origin}" if self.origin else self.client_id,
                session=[None, None, [handover, hashlib.sha256(cbor2.dumps(info)).digest()]],
                anchors={("dc+sd-jwt", VCT): roots, ("mso_mdoc", DOC_TYPE): roots},
                status_anchors=tuple(anchor.certificate for anchor in trusted.status_anchors),
                lists={
                    place: (each.body, each.http_status, each.content_type, each.fetched_at)
                    for place, each in self.lists.items()
                    if each is not None
                },
                now=self.now,
                transaction_data=self.transaction_data,
            ),
        )


@lru_cache
def sd_jwt_of(number: int, idx: int) -> str:
    return WORLDS[number].sd_jwt(idx=idx)


@lru_cache
def mdoc_of(number: int, idx: int) -> bytes:
    return WORLDS[number].mdoc(idx=idx)


@lru_cache
def lists_of(number: int, bits: int) -> Mapping[tuple[str, str], Fetched | None]:
    return WORLDS[number].status_lists(bits=bits, states={idx: state % (1 << bits) for idx, state in STATES.items()})


@lru_cache
def authority_of(number: int) -> str:
    return sorted(key_identifiers(chain_of(list(WORLDS[number].sd_jwt_identity.chain))))[0]


@st.composite
def queries(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """What is asked for: of one to three credentials, in either format."""
    credentials: list[dict[str, Any]] = []
    for name in ("a", "b", "c")[: draw(st.integers(1, 3))]:
        is_mdoc = draw(st.booleans())
        entry: dict[str, Any] = {
            "id": name,
            "format": "mso_mdoc" if is_mdoc else "dc+sd-jwt",
            "meta": {"doctype_value": DOC_TYPE}
            if is_mdoc
            else {"vct_values": draw(st.sampled_from([[VCT], ["urn:x", VCT]]))},
        }
        claims = draw(claims_of_mdoc() if is_mdoc else claims_of_sd_jwt())
        if claims:
            entry["claims"] = claims
            if len(claims) > 1 and draw(st.booleans()):
                ids = [claim["id"] for claim in claims]
                entry["claim_sets"] = draw(st.sampled_from([[ids], [ids[:1], ids], [ids, ids[1:]]]))
        if draw(st.booleans()):
            entry["multiple"] = True
        if not is_mdoc and draw(st.integers(0, 3)) == 0:
            entry["require_cryptographic_holder_binding"] = False
        if draw(st.integers(0, 7)) == 0:
            value = draw(st.sampled_from([*[authority_of(number)] * 3, b64(b"another authority..")]))
            entry["trusted_authorities"] = [{"type": "aki", "values": [value]}]
        credentials.append(entry)
    names = [entry["id"] for entry in credentials]
    query: dict[str, Any] = {"credentials": credentials}
    if draw(st.integers(0, 2)) == 0:
        options = st.lists(st.lists(st.sampled_from(names), min_size=1, unique=True), min_size=1, max_size=2)
        sets = draw(st.lists(st.tuples(options, st.booleans()), min_size=1, max_size=2))
        query["credential_sets"] = [{"options": each, "required": required} for each, required in sets]
    return query


@st.composite
def claims_of_sd_jwt(draw: st.DrawFn) -> list[dict[str, Any]]:
    paths = draw(st.lists(st.sampled_from(SD_PATHS), unique=True, max_size=3))
    claims: list[dict[str, Any]] = []
    for position, path in enumerate(paths):
        claims.append({"id": f"c{position}", "path": list(path)})
        if path in VALUES and draw(st.integers(0, 2)) == 0:
            claims[-1]["values"] = VALUES[path]
    return claims


@st.composite
def claims_of_mdoc(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(st.sampled_from(ELEMENTS), unique=True, max_size=3))
    claims: list[dict[str, Any]] = [{"id": f"c{i}", "path": [NAME_SPACE, name]} for i, name in enumerate(names)]
    for claim in claims:
        if claim["path"][1] == "family_name" and draw(st.integers(0, 2)) == 0:
            claim["values"] = ["LINDENAU", 5]
    return claims


@st.composite
def presentations(draw: st.DrawFn, case: Case, number: int, entry: dict[str, Any]) -> str:
    """What a wallet shows: mostly what was asked, some of it more, some of it less; now and then withdrawn."""
    idx = draw(st.sampled_from([*[7] * 8, 8, 9, 20, 21]))
    asked = [tuple(claim["path"]) for claim in entry.get("claims", ())]
    if draw(st.integers(0, 5)) == 0:
        everything = [(NAME_SPACE, name) for name in ELEMENTS] if entry["format"] == "mso_mdoc" else list(SD_PATHS)
        asked = draw(st.lists(st.sampled_from(everything), unique=True))
    if entry["format"] == "mso_mdoc":
        return present_mdoc(case, mdoc_of(number, idx), tuple(asked))
    needs_proof = entry.get("require_cryptographic_holder_binding", True)
    return present_sd_jwt(case, sd_jwt_of(number, idx), tuple(asked), bound=needs_proof or draw(st.booleans()))


def present_sd_jwt(
    case: Case,
    credential: str,
    paths: tuple[tuple[str | int | None, ...], ...],
    *,
    bound: bool = True,
    holder: FileSigner | None = None,
    **claims: Any,
) -> str:
    """Show claims; further claims go into the proof."""
    issued = sd_jwt_present.parse_issued(credential)
    processed = sd_jwt_present.read_as_holder(issued, expected_typ=sd_jwt_vc.TYP)
    chosen = sd_jwt_present.select_disclosures(issued, processed, paths=paths)
    if not bound:
        return sd_jwt_present.serialize(chosen)
    agreed: dict[str, Any] = {}
    if case.transaction_data:
        agreed["transaction_data_hashes"] = [hash_transaction_data(each) for each in case.transaction_data]
    made = key_binding.build_key_binding(
        chosen,
        signer=holder or case.world.holder,
        nonce=claims.pop("nonce", case.nonce),
        audience=claims.pop("aud", f"origin:{case.origin}" if case.origin else case.client_id),
        issued_at=claims.pop("iat", NOW),
        claims={**agreed, **claims},
    )
    return sd_jwt_present.serialize(made)


def present_mdoc(
    case: Case, credential: bytes, disclose: tuple[tuple[str, str], ...], *, holder: FileSigner | None = None
) -> str:
    """Show elements, in the session of the question."""
    thumbprint = case.world.response_key_thumbprint
    transcript = (
        dc_api_transcript(origin=case.origin, nonce=case.nonce, jwk_thumbprint=thumbprint)
        if case.origin
        else openid4vp_transcript(
            client_id=case.client_id, nonce=case.nonce, jwk_thumbprint=thumbprint, response_uri=case.response_uri
        )
    )
    document = build_document(
        parse_issuer_signed(credential),
        doc_type=DOC_TYPE,
        disclose=disclose,
        session_transcript=transcript,
        device_key=holder or case.world.holder,
    )
    return base64url.encode(build_device_response([document]))
