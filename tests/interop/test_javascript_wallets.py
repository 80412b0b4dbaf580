"""OpenWallet Foundation's JavaScript packages collect from our issuer, each flow over HTTP, and check what they get.

`@openid4vc/openid4vci` and `@openid4vc/oauth2` drive the flows; `@sd-jwt/sd-jwt-vc` (with the status list) and
`@owf/mdoc` verify the credentials down to the city's root. Where the packages part from the standards:

- Their proof of possession for client attestation names a `nonce`, which is `challenge` since draft 06
  (draft-ietf-oauth-attestation-based-client-auth-07 §5.2, §8), and their attestation demands an `iss`.
- Their key attestation has the type `keyattestation+jwt` instead of `key-attestation+jwt` (OpenID4VCI Appendix D.1).
- They refuse a `notification_id` beside deferred credentials, where it may stand (OpenID4VCI §9.2): it is set aside.
- They encrypt neither requests nor answers (OpenID4VCI §10): JWE by `jose` is put around their messages.
- Their token requests have `user_pin` beside `tx_code`, as an early draft had: unknown members are ignored (§6.1).
"""

import pytest

from issuer.store.tables import Grant
from specs.encoding.strict_json import JsonObject
from tests.interop.foreign_wallet import ForeignWallet, StepFailed
from tests.interop.house import APPROVED, ATTESTED, House
from tests.issuer.wallet_api.world import CLAIMS, MDOC, SD_JWT

pytestmark = pytest.mark.interop
DOC_TYPE = "de.leipzig.leipzig_pass.1"
COPIES = 3


def refusal(wallet: ForeignWallet, step: str, **task: object) -> tuple[str | None, int | None]:
    """The error that a step met, and the status that it came with."""
    with pytest.raises(StepFailed) as refused:
        wallet.do(step, **task)
    return refused.value.error, refused.value.status


def check(asked: JsonObject, *, copies: int = 1) -> None:
    """So many credentials came, each bound to a key of its own, with the citizen's claims; others verified them."""
    collected = asked["collected"]
    assert isinstance(collected, list)
    assert len(collected) == copies
    holders, lists = set(), []
    for each in collected:
        assert isinstance(each, dict)
        claims, holder = each["claims"], each["holderKey"]
        assert isinstance(claims, dict)
        assert isinstance(holder, dict)
        assert each["isBound"] is True
        holders.add(holder["x"])
        if each["format"] == "dc+sd-jwt":
            assert CLAIMS.items() <= claims.items()
            assert each["statuses"] == [0]
            lists.append(str(claims["status"]))
        else:
            shown = claims[str(each["docType"])]
            assert isinstance(shown, dict)
            assert (shown["given_name"], shown["entitled"]) == (CLAIMS["given_name"], True)
            assert shown["birth_date"] == CLAIMS["birthdate"]
    assert len(holders) == copies
    assert len(set(lists)) == len(lists)


def begun(house: House, wallet: ForeignWallet, **offer: object) -> str:
    """A session of an attested wallet that has a token for an offer."""
    session, _ = house.begin(wallet, client=house.client(), **offer)  # type: ignore[arg-type]
    assert wallet.do("redeem", session=session["session"])["tokenType"] == "DPoP"
    return str(session["session"])


def test_public_wallet_collects_with_a_transaction_code_and_dpop(house: House, wallet: ForeignWallet) -> None:
    session, tx_code = house.begin(wallet, tenant="offen", tx_code=True)
    assert session["offered"] == sorted([SD_JWT, MDOC])
    name = session["session"]

    redeemed = wallet.do("redeem", session=name, txCode=tx_code)

    assert redeemed["tokenType"] == "DPoP"
    for configuration in (SD_JWT, MDOC):
        check(wallet.do("ask", session=name, configuration=configuration, copies=COPIES), copies=COPIES)
        assert wallet.do("notify", session=name, event="credential_accepted")["status"] == 204


def test_wrong_transaction_code_gets_nothing(house: House, wallet: ForeignWallet) -> None:
    session, tx_code = house.begin(wallet, tenant="offen", tx_code=True)
    assert tx_code is not None
    wrong = f"{(int(tx_code) + 1) % 10**6:06d}"

    assert refusal(wallet, "redeem", session=session["session"], txCode=wrong) == ("invalid_grant", 400)
    assert wallet.do("redeem", session=session["session"], txCode=tx_code)["tokenType"] == "DPoP"


def test_attested_wallet_collects_batches_in_both_formats_and_reports(house: House, wallet: ForeignWallet) -> None:
    """HAIP: wallet attestation, DPoP, batches; OpenID4VCI §11: each event once more is no error."""
    name = begun(house, wallet)

    for configuration in (SD_JWT, MDOC):
        check(wallet.do("ask", session=name, configuration=configuration, copies=COPIES), copies=COPIES)
        for event in ("credential_accepted", "credential_accepted", "credential_deleted"):
            assert wallet.do("notify", session=name, event=event)["status"] == 204
    assert refusal(wallet, "notify", session=name, event="credential_accepted", withoutDpop=True) == (None, 401)


def test_wallet_without_attestation_gets_no_token_under_haip(house: House, wallet: ForeignWallet) -> None:
    session, _ = house.begin(wallet)

    assert refusal(wallet, "redeem", session=session["session"]) == ("invalid_client", 401)


def test_login_leads_to_credentials_through_a_pushed_request(house: House, wallet: ForeignWallet) -> None:
    """Authorization code with PAR, PKCE (S256), DPoP and attestation; the packages compare the answer's `iss`."""
    session, _ = house.begin(wallet, grant=Grant.AUTHORIZATION_CODE, client=house.client())
    name = session["session"]
    asked = wallet.do("authorize", session=name, scope=f"{SD_JWT} {MDOC}")
    assert asked["challengeMethod"] == "S256"
    assert "urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri" in str(asked["url"])

    back = house.log_in(str(asked["url"]))

    assert wallet.do("redeem", session=name, redirectedTo=back)["tokenType"] == "DPoP"
    for configuration in (SD_JWT, MDOC):
        check(wallet.do("ask", session=name, configuration=configuration))


