"""What stands on the disk: no claim in plain text, files for one user, tables as the migrations say."""

import stat
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import select

from issuer.catalog.schema import CredentialFormat, SigningAlgorithm
from issuer.keys.certification import TenantIdentity, create_tenant_keys, renew_crl
from issuer.keys.tenant_pki import KeysError, load_tenant_keys, tenant_folder
from issuer.presets import UnknownPreset
from issuer.sealing import Sealer, SealError, new_data_key, open_data_key
from issuer.secrets_at_rest import SecretsError, create_secrets, load_secrets
from issuer.settings import IssuerSettings, SettingsError, load_settings
from issuer.store.engine import Store
from issuer.store.migrate import differences, is_current, migrate
from issuer.store.tables import OfferConfiguration, Row, Tenant
from issuer.tenant_setup import TenantExists, add_tenant
from tests.issuer.collecting import authorize, collect
from tests.issuer.house import NOW, PASS, SUBJECT, House, open_house, settings_for

SD_JWT = "leipzig_pass-sd-jwt"


async def test_no_claim_reference_or_secret_is_in_the_database_file(tmp_path: Path) -> None:
    house = await open_house(settings_for(tmp_path))
    answer = await house.call(
        "POST",
        "/offers",
        {
            "credential_types": ["leipzig_pass"],
            "subject": {"reference": SUBJECT},
            "claims": {"leipzig_pass": PASS},
            "tx_code": True,
        },
        key="3c1f-idempotent",
    )
    made = answer.json()
    await authorize(house, made["id"], configurations=[SD_JWT])
    await collect(house, made["id"], SD_JWT)
    await house.store.close()
    await house.http.aclose()
    raw = b"".join(file.read_bytes() for file in tmp_path.glob("issuer.db*"))  # noqa: ASYNC240 nothing waits
    assert made["id"].encode() in raw
    api_key = next(iter(house.keys.values()))
    for hidden in (
        *(str(value) for value in PASS.values() if isinstance(value, str)),
        SUBJECT,
        made["page"].rsplit("/", 1)[1],
        made["tx_code"],
        "3c1f-idempotent",
        api_key.secret,
    ):
        assert hidden.encode() not in raw, hidden


async def test_every_table_has_its_tenant() -> None:
    for name, table in Row.metadata.tables.items():
        assert name == "tenants" or not table.c.tenant_id.nullable


async def test_the_migrations_make_the_tables_that_the_program_knows(database_url: str) -> None:
    store = Store(database_url)
    assert not await is_current(store)
    await migrate(store)
    assert await is_current(store)
    assert await differences(store) == []
    await migrate(store)
    async with store.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE offers ADD COLUMN surplus INTEGER"))
    assert len(await differences(store)) == 1
    await store.close()


async def test_a_transaction_that_fails_leaves_nothing(house: House) -> None:
    row = Tenant(id="halb", name="Halb", preset="haip-1.0", locale="de", sealed_data_key=b"-", created_at=NOW)

    async def interrupted() -> None:
        async with house.store.transaction() as session:
            session.add(row)
            await session.flush()
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await interrupted()
    async with house.store.reading() as session:
        assert (await session.exec(select(Tenant.id).where(Tenant.id == "halb"))).first() is None


def test_a_sealed_value_opens_at_its_place_for_its_tenant_only() -> None:
    sealer = Sealer("leipzig", bytes(32))
    sealed = sealer.seal(b"Mila", place="a/1")
    assert sealer.open(sealed, place="a/1") == b"Mila"
    assert sealed != sealer.seal(b"Mila", place="a/1")
    for other, place, value in (
        (sealer, "a/2", sealed),
        (Sealer("dresden", bytes(32)), "a/1", sealed),
        (Sealer("leipzig", b"\x01" * 32), "a/1", sealed),
        (sealer, "a/1", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (sealer, "a/1", b"\x02" + sealed[1:]),
        (sealer, "a/1", b""),
    ):
        with pytest.raises(SealError):
            other.open(value, place=place)


def test_a_data_key_opens_with_the_master_key_of_its_tenant_only() -> None:
    wrapped = new_data_key(wrapping_key=bytes(32), tenant_id="leipzig")
    assert open_data_key(wrapped, wrapping_key=bytes(32), tenant_id="leipzig").tenant_id == "leipzig"
    for tenant, key in (("dresden", bytes(32)), ("leipzig", b"\x01" * 32)):
        with pytest.raises(SealError):
            open_data_key(wrapped, wrapping_key=key, tenant_id=tenant)


async def test_claims_moved_to_another_row_do_not_open(house: House) -> None:
    one, other = str((await house.offer())["id"]), str((await house.offer())["id"])
    async with house.store.transaction() as session:
        rows = {
            row.offer_id: row
            for row in await session.exec(
                select(OfferConfiguration).where(OfferConfiguration.configuration_id == SD_JWT)
            )
        }
        rows[other].sealed_claims = rows[one].sealed_claims
        session.add(rows[other])
    await authorize(house, other, configurations=[SD_JWT])
    with pytest.raises(SealError):
        await collect(house, other, SD_JWT)


def test_secrets_and_keys_are_for_one_user_and_made_once(tmp_path: Path) -> None:
    create_secrets(tmp_path / "secrets")
    first = load_secrets(tmp_path / "secrets")
    create_secrets(tmp_path / "secrets")
    assert load_secrets(tmp_path / "secrets") == first
    identity = TenantIdentity("leipzig", "Stadt Leipzig", "DE", "https://issuer.example/t/leipzig")
    create_tenant_keys(tmp_path, identity, algorithms={SigningAlgorithm.ES256, SigningAlgorithm.ES384}, now=NOW)
    private = [*(tmp_path / "secrets").iterdir(), *(tmp_path / "keys" / "leipzig").glob("*.key.pem")]
    assert len(private) == 2 + 3 + 4 + 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in private} == {0o600}
    assert stat.S_IMODE((tmp_path / "keys" / "leipzig").stat().st_mode) == 0o700
    with pytest.raises(KeysError, match="never overwritten"):
        create_tenant_keys(tmp_path, identity, algorithms={SigningAlgorithm.ES256}, now=NOW)
    assert [entry.name for entry in (tmp_path / "keys").iterdir()] == ["leipzig"]
    keys = load_tenant_keys(tmp_path, "leipzig")
    assert keys.credential_signer(CredentialFormat.MDOC, SigningAlgorithm.ES384).identity.signer.alg == "ES384"
    before = keys.crl
    renew_crl(tmp_path, "leipzig", now=NOW + 86400)
    assert load_tenant_keys(tmp_path, "leipzig").crl != before


