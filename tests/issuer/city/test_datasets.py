"""A person with two parking permits: each is offered, collected, limited, revoked and renewed by itself."""

from pathlib import Path

import pytest
from sqlmodel import select

from issuer.housekeeping import sweep
from issuer.store.tables import Credential, CredentialCopy, DeferredTransaction, OfferConfiguration
from specs.encoding.strict_json import JsonObject
from tests.defects import Defect, defect, defects
from tests.issuer.city.desk import Desk, code_of, disclosed
from tests.issuer.city.register_server import Register
from tests.issuer.city.types import write_types
from tests.issuer.wallet_api.browser import log_in_and
from tests.issuer.wallet_api.world import CLAIMS, SUBJECT, Flow, Wallet, answer_members

KIND = "resident_parking"
SD_JWT, MDOC = f"{KIND}-sd-jwt", f"{KIND}-mdoc"
FIRST, SECOND = {**CLAIMS, "given_name": "First"}, {**CLAIMS, "given_name": "Second"}
PERMITS: JsonObject = {"permit-1": FIRST, "permit-2": SECOND}
DAY = 86400


@pytest.fixture
def catalog_dir(tmp_path: Path) -> Path:
    """Parking permits, of which a person may have several."""
    return write_types(tmp_path / "types", {KIND: "datasets: several\nper_person: 3\nrefresh_days: 30"})


@pytest.fixture
def sourced_types() -> tuple[str, ...]:
    """The register knows permits."""
    return (KIND,)


@pytest.fixture
def demo_login() -> bool:
    """People can log in."""
    return True


async def offer(desk: Desk, **members: object) -> JsonObject:
    """An offer of both permits by value."""
    body: dict[str, object] = {"credential_types": [KIND], "datasets": {KIND: PERMITS}} | members
    return await desk.offer(**body)  # type: ignore[arg-type]


async def granted(wallet: Wallet, made: JsonObject) -> tuple[str, dict[str, list[str]]]:
    """Access token and identifiers by configuration."""
    answer = await wallet.redeem(str(made["code"]))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"]), identifiers_of(answer.json())


def identifiers_of(token: JsonObject) -> dict[str, list[str]]:
    """The identifiers of a token answer, by configuration."""
    details = token["authorization_details"]
    return {each["credential_configuration_id"]: each["credential_identifiers"] for each in details}  # type: ignore[union-attr,index,call-overload,misc]


async def asked(wallet: Wallet, token: str, identifier: str) -> dict[str, object]:
    """The claims of the credential behind an identifier."""
    body = await request(wallet, identifier)
    answer = await wallet.credential(token, body)
    assert answer.status_code == 200, answer.text
    return disclosed(answer.json()["credentials"][0]["credential"])  # type: ignore[return-value]


async def request(wallet: Wallet, identifier: str) -> JsonObject:
    """A credential request by identifier."""
    body = await wallet.request_body(SD_JWT)
    del body["credential_configuration_id"]
    return body | {"credential_identifier": identifier}


async def both(wallet: Wallet, token: str, identifiers: list[str]) -> set[object]:
    """Whose names stand in the credentials."""
    return {(await asked(wallet, token, each))["given_name"] for each in identifiers}


async def test_one_offer_gives_a_credential_for_each_dataset(desk: Desk) -> None:
    """OpenID4VCI §6.2, §8.2: an identifier for each dataset, also where no authorization_details were used."""
    made, wallet = await offer(desk), desk.wallet()
    assert str(made["offer_uri"]).count(SD_JWT) == 1, "an offer names a configuration once"
    token, identifiers = await granted(wallet, made)
    assert set(identifiers) == {SD_JWT}
    assert len(set(identifiers[SD_JWT])) == 2
    assert (await desk.state(made))["state"] == "authorized"

    first = await asked(wallet, token, identifiers[SD_JWT][0])
    assert (await desk.state(made))["state"] == "issued"
    second = await asked(wallet, token, identifiers[SD_JWT][1])
    assert {first["given_name"], second["given_name"]} == {"First", "Second"}

    shown = await desk.state(made)
    assert shown["state"] == "closed"
    assert sorted((each["dataset"], each["status"]) for each in shown["credentials"]) == [  # type: ignore[union-attr,index,call-overload]
        ("permit-1", "valid"),
        ("permit-2", "valid"),
    ]
    async with desk.store.reading() as session:
        copies = (await session.exec(select(CredentialCopy))).all()
    assert len({(copy.status_list_id, copy.idx) for copy in copies}) == 2
    assert len({copy.credential_id for copy in copies}) == 2


