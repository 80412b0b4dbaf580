"""What is routed by a look into a table is found, refused and handed on as everything else is."""

from tests.issuer.house import House


async def test_another_method_of_a_known_address_is_named(house: House) -> None:
    answer = await house.http.get("/t/leipzig/token")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"] == "invalid_request"
    problem = await house.http.get("/api/v1/offers")
    assert (problem.status_code, problem.headers["content-type"]) == (405, "application/problem+json")


async def test_unknown_and_empty_tenants_are_not_found(house: House) -> None:
    for path in ("/t/nowhere/token", "/t//token", "/t/leipzig/token/", "/t/leipzig/tokens"):
        answer = await house.http.post(path)
        assert answer.status_code == 404, path


async def test_an_answer_has_the_headers_of_every_answer(house: House) -> None:
    answer = await house.http.post("/t/leipzig/nonce")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_caller_who_is_nobody_learns_nothing_of_the_body(house: House) -> None:
    for body in (b"{", b"{}"):
        answer = await house.http.post("/api/v1/offers", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
