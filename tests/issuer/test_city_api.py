"""The City API: what it makes, whom it lets in, what it refuses and how it says so."""

import asyncio
import base64
from dataclasses import dataclass, field, replace

import httpx
import pytest

from issuer.city_api.authentication import add_client
from issuer.store.tables import ClientKind, Role
from specs.encoding.strict_json import JsonObject
from tests.defects import Defect, defect, defects
from tests.issuer.house import PASS, PUBLIC_URL, SUBJECT, House, offer_body


@dataclass(frozen=True, slots=True)
class Request:
    """A call as it goes over the wire."""

    headers: dict[str, str]
    content: bytes
    method: str = "POST"
    path: str = "/api/v1/offers"
    more: dict[str, str] = field(default_factory=dict)

    def with_body(self, **members: object) -> "Request":
        """The same with members of the body changed."""
        return replace(self, content=httpx.Request("POST", PUBLIC_URL, json=offer_body(**members)).content)

    def with_headers(self, **headers: str) -> "Request":
        """The same with headers changed."""
        return replace(self, headers=self.headers | headers)


async def send(house: House, request: Request) -> httpx.Response:
    """Send a call."""
    return await house.http.request(request.method, request.path, headers=request.headers, content=request.content)


def valid_request(house: House) -> Request:
    """An offer that is made."""
    body = httpx.Request("POST", PUBLIC_URL, json=offer_body())
    viewer = house.authorization("leipzig", Role.VIEWER)["Authorization"]
    return Request(
        headers={
            **house.authorization(),
            "Content-Type": "application/json",
            "Idempotency-Key": "9b2f6f0a-used-before",
        },
        content=body.content,
        more={
            "viewer": viewer,
            **{f"{tenant}-key": house.authorization(tenant)["Authorization"] for tenant in ("dresden",)},
        },
    )


@defect("is-014", refused_as="not_authenticated")
def no_key(request: Request) -> Request:
    """The City API knows no anonymous call (contract of the API, RFC 6750 §3)."""
    return replace(request, headers={"Content-Type": "application/json"})


@defect("is-014b", refused_as="not_authenticated")
def another_secret(request: Request) -> Request:
    """An API key whose secret half is another one (RFC 6750 §3.1)."""
    return request.with_headers(Authorization=request.headers["Authorization"][:-4] + "AAAA")


@defect("is-014c", refused_as="role_insufficient")
def viewers_key_for_a_write(request: Request) -> Request:
    """A key that may read only (RFC 9110 §15.5.4)."""
    return request.with_headers(Authorization=request.more["viewer"])


@defect("is-014d", refused_as="idempotency_key_reused")
def idempotency_key_with_another_body(request: Request) -> Request:
    """A key stands for one request (contract of the API: 422)."""
    return request.with_body(tx_code=True)


@defect("is-014e", refused_as="body_too_large")
def ten_megabytes(request: Request) -> Request:
    """A body over the limit (RFC 9110 §15.5.14)."""
    return replace(request, content=b'{"credential_types": ["' + b"x" * 10_000_000 + b'"]}')


@defect("is-014f", refused_as="malformed_json")
def deep_json(request: Request) -> Request:
    """Nesting over the limit (RFC 8259 §9)."""
    return replace(request, content=b'{"claims": ' + b"[" * 40_000 + b"]" * 40_000 + b"}")


@defect("is-014g", refused_as="malformed_json")
def a_member_twice(request: Request) -> Request:
    """Names of an object are unique (RFC 8259 §4)."""
    return replace(request, content=request.content[:-1] + b',"tx_code":true}')


@defect("is-014h", refused_as="unsupported_media_type")
def a_form(request: Request) -> Request:
    """JSON that says it is something else, as a browser's form could send it (RFC 9110 §15.5.16)."""
    return request.with_headers(**{"Content-Type": "text/plain", "Idempotency-Key": "another-one"})


@defect("is-014i", refused_as="validation_failed")
def an_unknown_member(request: Request) -> Request:
    """Our own bodies are closed (contract of the API)."""
    return request.with_body(creditential_types=["leipzig_pass"]).with_headers(**{"Idempotency-Key": "another-one"})


@defect("is-014j", refused_as="idempotency_key_malformed")
def idempotency_key_with_a_space(request: Request) -> Request:
    """A key is visible ASCII (contract of the API)."""
    return request.with_headers(**{"Idempotency-Key": "a b c d e f"})


STATUS = {
    "not_authenticated": 401,
    "role_insufficient": 403,
    "idempotency_key_reused": 422,
    "body_too_large": 413,
    "malformed_json": 400,
    "unsupported_media_type": 415,
    "validation_failed": 422,
    "idempotency_key_malformed": 400,
}