async def test_repeated_request_adds_a_copy_to_the_same_credential(desk: Desk) -> None:
    wallet = desk.wallet()
    token, identifiers = await granted(wallet, await offer(desk))
    for _ in range(2):
        assert (await asked(wallet, token, identifiers[SD_JWT][1]))["given_name"] == "Second"
    async with desk.store.reading() as session:
        (credential,) = (await session.exec(select(Credential))).all()
    assert credential.dataset == "permit-2"


@defect("ds-001", refused_as="invalid_credential_request")
def by_configuration(body: JsonObject) -> JsonObject:
    """§8.2: the configuration's id says nothing where identifiers came with the token."""
    del body["credential_identifier"]
    return body | {"credential_configuration_id": SD_JWT}


@defect("ds-002", refused_as="unknown_credential_identifier")
def unknown(body: JsonObject) -> JsonObject:
    """§8.3.1: an identifier that nobody gave."""
    return body | {"credential_identifier": "permit-1"}


@defect("ds-003", refused_as="invalid_credential_request")
def two_ids(body: JsonObject) -> JsonObject:
    """§8.2: both ids together."""
    return body | {"credential_configuration_id": SD_JWT}


@pytest.mark.parametrize("case", defects("ds"), ids=str)
async def test_request_that_does_not_say_which_is_refused(case: Defect[JsonObject], desk: Desk) -> None:
    wallet = desk.wallet()
    token, identifiers = await granted(wallet, await offer(desk))
    good = await request(wallet, identifiers[SD_JWT][0])
    refused = await wallet.credential(token, case.apply(dict(good)))
    assert (refused.status_code, refused.json()["error"]) == (400, case.refused_as)
    async with desk.store.reading() as session:
        assert (await session.exec(select(Credential))).first() is None
    assert (await wallet.credential(token, good)).status_code == 200


async def test_identifier_of_somebody_elses_offer_is_refused(desk: Desk) -> None:
    """Whoever learns an identifier has nothing: it is worth something with its own token alone."""
    wallet, other = desk.wallet(), desk.wallet()
    token, _ = await granted(wallet, await offer(desk))
    _, foreign = await granted(other, await offer(desk, subject="sozialamt-9"))
    refused = await wallet.credential(token, await request(wallet, foreign[SD_JWT][0]))
    assert (refused.status_code, refused.json()["error"]) == (400, "unknown_credential_identifier")


async def test_configuration_alone_names_the_only_dataset_where_a_preset_takes_either(desk: Desk) -> None:
    """Contract 3, `de-2026-11`: either id alone is taken, as long as it says which credential is meant."""
    wallet = desk.wallet("bund")
    made = await offer(desk, tenant="bund", datasets={KIND: {"permit-1": FIRST}})
    token, _ = await granted(wallet, made)
    answer = await wallet.credential(token, await wallet.request_body(SD_JWT))
    assert disclosed(answer.json()["credentials"][0]["credential"])["given_name"] == "First"

    token, _ = await granted(wallet, await offer(desk, tenant="bund"))
    refused = await wallet.credential(token, await wallet.request_body(SD_JWT))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_credential_request")


async def test_register_answers_with_all_datasets_when_the_offer_is_made(desk: Desk, register: Register) -> None:
    register.outcome = {"datasets": PERMITS}
    made, wallet = await offer(desk, datasets=None), desk.wallet()
    assert [question.get("datasets") for question in register.questions] == [True]
    token, identifiers = await granted(wallet, made)
    assert await both(wallet, token, identifiers[SD_JWT]) == {"First", "Second"}


@defect("dsr-001", refused_as="claims_source_invalid")
def one_answer(register: Register) -> Register:
    """The claims of nobody can say which."""
    register.outcome = {"claims": FIRST}
    return register


@defect("dsr-002", refused_as="claims_source_invalid")
def no_datasets(register: Register) -> Register:
    """Datasets without one; who has none is refused in so many words."""
    register.outcome = {"datasets": {}}
    return register


@defect("dsr-003", refused_as="claims_source_invalid")
def misnamed(register: Register) -> Register:
    """A name with a person in it, or anything else that is no name of ours."""
    register.outcome = {"datasets": {"L-MZ 123 Frau Lindenau": FIRST}}
    return register


@defect("dsr-004", refused_as="claims_source_invalid")
def too_many(register: Register) -> Register:
    """More than one offer holds."""
    register.outcome = {"datasets": {f"permit-{number}": FIRST for number in range(21)}}
    return register


@defect("dsr-005", refused_as="claims_source_invalid")
def misfit(register: Register) -> Register:
    """One that does not fit the type."""
    register.outcome = {"datasets": PERMITS | {"permit-3": {**FIRST, "income": 1200}}}
    return register


