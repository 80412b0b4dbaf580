"""Client assertions: a registered key says who asks; each defect is refused as invalid_client."""

from collections.abc import Callable

import pytest

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import PublicKey, build_jws
from specs.keys.signer import FileSigner, generate_signer
from specs.protocols.client_assertion import (
    CLIENT_ASSERTION_TYP,
    AssertedClient,
    build_client_assertion,
    client_assertion_members,
    verify_client_assertion,
)
from specs.protocols.oauth import OAuthError
from tests.specs.protocols.tokens import Token, taken_apart

CLIENT, SERVER, NOW = "https://wallet.example/app", "https://issuer.example/t/leipzig", 1_800_000_000
KEY, OTHER = generate_signer(), generate_signer()
CLAIMS: JsonObject = {"iss": CLIENT, "sub": CLIENT, "aud": SERVER, "jti": "one", "iat": NOW, "exp": NOW + 60}


def signed(claims: JsonObject, *, signer: FileSigner = KEY, typ: str = CLIENT_ASSERTION_TYP, **header: str) -> str:
    """An assertion with these claims."""
    return build_jws(strict_json.dumps(claims), signer=signer, typ=typ, header=header)


def unsigned(claims: JsonObject) -> str:
    """The same with `alg` none."""
    return f"{base64url.encode(strict_json.dumps({'alg': 'none'}))}.{base64url.encode(strict_json.dumps(claims))}."


def verified(assertion: str, *, keys: dict[str, PublicKey] | None = None, client_id: str | None = CLIENT) -> str:
    """The client of an assertion, as our server sees it."""
    known = {"k": KEY.public_key} if keys is None else keys
    return _verify(assertion, known, client_id).client_id


def _verify(assertion: str, known: dict[str, PublicKey], client_id: str | None, *, now: int = NOW) -> AssertedClient:
    return verify_client_assertion(
        assertion,
        keys_of=lambda name: known if name == CLIENT else None,
        expected_audience=SERVER,
        expected_client_id=client_id,
        now=now,
    )


def test_built_assertion_is_taken_with_and_without_kid_and_client_id() -> None:
    for kid in (None, "k"):
        built = build_client_assertion(signer=KEY, client_id=CLIENT, audience=SERVER, now=NOW, kid=kid)
        assert verified(built) == verified(built, client_id=None) == CLIENT


@pytest.mark.parametrize("kid", [None, "k"])
def test_built_assertion_says_what_the_standard_names(kid: str | None) -> None:
    """RFC 7523 §2.2, §3; FAPI 2.0 §5.3.2.1."""
    built = build_client_assertion(signer=KEY, client_id=CLIENT, audience=SERVER, now=NOW, kid=kid)

    header, claims = taken_apart(built)
    named = {} if kid is None else {"kid": kid}
    assert header == {"alg": "ES256", "typ": "client-authentication+jwt"} | named
    assert claims | {"jti": "one"} == CLAIMS
    assert client_assertion_members(built) == {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": built,
    }


def test_any_registered_key_will_do_and_unknown_claims_are_ignored() -> None:
    several = {"o": OTHER.public_key, "k": KEY.public_key, "l": generate_signer("ES384").public_key}
    assert verified(signed(CLAIMS | {"more": [1], "nbf": NOW}), keys=several) == CLIENT
    assert verified(signed(CLAIMS, typ="JWT")) == CLIENT


def test_assertion_without_typ_is_taken() -> None:
    """RFC 7523 names no `typ`."""
    head = base64url.encode(b'{"alg":"ES256"}')
    body = f"{head}.{base64url.encode(strict_json.dumps(CLAIMS))}"
    assert verified(f"{body}.{base64url.encode(KEY.sign(body.encode()))}") == CLIENT


def test_replay_key_is_the_assertions_own_and_kept_to_its_end() -> None:
    keys: dict[str, PublicKey] = {"k": KEY.public_key}
    first, again = (_verify(signed(CLAIMS), keys, None) for _ in range(2))
    other = _verify(signed(CLAIMS | {"jti": "two"}), keys, None)
    assert first.replay_key == again.replay_key != other.replay_key
    assert first.remember_until > NOW + 60