@pytest.mark.parametrize("case", [each for each in defects("is") if each.id.startswith("is-014")], ids=str)
async def test_a_call_with_one_defect_is_refused_as_a_problem(case: Defect[Request], house: House) -> None:
    valid = valid_request(house)
    assert (await send(house, valid)).status_code == 201
    refused = await send(house, case.apply(valid))
    assert refused.headers["content-type"] == "application/problem+json"
    assert (refused.status_code, refused.json()["code"]) == (STATUS[case.refused_as], case.refused_as)


async def test_an_offer_has_all_that_the_city_needs(house: House) -> None:
    made = await house.offer(tx_code=True)
    assert made["state"] == "created"
    assert str(made["offer_uri"]).startswith(
        "openid-credential-offer://?credential_offer_uri=http%3A%2F%2F127.0.0.1%3A8701%2Ft%2Fleipzig%2Foffers%2F"
    )
    assert str(made["page"]).startswith(f"{PUBLIC_URL}/collect/")
    assert len(str(made["tx_code"])) == 6
    shown = (await house.call("GET", f"/offers/{made['id']}", role=Role.VIEWER)).json()
    assert shown == {"id": made["id"], "state": "created", "expires_at": made["expires_at"], "credentials": []}


async def test_a_repeated_request_gets_the_same_answer_and_makes_nothing(house: House) -> None:
    first = await house.call("POST", "/offers", offer_body(tx_code=True), key="5ad7-once-only")
    again = await house.call("POST", "/offers", offer_body(tx_code=True), key="5ad7-once-only")
    assert again.json() == first.json()
    assert again.status_code == first.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"


async def test_an_idempotency_key_belongs_to_one_client(house: House) -> None:
    here = await house.call("POST", "/offers", offer_body(), key="5ad7-once-only")
    there = await house.call("POST", "/offers", offer_body(), key="5ad7-once-only", tenant="dresden")
    assert here.json()["id"] != there.json()["id"]


async def test_parallel_repeats_make_one_offer(house: House) -> None:
    answers = await asyncio.gather(
        *(house.call("POST", "/offers", offer_body(), key="5ad7-in-parallel") for _ in range(8))
    )
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    refused = {answer.json()["code"] for answer in answers if answer.status_code != 201}
    assert len(made) == 1
    assert refused <= {"idempotency_key_in_flight"}


async def test_an_answer_is_not_kept_beyond_its_time(house: House) -> None:
    first = await house.call("POST", "/offers", offer_body(), key="5ad7-once-only")
    house.clock.now += 86_401
    later = await house.call("POST", "/offers", offer_body(), key="5ad7-once-only")
    assert later.status_code == 201
    assert later.json()["id"] != first.json()["id"]


async def test_a_refused_request_leaves_its_key_free(house: House) -> None:
    refused = await house.call("POST", "/offers", offer_body(credential_types=["unknown"]), key="5ad7-once-only")
    assert refused.status_code == 422
    assert (await house.call("POST", "/offers", offer_body(), key="5ad7-once-only")).status_code == 201


async def test_no_tenant_sees_anothers_offers_or_credentials(house: House) -> None:
    made = await house.offer()
    calls: tuple[tuple[str, str, JsonObject | None], ...] = (
        ("GET", f"/offers/{made['id']}", None),
        ("DELETE", f"/offers/{made['id']}", None),
        ("POST", f"/offers/{made['id']}/rearm", {}),
        ("GET", "/credentials/none", None),
        ("POST", "/credentials/none/revoke", {"reason": "moved"}),
    )
    for method, path, body in calls:
        answer = await house.call(method, path, body, tenant="dresden")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    assert (await house.call("GET", f"/offers/{made['id']}")).json()["state"] == "created"