@pytest.mark.parametrize("case", defects("dsr"), ids=str)
async def test_register_with_datasets_that_are_none_makes_no_offer(
    case: Defect[Register], desk: Desk, register: Register
) -> None:
    case.apply(register)
    answer = await desk.make_offer(credential_types=[KIND])
    assert (answer.status_code, answer.json()["code"]) == (502, case.refused_as)


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"claims": {KIND: FIRST}}, f"/claims/{KIND}"),
        ({"claims": {"leipzig_pass": CLAIMS}, "datasets": {"leipzig_pass": {"a": CLAIMS}}}, "/datasets/leipzig_pass"),
        ({"credential_types": ["leipzig_pass"], "datasets": {"leipzig_pass": {"a": CLAIMS}}}, "/datasets/leipzig_pass"),
        ({"datasets": {KIND: {"permit-1": {**FIRST, "income": 1}}}}, f"/datasets/{KIND}/permit-1/income"),
        ({"datasets": {KIND: {"Permit 1": FIRST}}}, f"/datasets/{KIND}/Permit 1"),
        ({"datasets": {KIND: {}}}, f"/datasets/{KIND}"),
    ],
)
async def test_mistake_with_datasets_is_named_by_its_place(desk: Desk, members: JsonObject, pointer: str) -> None:
    answer = await desk.make_offer(**({"credential_types": [KIND]} | members))  # type: ignore[arg-type]
    assert answer.status_code == 422, answer.text
    assert pointer in [each["pointer"].removesuffix("/[key]") for each in answer.json()["errors"]]


async def test_login_gives_what_the_register_knows_of_the_person(desk: Desk, register: Register) -> None:
    """By scope, without authorization_details: there is no other way to say that there are two."""
    register.outcome = {"datasets": PERMITS}
    wallet = desk.wallet()
    flow = Flow(wallet)
    location = await log_in_and("approve", flow, await flow.request_uri(scope=SD_JWT))
    assert len(register.questions) == 1
    answer = await wallet.token(flow.token_form(answer_members(location)["code"]))
    assert answer.json()["scope"] == SD_JWT
    identifiers = identifiers_of(answer.json())
    assert await both(wallet, answer.json()["access_token"], identifiers[SD_JWT]) == {"First", "Second"}
    assert len(register.questions) == 1, "what was said when the login ended is issued"


async def test_login_fills_the_citys_offer_with_the_datasets(desk: Desk, register: Register) -> None:
    register.outcome = {"datasets": PERMITS}
    made = await desk.make_offer(
        credential_types=[KIND], grant="authorization_code", delivery="reference", formats=["dc+sd-jwt", "mso_mdoc"]
    )
    assert made.status_code == 201, made.text
    reference = made.json()["page"].rsplit("/", 1)[1]
    offered = (await desk.http.get(f"{desk.world.issuer_url()}/offers/{reference}")).json()
    state = offered["grants"]["authorization_code"]["issuer_state"]
    wallet = desk.wallet()
    flow = Flow(wallet)
    location = await log_in_and("approve", flow, await flow.request_uri(scope=f"{SD_JWT} {MDOC}", issuer_state=state))
    answer = await wallet.token(flow.token_form(answer_members(location)["code"]))
    identifiers = identifiers_of(answer.json())
    assert {name: len(each) for name, each in identifiers.items()} == {SD_JWT: 2, MDOC: 2}
    assert await both(wallet, answer.json()["access_token"], identifiers[SD_JWT]) == {"First", "Second"}
    async with desk.store.reading() as session:
        rows = (await session.exec(select(OfferConfiguration))).all()
    assert sorted((row.configuration_id, row.dataset) for row in rows) == sorted(
        (name, permit) for name in (SD_JWT, MDOC) for permit in PERMITS
    )


async def test_cap_counts_every_dataset(desk: Desk) -> None:
    two = await offer(desk)
    four = await desk.make_offer(
        credential_types=[KIND], datasets={KIND: {f"permit-{number}": FIRST for number in range(4)}}
    )
    assert (four.status_code, four.json()["code"]) == (409, "cap_reached")
    wallet = desk.wallet()
    token, identifiers = await granted(wallet, two)
    await both(wallet, token, identifiers[SD_JWT])
    again = await desk.make_offer(credential_types=[KIND], datasets={KIND: PERMITS})
    assert (again.status_code, again.json()["code"]) == (409, "cap_reached")
    assert (await desk.make_offer(credential_types=[KIND], datasets={KIND: {"permit-3": FIRST}})).status_code == 201


