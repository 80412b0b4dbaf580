"""Which portals can be registered, what each may ask, and which question its requests become."""

import hashlib
from dataclasses import replace

import pytest

from specs.protocols.dcql import parse_dcql
from tests.verifier.oidc.conftest import CALLBACK, ENTITLED, GIVEN_NAME, client
from verifier import Policy, Procedure
from verifier.adapters.oidc import ClaimSource, OidcClient, bridge_procedures
from verifier.expectations import SameClaim
from verifier.subject_link import SubjectRule

RETURN = "https://bridge.example/return"
NUMBER, BIRTHDATE = ("number",), ("birthdate",)
PORTAL = client("portal", profile=(GIVEN_NAME,), entitlement=(ENTITLED,))


def procedure(*, claim_sets: bool = False, same: bool = True) -> Procedure:
    """A city pass together with a PID, compared by their dates of birth."""
    query = parse_dcql(
        {
            "credentials": [
                {
                    "id": name,
                    "format": "dc+sd-jwt",
                    "meta": {"vct_values": [f"https://city.example/{name}"]},
                    "claims": [{"id": path, "path": [path]} for path in paths],
                    **({"claim_sets": [list(paths)]} if claim_sets else {}),
                }
                for name, paths in (
                    ("pass", ("number", "birthdate", "given_name")),
                    ("pid", ("birthdate", "family_name")),
                )
            ]
        }
    )
    rule = SameClaim({"pass": BIRTHDATE, "pid": BIRTHDATE})
    return Procedure("pass", query, policy=Policy(same_person=(rule,) if same else ()))


def linked(name: str = "portal", **scopes: tuple[ClaimSource, ...]) -> OidcClient:
    """A portal whose accounts hang on the number of the pass, shown with the PID."""
    return replace(client(name, **scopes), procedure="pass", subject=SubjectRule("pass", NUMBER, "pid"))


def asked(*clients: OidcClient, whole: Procedure) -> dict[str, dict[str, set[object]]]:
    """By question and credential, the claims that are asked for."""
    made = bridge_procedures(clients, procedures={"pass": whole}, return_url=RETURN)
    return {
        name: {entry.id: {claim.path for claim in entry.claims} for entry in each.query.credentials}
        for name, each in made.items()
    }


@pytest.mark.parametrize(
    "address",
    [
        "https://portal.example/callback",
        "http://127.0.0.1:8080/callback",
        "http://localhost/callback",
        "http://[::1]:8080/callback",
    ],
)
def test_a_person_is_sent_back_over_https_or_on_this_machine(address: str) -> None:
    assert replace(PORTAL, redirect_uris=(address,)).check_redirect_uri(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://portal.example/callback",
        "ftp://localhost/callback",
        "localhost/callback",
        "https:///callback",
        "https:callback",
        "https://portal.example/callback#",
        "https://portal.example/callback#part",
    ],
)
def test_no_person_is_sent_anywhere_else(address: str) -> None:
    """RFC 6749 §3.1.2: an absolute address without a fragment, not even an empty one."""
    with pytest.raises(ValueError, match="redirect address"):
        replace(PORTAL, redirect_uris=(CALLBACK, address))


def test_a_client_has_six_scopes_at_most_and_openid_is_none_of_them() -> None:
    assert len(client("x", **{f"s{number}": () for number in range(6)}).scopes) == 6
    for scopes in ([f"s{number}" for number in range(7)], ["openid"]):
        with pytest.raises(ValueError, match="scopes"):
            client("x", **dict.fromkeys(scopes, ()))


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash"])
def test_no_claim_of_a_wallet_takes_the_place_of_what_an_id_token_says_of_the_login(claim: str) -> None:
    """One called `sub` replaced the pseudonym, one called `nonce` what the portal compares."""
    with pytest.raises(ValueError, match="the place of"):
        client("x", profile=(GIVEN_NAME, ClaimSource(claim, "pass", ("number",))))


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("openid", "openid"),
        ("profile openid entitlement", "profile openid entitlement"),
        ("openid openid", None),
        ("openid profile profile", None),
        ("openid address", None),
        ("profile", None),
        ("", None),
        (None, None),
    ],
)
def test_a_scope_is_granted_as_it_was_asked_or_not_at_all(scope: str | None, allowed: str | None) -> None:
    """RFC 6749 §3.3: each value once, all of them the client's, `openid` among them."""
    assert PORTAL.get_allowed_scope(scope) == allowed


@pytest.mark.parametrize(
    ("method", "may"), [("client_secret_basic", True), ("client_secret_post", True), ("none", False)]
)
def test_a_client_shows_its_secret_in_either_of_two_ways(method: str, may: bool) -> None:
    assert PORTAL.check_endpoint_auth_method(method, "token") is may


def test_a_client_may_have_codes_only() -> None:
    assert [PORTAL.check_response_type(each) for each in ("code", "id_token", "code id_token")] == [True, False, False]
    assert [PORTAL.check_grant_type(each) for each in ("authorization_code", "refresh_token")] == [True, False]


def test_a_secret_is_known_by_its_digest() -> None:
    known = replace(PORTAL, secret_digest=hashlib.sha256("geheim ü".encode()).hexdigest())
    assert known.check_client_secret("geheim ü")
    assert not known.check_client_secret("geheim")


def test_each_combination_of_scopes_asks_for_what_it_needs() -> None:
    """The number leads to the account, the dates of birth are compared; a name is asked for where a scope gives it."""
    portal = linked(profile=(GIVEN_NAME,), family=(ClaimSource("family_name", "pid", ("family_name",)),))
    pass_, pid = {NUMBER, BIRTHDATE}, {BIRTHDATE}
    assert asked(portal, whole=procedure()) == {
        "oidc:portal": {"pass": pass_, "pid": pid},
        "oidc:portal+profile": {"pass": {*pass_, ("given_name",)}, "pid": pid},
        "oidc:portal+family": {"pass": pass_, "pid": {*pid, ("family_name",)}},
        "oidc:portal+family+profile": {"pass": {*pass_, ("given_name",)}, "pid": {*pid, ("family_name",)}},
    }


def test_an_account_over_two_credentials_needs_them_compared() -> None:
    """Without it anybody's PID would do beside a borrowed pass."""
    with pytest.raises(ValueError, match="same-person"):
        asked(linked(), whole=procedure(same=False))


def test_a_question_with_sets_of_claims_can_not_be_cut_down() -> None:
    """DCQL §6.4.1: a wallet that may choose among sets might leave out what is given or compared."""
    with pytest.raises(ValueError, match="does not ask for each claim"):
        asked(linked(), whole=procedure(claim_sets=True))


def test_a_claim_of_a_credential_that_nobody_asks_for_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="does not ask for each claim"):
        asked(linked(profile=(ClaimSource("email", "mail", ("email",)),)), whole=procedure())


@pytest.mark.parametrize("others", [("portal",), ("portal+profile",)])
def test_two_clients_never_share_a_question(others: tuple[str, ...]) -> None:
    """The later one's question took the place of the first one's, with other claims."""
    clients = [linked(profile=(GIVEN_NAME,)), *map(linked, others)]
    with pytest.raises(ValueError, match="is called"):
        asked(*clients, whole=procedure())