@pytest.mark.parametrize("expires_at", [NOW + 60.5, NOW + 3600, NOW - 59])
def test_assertion_is_remembered_for_as_long_as_it_would_be_accepted(expires_at: float) -> None:
    keys: dict[str, PublicKey] = {"k": KEY.public_key}
    assertion = signed(CLAIMS | {"exp": expires_at})

    client = _verify(assertion, keys, None)

    assert _verify(assertion, keys, None, now=client.remember_until - 1).replay_key == client.replay_key
    with pytest.raises(OAuthError):
        _verify(assertion, keys, None, now=client.remember_until)


def test_assertion_at_the_edges_of_time_and_length_is_taken() -> None:
    """RFC 7519 §4.1.6: `iat` may be missing."""
    assert verified(signed({name: CLAIMS[name] for name in CLAIMS if name != "iat"})) == CLIENT
    assert verified(signed(CLAIMS | {"iat": NOW + 60})) == CLIENT
    header: JsonObject = {"alg": "ES256", "typ": CLIENT_ASSERTION_TYP}
    assert verified(Token(header, CLAIMS, KEY).of_length(16 * 1024).text()) == CLIENT
    with pytest.raises(OAuthError):
        verified(Token(header, CLAIMS, KEY).of_length(16 * 1024 + 1).text())


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: signed(CLAIMS, signer=OTHER), id="other-key"),
        pytest.param(lambda: signed(CLAIMS, kid="elsewhere"), id="unknown-kid"),
        pytest.param(lambda: signed(CLAIMS, typ="dpop+jwt"), id="typ"),
        pytest.param(lambda: signed(CLAIMS | {"iss": "https://other.example"}), id="iss"),
        pytest.param(lambda: signed(CLAIMS | {"sub": "https://other.example"}), id="sub"),
        pytest.param(lambda: signed(CLAIMS | {"iss": "stranger", "sub": "stranger"}), id="unknown-client"),
        pytest.param(lambda: signed(CLAIMS | {"aud": f"{SERVER}/token"}), id="aud-endpoint"),
        pytest.param(lambda: signed(CLAIMS | {"aud": [SERVER]}), id="aud-array"),
        pytest.param(lambda: signed(CLAIMS | {"aud": [SERVER, "https://other.example"]}), id="aud-two"),
        pytest.param(lambda: signed({**CLAIMS, "exp": NOW - 61}), id="expired"),
        pytest.param(lambda: signed({**CLAIMS, "exp": NOW + 3601}), id="too-long"),
        pytest.param(lambda: signed({name: CLAIMS[name] for name in CLAIMS if name != "exp"}), id="exp-missing"),
        pytest.param(lambda: signed({name: CLAIMS[name] for name in CLAIMS if name != "jti"}), id="jti-missing"),
        pytest.param(lambda: signed(CLAIMS | {"iat": NOW + 61}), id="iat-ahead"),
        pytest.param(lambda: signed(CLAIMS | {"nbf": NOW + 61}), id="nbf-ahead"),
        pytest.param(lambda: signed(CLAIMS)[:-8] + "AAAAAAAA", id="signature"),
        pytest.param(lambda: unsigned(CLAIMS), id="none"),
        pytest.param(lambda: "x" * 20_000, id="too-large"),
        pytest.param(lambda: signed(CLAIMS | {"more": "x" * 20_000}), id="too-large-and-signed"),
    ],
)
def test_assertion_with_one_defect_is_refused(make: Callable[[], str]) -> None:
    assert verified(signed(CLAIMS)) == CLIENT
    with pytest.raises(OAuthError) as refused:
        verified(make())
    assert (refused.value.error, refused.value.status) == ("invalid_client", 401)


def test_assertion_of_a_client_that_nobody_knows_is_refused() -> None:
    claims = CLAIMS | {"iss": "stranger", "sub": "stranger"}
    for assertion in (signed(claims), signed(claims, kid="k")):
        with pytest.raises(OAuthError, match="invalid_client"):
            verified(assertion, client_id=None)


def test_assertion_of_another_client_than_the_form_names_is_refused() -> None:
    with pytest.raises(OAuthError, match="invalid_client"):
        verified(signed(CLAIMS), client_id="https://other.example")