async def test_each_is_revoked_and_renewed_by_itself(desk: Desk, register: Register) -> None:
    made, wallet = await offer(desk), desk.wallet()
    token, identifiers = await granted(wallet, made)
    await both(wallet, token, identifiers[SD_JWT])
    known = {each["dataset"]: each["id"] for each in (await desk.state(made))["credentials"]}  # type: ignore[union-attr,index,call-overload]
    revoked = await desk.call("POST", f"/credentials/{known['permit-1']}/revoke", {"reason": "moved"})
    assert (revoked.json()["dataset"], revoked.json()["status"]) == ("permit-1", "revoked")
    found = await desk.call("POST", "/credentials/search", {"subject_reference": SUBJECT})
    assert {each["dataset"]: each["status"] for each in found.json()["credentials"]} == {
        "permit-1": "revoked",
        "permit-2": "valid",
    }

    register.outcome = {"datasets": PERMITS | {"permit-2": {**SECOND, "given_name": "Renewed"}}}
    body: JsonObject = {"subject": {"reference": SUBJECT}, "delivery": "value"}
    answer = await desk.call("POST", f"/credentials/{known['permit-2']}/renew", body)
    assert answer.status_code == 201, answer.text
    renewal, later = answer.json() | {"code": code_of(answer.json()["offer_uri"])}, desk.wallet()
    token, identifiers = await granted(later, renewal)
    (identifier,) = identifiers[SD_JWT]
    assert (await asked(later, token, identifier))["given_name"] == "Renewed"
    assert [each["id"] for each in (await desk.state(renewal))["credentials"]] == [known["permit-2"]]  # type: ignore[union-attr,index,call-overload]

    register.outcome = {"datasets": {"permit-1": FIRST}}
    gone = await desk.call("POST", f"/credentials/{known['permit-2']}/renew", body)
    assert (gone.status_code, gone.json()["errors"][0]["code"]) == (422, "no_such_dataset")


async def test_refresh_token_renews_the_dataset_that_the_register_still_has(desk: Desk, register: Register) -> None:
    register.outcome = {"datasets": PERMITS}
    made, wallet = await offer(desk, datasets=None), desk.wallet()
    first = await wallet.redeem(str(made["code"]))
    identifiers = identifiers_of(first.json())[SD_JWT]
    await both(wallet, first.json()["access_token"], identifiers)
    desk.clock.now += 700
    async with desk.store.transaction() as session:
        await sweep(session, now=desk.clock())

    register.outcome = {"datasets": {"permit-2": {**SECOND, "given_name": "Renewed"}}}
    form = {
        "grant_type": "refresh_token",
        "refresh_token": first.json()["refresh_token"],
        "client_id": wallet.client_id,
    }
    renewed = await wallet.token(form)
    assert identifiers_of(renewed.json())[SD_JWT] == identifiers, "the same datasets have the same identifiers"
    token = renewed.json()["access_token"]
    gone, kept = identifiers
    assert (await asked(wallet, token, kept))["given_name"] == "Renewed"
    refused = await wallet.credential(token, await request(wallet, gone))
    assert (refused.status_code, refused.json()["error"]) == (400, "credential_request_denied")


class TestLater:
    """Permits that the city approves one by one."""

    @pytest.fixture
    def catalog_dir(self, tmp_path: Path) -> Path:
        """Each waits for an approval."""
        return write_types(tmp_path / "types", {KIND: "datasets: several\ndeferral: {when: approval}"})

    async def test_each_dataset_waits_for_its_own_approval(self, desk: Desk) -> None:
        made, wallet = await offer(desk), desk.wallet()
        token, identifiers = await granted(wallet, made)
        transactions: list[str] = []
        for identifier in identifiers[SD_JWT]:
            answer = await wallet.credential(token, await request(wallet, identifier))
            assert answer.status_code == 202, answer.text
            transactions.append(answer.json()["transaction_id"])
        waiting = (await desk.call("GET", "/deferred")).json()["deferred"]
        assert {each["dataset"] for each in waiting} == set(PERMITS)
        ids = {each["dataset"]: each["id"] for each in waiting}
        assert (await desk.call("POST", f"/deferred/{ids['permit-1']}/deny", {"reason": "moved"})).status_code == 200
        assert (await desk.state(made))["state"] == "authorized", "the other one may still come"
        assert (await desk.call("POST", f"/deferred/{ids['permit-2']}/approve")).status_code == 200
        async with desk.store.reading() as session:
            assert len((await session.exec(select(DeferredTransaction))).all()) == 2
        outcomes = []
        for transaction_id in transactions:
            headers = {
                "Authorization": f"DPoP {token}",
                **wallet.dpop_header("/deferred_credential", token),
            }
            outcomes.append(
                await desk.http.post(
                    f"{wallet.issuer_url}/deferred_credential", json={"transaction_id": transaction_id}, headers=headers
                )
            )
        assert [answer.status_code for answer in outcomes] == [400, 200]
        assert disclosed(outcomes[1].json()["credentials"][0]["credential"])["given_name"] == "Second"