def test_code_is_worth_nothing_without_its_verifier(house: House, wallet: ForeignWallet) -> None:
    session, _ = house.begin(wallet, grant=Grant.AUTHORIZATION_CODE, client=house.client())
    asked = wallet.do("authorize", session=session["session"], scope=SD_JWT)
    back = house.log_in(str(asked["url"]))

    refused = refusal(wallet, "redeem", session=session["session"], redirectedTo=back, codeVerifier="x" * 43)

    assert refused == ("invalid_grant", 400)


def test_credential_that_comes_later_is_fetched_and_renewed_tokens_are_bound(
    house: House, wallet: ForeignWallet
) -> None:
    """OpenID4VCI §9: 202 with the interval, again until the city approves; the refresh token has its first DPoP key."""
    configuration = f"{APPROVED}-sd-jwt"
    name = begun(house, wallet, configurations=(configuration,))

    later = wallet.do("ask", session=name, configuration=configuration, copies=2)
    still = wallet.do("comeBack", session=name, configuration=configuration)
    assert [(each["status"], each["interval"]) for each in (later, still)] == [(202, 60), (202, 60)]
    house.approve_all()
    assert wallet.do("refresh", session=name)["tokenType"] == "DPoP"
    check(wallet.do("comeBack", session=name, configuration=configuration), copies=2)
    assert wallet.do("notify", session=name, event="credential_accepted")["status"] == 204
    assert refusal(wallet, "refresh", session=name, withAnotherKey=True) == ("invalid_grant", 400)


@pytest.mark.parametrize("encryption", [{"enc": "A128GCM"}, {"enc": "A256GCM", "zip": "DEF"}], ids=["plain", "zipped"])
def test_request_and_answer_are_encrypted(house: House, wallet: ForeignWallet, encryption: dict[str, str]) -> None:
    """OpenID4VCI §10: both ways, at once and deferred."""
    name = begun(house, wallet, configurations=(SD_JWT, f"{APPROVED}-mdoc"))

    at_once = wallet.do("ask", session=name, configuration=SD_JWT, copies=2, encryption=encryption)
    later = wallet.do("ask", session=name, configuration=f"{APPROVED}-mdoc", encryption=encryption)
    house.approve_all()
    came = wallet.do("comeBack", session=name, configuration=f"{APPROVED}-mdoc", encryption=encryption)

    check(at_once, copies=2)
    check(came)
    for answer in (at_once, later, came):
        assert answer["openedHeaders"] == [{"alg": "ECDH-ES", "kid": "answer", **encryption} | _epk(answer)]


def _epk(answer: JsonObject) -> JsonObject:
    headers = answer["openedHeaders"]
    assert isinstance(headers, list)
    (header,) = headers
    assert isinstance(header, dict)
    return {"epk": header["epk"]}


@pytest.mark.parametrize("way", ["jwt", "attestation"])
def test_attested_keys_give_a_credential_each(house: House, wallet: ForeignWallet, way: str) -> None:
    """OpenID4VCI Appendix F.1, F.3: the attestation in each proof, or instead of proofs."""
    configuration = f"{ATTESTED}-sd-jwt"
    name = begun(house, wallet, configurations=(configuration,))

    asked = wallet.do(
        "ask",
        session=name,
        configuration=configuration,
        copies=COPIES,
        attestedAs=way,
        attester=house.provider.to_json(),
    )

    check(asked, copies=COPIES)


def test_keys_must_be_attested_by_the_standards_type(house: House, wallet: ForeignWallet) -> None:
    """OpenID4VCI Appendix D.1: `typ` is `key-attestation+jwt`; the packages' own maker writes `keyattestation+jwt`."""
    configuration = f"{ATTESTED}-sd-jwt"
    name = begun(house, wallet, configurations=(configuration,))
    task = {"session": name, "configuration": configuration, "attester": house.provider.to_json()}

    assert refusal(wallet, "ask", **task, attestedAs="packages") == ("invalid_proof", 400)
    check(wallet.do("ask", **task, attestedAs="jwt"))


def test_proofs_for_another_issuer_or_nonce_give_nothing(house: House, wallet: ForeignWallet) -> None:
    name = begun(house, wallet)

    task = {"session": name, "configuration": SD_JWT}

    assert refusal(wallet, "ask", **task, audience="https://other.example") == ("invalid_proof", 400)
    assert refusal(wallet, "ask", **task, nonce="made-up") == ("invalid_nonce", 400)
    check(wallet.do("ask", **task))


def test_signed_metadata_are_verified_where_the_preset_gives_them_first(house: House, wallet: ForeignWallet) -> None:
    """OpenID4VCI §12.2.3: signed by the access certificate, for who asks for either form; single copies in Germany."""
    session, _ = house.begin(wallet, tenant="bund", client=house.client())

    assert session["metadataWereSigned"] is True
    wallet.do("redeem", session=session["session"])
    for configuration in (SD_JWT, MDOC):
        check(wallet.do("ask", session=session["session"], configuration=configuration))


def test_every_published_configuration_is_known_to_the_packages(house: House, wallet: ForeignWallet) -> None:
    """Each configuration of the metadata, in both formats, is read by the packages' schemas."""
    session, _ = house.begin(wallet, client=house.client())
    known = session["known"]
    assert isinstance(known, dict)

    assert set(known) == set(house.world.catalog.configurations)
