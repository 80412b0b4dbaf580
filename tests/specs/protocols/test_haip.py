"""HAIP's stricter reading: a question as it wants it, and the same with one thing that it does not allow."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from specs.keys.jwe import new_decryption_key
from specs.protocols.dcql import DcqlQuery
from specs.protocols.haip import check_haip_chain, check_haip_request
from specs.protocols.openid4vp import (
    AuthorizationRequest,
    ClientMetadata,
    RequestError,
    ResponseMode,
    parse_client_id,
    x509_hash_client_id,
)
from tests.specs.protocols.asker import QUERY, RESPONSE_URI
from tests.specs.trust.drawing import draw_ca, draw_leaf, key

ROOT = draw_ca("Access CA", key("root"), path_length=1)
MIDDLE = draw_ca("Access CA 2", key("middle"), path_length=0, by=key("root"))
LEAF = draw_leaf("City", key("leaf"), by=key("middle"))
ANCHOR = ROOT.signed(ROOT)
CHAIN = (LEAF.signed(MIDDLE), MIDDLE.signed(ROOT))
SELF_SIGNED = LEAF.signed(LEAF)  # its signature is by the issuer's key: by its own

METADATA = ClientMetadata(None, (dict(new_decryption_key("key-1").public_jwk()),), ("A128GCM", "A256GCM"))
REDIRECTED = AuthorizationRequest(
    client_id=x509_hash_client_id(CHAIN[0]),
    response_mode=ResponseMode.DIRECT_POST_JWT,
    nonce="n",
    query=QUERY,
    response_uri=RESPONSE_URI,
    client_metadata=METADATA,
)
IN_BROWSER = replace(REDIRECTED, response_mode=ResponseMode.DC_API_JWT, response_uri=None)
UNSIGNED = replace(IN_BROWSER, client_id=None)

Change = Callable[[AuthorizationRequest], AuthorizationRequest]


def having_encs(*encs: str) -> Change:
    return lambda request: replace(request, client_metadata=replace(METADATA, encs=encs))


def having_key(**members: str) -> Change:
    (jwk,) = METADATA.encryption_keys
    return lambda request: replace(request, client_metadata=replace(METADATA, encryption_keys=({**jwk, **members},)))


def in_mode(mode: ResponseMode) -> Change:
    return lambda request: replace(request, response_mode=mode)


def asking_for(credential_format: str) -> Change:
    first, *others = QUERY.credentials
    query: DcqlQuery = replace(QUERY, credentials=(*others, replace(first, format=credential_format)))
    return lambda request: replace(request, query=query)


@pytest.mark.parametrize("request_", [REDIRECTED, IN_BROWSER], ids=["redirected", "in the browser"])
def test_a_question_as_haip_wants_it_passes(request_: AuthorizationRequest) -> None:
    for every_enc in (True, False):
        check_haip_request(request_, chain=CHAIN, anchors=(ANCHOR,), every_enc=every_enc)
    check_haip_request(request_, chain=list(CHAIN[:1]))
    check_haip_request(having_encs("A256GCM", "A128CBC-HS256", "A128GCM")(request_), chain=CHAIN)


BROKEN: dict[str, tuple[str, Change]] = {
    **{
        f"answer by {mode}": ("response_mode: HAIP wants encrypted answers", in_mode(mode))
        for mode in ResponseMode
        if mode not in (ResponseMode.DIRECT_POST_JWT, ResponseMode.DC_API_JWT)
    },
    "no metadata": (
        "encrypted_response_enc_values_supported: HAIP wants A128GCM and A256GCM",
        lambda request: replace(request, client_metadata=None),
    ),
    "no encryption that HAIP knows": (
        "encrypted_response_enc_values_supported: HAIP wants A128GCM and A256GCM",
        having_encs("A128CBC-HS256", "A256CBC-HS512"),
    ),
    "no key": (
        "client_metadata.jwks: no key that an answer can be encrypted to",
        lambda request: replace(request, client_metadata=replace(METADATA, encryption_keys=())),
    ),
    "a key of another curve": (
        "client_metadata.jwks: no key that an answer can be encrypted to",
        having_key(crv="P-384"),
    ),
    "a key that wraps another": (
        "client_metadata.jwks: no key that an answer can be encrypted to",
        having_key(alg="ECDH-ES+A256KW"),
    ),
    "another format among others": ("dcql_query: a format that HAIP does not know", asking_for("ldp_vc")),
    "another prefix": (
        "client_id: HAIP wants x509_hash",
        lambda request: replace(request, client_id=parse_client_id("x509_san_dns:v.example")),
    ),
}


@pytest.mark.parametrize("request_", [REDIRECTED, IN_BROWSER], ids=["redirected", "in the browser"])
@pytest.mark.parametrize(("description", "change"), BROKEN.values(), ids=BROKEN.keys())
def test_a_question_that_breaks_one_of_its_rules_is_refused(
    request_: AuthorizationRequest, description: str, change: Change
) -> None:
    for every_enc in (True, False):
        with pytest.raises(RequestError) as caught:
            check_haip_request(change(request_), chain=CHAIN, anchors=(ANCHOR,), every_enc=every_enc)
        assert caught.value.description == description


@pytest.mark.parametrize("encs", [("A128GCM",), ("A256GCM",), ("A128GCM", "A128GCM"), ("A256GCM", "A128CBC-HS256")])
def test_a_verifier_lists_both_encryptions_of_which_a_wallet_needs_one(encs: tuple[str, ...]) -> None:
    question = having_encs(*encs)(REDIRECTED)
    check_haip_request(question, chain=CHAIN, every_enc=False)
    with pytest.raises(RequestError, match="HAIP wants A128GCM and A256GCM"):
        check_haip_request(question, chain=CHAIN)


def test_nobody_needs_to_sign_in_the_browser_and_whoever_does_sends_a_chain() -> None:
    """§5.2, and §5.1 for everything else."""
    check_haip_request(UNSIGNED)
    for unsigned, description in (
        (replace(REDIRECTED, client_id=None), "client_id: missing"),
        (REDIRECTED, "x5c: missing"),
        (IN_BROWSER, "x5c: missing"),
    ):
        with pytest.raises(RequestError) as caught:
            check_haip_request(unsigned)
        assert caught.value.description == description


@pytest.mark.parametrize(
    ("chain", "description"),
    [
        ((), "x5c: missing"),
        ((SELF_SIGNED,), "x5c: the leaf is self-signed"),
        ((SELF_SIGNED, *CHAIN), "x5c: the leaf is self-signed"),
        ((*CHAIN, ANCHOR), "x5c: the trust anchor is sent along"),
        ((CHAIN[0], ANCHOR), "x5c: the trust anchor is sent along"),
        ((ANCHOR,), "x5c: the leaf is self-signed"),
    ],
)
def test_a_chain_has_a_leaf_by_another_and_no_anchor(chain: tuple[bytes, ...], description: str) -> None:
    other = draw_ca("Another CA", key("other"), path_length=0)
    check_haip_chain(CHAIN, anchors=(other.signed(other), ANCHOR))
    with pytest.raises(RequestError) as caught:
        check_haip_chain(chain, anchors=(other.signed(other), ANCHOR))
    assert caught.value.description == description
    with pytest.raises(RequestError) as caught:
        check_haip_request(REDIRECTED, chain=chain, anchors=(ANCHOR,))
    assert caught.value.description == description