def test_keys_that_others_can_read_or_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    identity = TenantIdentity("leipzig", "Stadt Leipzig", "DE", "https://issuer.example/t/leipzig")
    create_tenant_keys(tmp_path, identity, algorithms={SigningAlgorithm.ES256}, now=NOW)
    folder = tenant_folder(tmp_path, "leipzig")
    key = folder / "access.key.pem"
    key.chmod(0o640)
    with pytest.raises(KeysError, match="can be read by others"):
        load_tenant_keys(tmp_path, "leipzig")
    key.write_bytes((folder / "iaca.key.pem").read_bytes())
    key.chmod(0o600)
    with pytest.raises(KeysError, match="does not belong to its certificate"):
        load_tenant_keys(tmp_path, "leipzig")
    key.write_text("no key")
    with pytest.raises(KeysError, match=r"access\.key\.pem"):
        load_tenant_keys(tmp_path, "leipzig")
    key.unlink()
    with pytest.raises(KeysError, match="cannot be read"):
        load_tenant_keys(tmp_path, "leipzig")


@pytest.mark.parametrize("tenant_id", ["", "..", "a/b", "Leipzig", "-a", "a" * 64, "a\n"])
def test_a_tenants_id_is_never_a_path(tenant_id: str, tmp_path: Path) -> None:
    with pytest.raises(KeysError):
        tenant_folder(tmp_path, tenant_id)


@pytest.mark.parametrize("content", ["", "zz", "00", "00" * 31])
def test_a_damaged_secret_is_named(content: str, tmp_path: Path) -> None:
    create_secrets(tmp_path)
    (tmp_path / "mac.key").write_text(content)
    with pytest.raises(SecretsError, match=r"mac\.key"):
        load_secrets(tmp_path)


async def test_a_tenant_is_made_once_and_by_a_known_preset(house: House) -> None:
    async def again(tenant_id: str, preset: str) -> None:
        await add_tenant(
            settings=house.service.settings,
            store=house.store,
            secrets=house.service.secrets,
            tenant_id=tenant_id,
            name="Stadt",
            preset=preset,
            country="DE",
            locale="de",
            algorithms={SigningAlgorithm.ES256},
            now=NOW,
        )

    with pytest.raises(TenantExists):
        await again("leipzig", "haip-1.0")
    with pytest.raises(UnknownPreset):
        await again("halle", "haip-9")
    assert await house.service.tenants.find("halle") is None
    await again("halle", "de-2026-11")
    found = await house.service.tenants.find("halle")
    assert found is not None
    assert found.profile.name == "de-2026-11"


LOOPBACK = {"ISSUER_ALLOW_LOOPBACK_HTTP": "true"}


def test_settings_come_from_the_environment_with_defaults() -> None:
    settings = load_settings({**LOOPBACK, "ISSUER_PORT": "9000", "PATH": "/bin"})
    assert (settings.port, settings.offer_lifetime, settings.effective_database_url) == (
        9000,
        3600,
        "sqlite+aiosqlite:///var/issuer/issuer.db",
    )


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "public_url must be https"),
        ({**LOOPBACK, "ISSUER_PROT": "9000"}, "unknown setting: ISSUER_PROT"),
        ({**LOOPBACK, "ISSUER_PORT": "many"}, "ISSUER_PORT"),
        ({**LOOPBACK, "ISSUER_PUBLIC_URL": "http://10.0.0.1"}, "public_url must be https"),
        ({"ISSUER_PUBLIC_URL": "https://issuer.example/path"}, "ISSUER_PUBLIC_URL"),
        ({"ISSUER_PUBLIC_URL": "ftp://issuer.example"}, "ISSUER_PUBLIC_URL"),
        ({**LOOPBACK, "ISSUER_STATUS_LIST_SIZE": "1000"}, "must be a power of two"),
        ({**LOOPBACK, "ISSUER_NONCE_LIFETIME": "301"}, "ISSUER_NONCE_LIFETIME"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_a_sentence(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load_settings(environment)


def test_settings_look_at_no_environment_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISSUER_HOST", "192.0.2.1")
    assert IssuerSettings(public_url="https://issuer.example").host == "127.0.0.1"
