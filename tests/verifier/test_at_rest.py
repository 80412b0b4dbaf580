"""What a stolen database tells: nothing that answers a question, opens an answer, or is about a person."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import create_engine

from specs.encoding import base64url
from tests.verifier.desk import Asking, Desk, code_of
from verifier import Flow
from verifier.stores.memory import MemoryStore
from verifier.stores.sql import SqlStore
from verifier.transaction import Seal, State, from_row


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "verifier.db"


def desk_on(database: Path) -> Desk:
    store = SqlStore(create_engine(f"sqlite:///{database}"))
    store.create_tables()
    return Desk(store=store)


def written(database: Path) -> bytes:
    """All that lies on the disk: the database with what SQLite keeps beside it."""
    return b"".join(path.read_bytes() for path in sorted(database.parent.glob(f"{database.name}*")))


def secrets_of(asking: Asking) -> dict[str, str]:
    """What nobody may read in the store."""
    return {
        "nonce": asking.nonce,
        "state": asking.state,
        "response handle": asking.response_handle,
        "request handle": asking.request_handle,
        "session secret": asking.question.session_secret,
        "response_uri": asking.response_uri,
        "key id": asking.jwk["kid"],
    }


def test_an_open_question_tells_nothing(database: Path) -> None:
    desk = desk_on(database)
    asking = desk.ask()
    row = desk.store.by_id(asking.question.id, now=desk.world.now)
    assert row is not None
    transaction = from_row(row, seal=Seal(desk.sealing_key))
    assert (transaction.nonce, transaction.wallet_state) == (asking.nonce, asking.state)
    assert transaction.response_key is not None
    private = transaction.response_key.private
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    scalar = private.private_numbers().private_value.to_bytes(32, "big")
    disk = written(database)
    for name, secret in secrets_of(asking).items():
        assert secret.encode() not in disk, name
    for raw in (der, scalar):
        for form in (raw, base64url.encode(raw).encode(), raw.hex().encode()):
            assert form not in disk


def test_an_answered_question_tells_nothing_and_its_key_is_gone(database: Path) -> None:
    desk = desk_on(database)
    asking = desk.ask()
    code = code_of(desk.receive(asking, desk.answer(asking)))
    disk = written(database)
    for name, secret in {**secrets_of(asking), "response code": code}.items():
        assert secret.encode() not in disk, name
    for claim in (b"LINDENAU", b"LEIPZIG", b"family_name", b"wallet_error", b"dc+sd-jwt"):
        assert claim not in disk
    row = desk.store.by_id(asking.question.id, now=desk.world.now)
    assert row is not None
    assert (row.state, row.sealed, bool(row.outcome)) == (State.ANSWERED, b"", True)
    desk.verifier.result(asking.question.id, session_secret=asking.question.session_secret, response_code=code)
    row = desk.store.by_id(asking.question.id, now=desk.world.now)
    assert row is not None
    assert not row.outcome


def test_a_verdict_kept_for_a_repeat_opens_with_our_key_and_the_askers_together_only(database: Path) -> None:
    desk = desk_on(database)
    asking = desk.ask(flow=Flow.CROSS_DEVICE)
    desk.receive(asking, desk.answer(asking))
    desk.verifier.result(asking.question.id, session_secret=asking.question.session_secret, idempotency_key="7d2c-0001")
    row = desk.store.by_id(asking.question.id, now=desk.world.now)
    assert row is not None
    assert row.outcome
    disk = written(database)
    assert b"7d2c-0001" not in disk
    assert b"LINDENAU" not in disk
    for bound_to in (row.id, f"outcome:{row.id}"):
        with pytest.raises(ValueError, match="seal"):
            Seal(desk.sealing_key).open(row.outcome, bound_to=bound_to)


def test_a_row_opens_with_its_own_key_in_its_own_place_only() -> None:
    """vf-019 class: altered, moved to another transaction, or sealed under another key."""
    desk = Desk(store=MemoryStore())
    first, second = desk.ask(), desk.ask()
    row = desk.store.by_id(first.question.id, now=desk.world.now)
    assert row is not None
    seal = Seal(desk.sealing_key)
    assert from_row(row, seal=seal).nonce == first.nonce
    altered = bytes([*row.sealed[:-1], row.sealed[-1] ^ 1])
    for wrong, opener in (
        (replace(row, sealed=altered), seal),
        (replace(row, sealed=b""), seal),
        (replace(row, id=second.question.id), seal),
        (row, Seal(bytes(32))),
    ):
        with pytest.raises(ValueError, match="seal"):
            from_row(wrong, seal=opener)


@pytest.mark.parametrize("name", ["key", "mdoc_key"])
def test_a_key_of_another_kind_is_no_response_key(name: str) -> None:
    desk = Desk()
    asking = desk.ask()
    row = desk.store.by_id(asking.question.id, now=desk.world.now)
    assert row is not None
    seal, bound_to = Seal(desk.sealing_key), f"transaction:{row.id}"
    secret = json.loads(seal.open(row.sealed, bound_to=bound_to))
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    changed = json.dumps({**secret, name: base64url.encode(other)}).encode()
    with pytest.raises(ValueError, match="not a response key"):
        from_row(replace(row, sealed=seal.close(changed, bound_to=bound_to)), seal=seal)


def test_a_sealing_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32"):
        Seal(bytes(16))


def test_two_tenants_in_one_database_do_not_see_each_other(database: Path) -> None:
    engine = create_engine(f"sqlite:///{database}")
    leipzig, halle = SqlStore(engine, tenant="leipzig"), SqlStore(engine, tenant="halle")
    leipzig.create_tables()
    desk = Desk(store=leipzig)
    other = Desk(desk.world, halle, desk.sealing_key)
    asking = desk.ask(flow=Flow.CROSS_DEVICE)
    assert other.verifier.receive(asking.response_handle, desk.answer(asking)).status == 400
    assert halle.by_id(asking.question.id, now=desk.world.now) is None
    assert halle.purge(now=desk.world.now + 10_000) == 0
    assert desk.receive(asking, desk.answer(asking)).status == 200
    assert leipzig.purge(now=desk.world.now + 10_000) == 1