async def test_client_credentials_get_a_token_that_works_until_it_ends(house: House) -> None:
    async with house.store.transaction() as session:
        client = await add_client(
            session,
            tenant_id="leipzig",
            name="portal",
            kind=ClientKind.CLIENT_CREDENTIALS,
            role=Role.OPERATOR,
            now=house.clock(),
        )
    basic = base64.b64encode(f"{client.client_id}:{client.secret}".encode()).decode()
    answer = await house.http.post(
        "/api/v1/token", data={"grant_type": "client_credentials"}, headers={"Authorization": f"Basic {basic}"}
    )
    assert answer.headers["cache-control"] == "no-store"
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await house.http.post("/api/v1/offers", json=offer_body(), headers=headers)).status_code == 201
    assert (
        await house.http.post(
            "/api/v1/offers", json=offer_body(), headers={"Authorization": f"Bearer {client.api_key}"}
        )
    ).status_code == 401
    house.clock.now += answer.json()["expires_in"]
    assert (await house.http.post("/api/v1/offers", json=offer_body(), headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("form", "error", "status"),
    [
        ({"grant_type": "client_credentials"}, "invalid_client", 401),
        ({"grant_type": "password"}, "unsupported_grant_type", 400),
        ({"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}, "invalid_client", 401),
        ({}, "invalid_request", 400),
    ],
)
async def test_the_token_endpoint_refuses_in_the_words_of_oauth(
    form: dict[str, str], error: str, status: int, house: House
) -> None:
    answer = await house.http.post("/api/v1/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert ("www-authenticate" in answer.headers) is (status == 401)


async def test_a_wrong_secret_in_the_header_is_answered_with_the_headers_scheme(house: House) -> None:
    """RFC 6749 §5.2: whoever tried by the Authorization header is told the scheme that it used."""
    for credentials in (base64.b64encode(b"0123456789abcdef:wrong").decode(), "no base64"):
        answer = await house.http.post(
            "/api/v1/token",
            data={"grant_type": "client_credentials"},
            headers={"Authorization": f"Basic {credentials}"},
        )
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"] == 'Basic realm="city-api"'


@pytest.mark.parametrize(
    ("members", "pointer", "code"),
    [
        ({"credential_types": ["unknown"], "claims": None}, "/credential_types/0", "unknown_type"),
        ({"credential_types": ["leipzig_pass", "leipzig_pass"]}, "/credential_types/1", "duplicate"),
        ({"credential_types": []}, "/credential_types", "too_short"),
        ({"formats": ["jwt_vc_json"]}, "/formats/0", "enum"),
        ({"claims": None}, "/claims/leipzig_pass", "missing"),
        ({"claims": {"leipzig_pass": PASS, "pid_mock": {}}}, "/claims/pid_mock", "unknown_type"),
        ({"expires_in": 30 * 86_400 + 1}, "/expires_in", "out_of_range"),
        ({"expires_in": 59}, "/expires_in", "greater_than_equal"),
        ({"grant": "authorization_code", "subject": None}, "/subject", "missing"),
        ({"grant": "authorization_code", "tx_code": True}, "/tx_code", "not_allowed"),
        ({"subject": {"reference": "a\nb"}}, "/subject/reference", "value_error"),
        ({"tx_code": "true"}, "/tx_code", "bool_type"),
    ],
)
async def test_each_mistake_of_an_offer_is_named_by_its_place(
    members: dict[str, object], pointer: str, code: str, house: House
) -> None:
    answer = await house.call("POST", "/offers", offer_body(**members))
    assert answer.status_code == 422
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]


@pytest.mark.parametrize("text", ["'; DROP TABLE offers; --", "<script>alert(1)</script>", "=HYPERLINK(1)", "Ñandú 李"])
async def test_text_stays_text(text: str, house: House) -> None:
    made = await house.offer(claims={"leipzig_pass": {**PASS, "family_name": text}}, subject={"reference": text})
    assert (await house.call("GET", f"/offers/{made['id']}")).status_code == 200
    found = await house.call("POST", "/credentials/search", {"subject_reference": text})
    assert found.json() == {"credentials": []}


async def test_a_failure_of_ours_shows_no_trace(house: House, caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> None:
        raise RuntimeError(f"about {SUBJECT}")

    house.app.add_api_route("/api/v1/broken", broken)
    answer = await house.http.get("/api/v1/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert SUBJECT not in answer.text + caplog.text


async def test_every_answer_forbids_sniffing_framing_and_caching(house: House) -> None:
    for answer in (
        await house.http.get("/healthz"),
        await house.http.get("/nowhere"),
        await house.call("GET", "/offers/x"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_logs_hold_no_reference_and_no_claim(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", logger="httpx")
    caplog.set_level("DEBUG", logger="issuer")
    made = await house.offer()
    reference = str(made["page"]).rsplit("/", 1)[1]
    await house.http.get(f"/collect/{reference}")
    assert "/api/v1/offers" in caplog.text
    for secret in (reference, str(made["id"]), SUBJECT, "Lindenau"):
        assert secret not in caplog.text


async def test_head_and_body_are_limited_at_the_limit_and_above(house: House) -> None:
    limit = house.service.settings.body_limit
    filler = offer_body()
    at_limit = httpx.Request("POST", PUBLIC_URL, json=filler).content
    headers = {**house.authorization(), "Content-Type": "application/json"}
    padded = at_limit + b" " * (limit - len(at_limit))
    assert (await house.http.post("/api/v1/offers", content=padded, headers=headers)).status_code == 201
    assert (await house.http.post("/api/v1/offers", content=padded + b" ", headers=headers)).status_code == 413
    huge = {**headers, "X-Filler": "x" * house.service.settings.header_limit}
    assert (await house.http.post("/api/v1/offers", content=at_limit, headers=huge)).status_code == 431


async def test_link_begins_with_the_scheme_that_was_asked_for(house: House) -> None:
    """HAIP 1.0 §4.2: by value as by reference; another scheme than the preset's is refused."""
    for delivery in ("value", "reference"):
        made = await house.offer(scheme="haip-vci", delivery=delivery)
        assert str(made["offer_uri"]).startswith("haip-vci://?credential_offer")
    refused = await house.call("POST", "/offers", offer_body(scheme="openid4vp"))
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
