"""What a tenant signs with: each algorithm in each format, change with overlap, and keys that stay in a token."""

import time
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import update
from sqlmodel import col

from issuer.catalog.loader import parse_credential_type
from issuer.catalog.schema import CredentialFormat, SigningAlgorithm
from issuer.keys import token_keys
from issuer.keys.certification import TenantIdentity, TokenHome, make_signer
from issuer.keys.rotation import Place, activate, install_certificate, prepare, request_certificate, states
from issuer.keys.tenant_pki import KeysError, load_identity, load_tenant_keys, tenant_folder
from issuer.keys.token_keys import KeyUri, Module, TokenError, parse_key_uri
from issuer.settings import load_settings
from issuer.store.tables import Tenant
from specs.credentials import mdoc
from specs.credentials.sd_jwt import parse_sd_jwt
from specs.credentials.sd_jwt_vc import parse_issuer_jwt, read_sd_jwt_vc
from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import verify_signature
from specs.keys.signer import generate_private_key
from specs.trust.anchors import AnchorKind, TrustAnchor
from specs.trust.certificates import Authority, SubjectName, build_access_certificate, build_root_ca, serial_number
from specs.trust.x509 import CertificateProfile, ValidatedPath, validate_path
from tests.availability import missing
from tests.issuer.collecting import authorize, collect, tenant_of
from tests.issuer.house import NOW, PASS, House, open_house, settings_for
from tests.issuer.test_cli import environment, issuer
from tests.services.softhsm import SoftHsm, find_softhsm

ALGORITHMS = tuple(SigningAlgorithm)
COSE = {"ES256": -7, "ES384": -35, "ES512": -36, "EdDSA": -8}
PIN = "4711-und-mehr"


def kind_of(alg: str) -> str:
    return f"pass_{alg.lower()}"


@pytest.fixture
async def many(tmp_path: Path) -> AsyncIterator[House]:
    """An issuer with a type for each algorithm; the tenant leipzig follows plain-1.0, dresden haip-1.0."""
    types = tmp_path / "types"
    types.mkdir()
    shipped = (resources.files("issuer.catalog") / "types" / "leipzig_pass.yaml").read_text(encoding="utf-8")
    for alg in ALGORITHMS:
        text = shipped.replace("leipzig_pass", kind_of(alg)).replace("alg: ES256", f"alg: {alg}")
        assert parse_credential_type(text, name="type.yaml").alg is alg
        (types / f"{kind_of(alg)}.yaml").write_text(text, encoding="utf-8")
    opened = await open_house(settings_for(tmp_path).model_copy(update={"catalog_dir": types}))
    async with opened.store.transaction() as session:
        await session.exec(update(Tenant).where(col(Tenant.id) == "leipzig").values(preset="plain-1.0"))
    folder = tenant_folder(tmp_path, "leipzig")
    identity = identity_of("leipzig")
    for alg in ALGORITHMS[1:]:
        for role in ("sd-jwt-signer", "document-signer"):
            make_signer(folder, f"{role}.{alg}", identity, into=folder, now=NOW)
    yield opened
    await opened.http.aclose()
    await opened.store.close()


def identity_of(tenant_id: str) -> TenantIdentity:
    name = f"Stadt {tenant_id.title()}"
    return TenantIdentity(tenant_id, name, "DE", f"http://127.0.0.1:8701/t/{tenant_id}")


async def minted(house: House, configuration: str) -> str:
    """One credential of a configuration, as the wallet gets it."""
    kind = house.service.catalog.configurations[configuration].credential_type.type
    offer = await house.offer(credential_types=[kind], claims={kind: PASS})
    await authorize(house, str(offer["id"]), configurations=[configuration])
    _, credentials, _ = await collect(house, str(offer["id"]), configuration)
    return credentials[0]


def believed(house: House, chain: tuple[bytes, ...]) -> ValidatedPath:
    path = house.service.settings.data_dir / "keys" / "leipzig" / "iaca.crt.pem"
    root = x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    anchors = [TrustAnchor(AnchorKind.CA, root, "Leipzig")]
    return validate_path(chain, anchors=anchors, profile=CertificateProfile.EAA, now=house.clock())


def sd_jwt_serial(house: House, credential: str) -> int:
    """The serial number of the certificate that an SD-JWT VC was signed under; the signature holds."""
    sd_jwt = parse_sd_jwt(credential)
    issuer_jwt = parse_issuer_jwt(sd_jwt)
    path = believed(house, issuer_jwt.chain)
    read_sd_jwt_vc(issuer_jwt, issuer_key=path.leaf_key)
    return x509.load_der_x509_certificate(issuer_jwt.chain[0]).serial_number


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_a_type_is_signed_as_it_says_in_both_formats(alg: SigningAlgorithm, many: House) -> None:
    name = kind_of(alg)
    sd_jwt = parse_sd_jwt(await minted(many, f"{name}-sd-jwt"))
    issuer_jwt = parse_issuer_jwt(sd_jwt)
    assert issuer_jwt.jws.alg == alg
    key = believed(many, issuer_jwt.chain).leaf_key
    read_sd_jwt_vc(issuer_jwt, issuer_key=key)

    signed = mdoc.parse_issuer_signed(base64url.decode(await minted(many, f"{name}-mdoc")))
    mdoc.verify_issuer_signature(signed, key=believed(many, mdoc.issuer_chain(signed)).leaf_key)

    metadata = (await many.http.get("/.well-known/openid-credential-issuer/t/leipzig")).json()
    configurations = metadata["credential_configurations_supported"]
    assert configurations[f"{name}-sd-jwt"]["credential_signing_alg_values_supported"] == [alg]
    assert configurations[f"{name}-mdoc"]["credential_signing_alg_values_supported"] == [COSE[alg]]


async def test_a_preset_issues_nothing_that_it_does_not_allow_to_be_signed_so(many: House) -> None:
    """HAIP 1.0 §7: everybody can verify ES256, and nobody has to verify the others."""
    names = {f"{kind_of('ES256')}-{form}" for form in ("sd-jwt", "mdoc")}
    metadata = (await many.http.get("/.well-known/openid-credential-issuer/t/dresden")).json()
    assert set(metadata["credential_configurations_supported"]) == names
    scopes = (await many.http.get("/.well-known/oauth-authorization-server/t/dresden")).json()["scopes_supported"]
    assert set(scopes) == names
    kind = kind_of("ES384")
    body: JsonObject = {"credential_types": [kind], "claims": {kind: PASS}, "grant": "pre-authorized_code"}
    refused = await many.call("POST", "/offers", body, tenant="dresden")
    assert refused.status_code == 422
    assert {(each["pointer"], each["code"]) for each in refused.json()["errors"]} == {
        ("/credential_types/0", "not_issued")
    }
    assert (await many.call("POST", "/offers", body, tenant="leipzig")).status_code == 201


async def test_a_new_key_signs_at_once_and_what_the_old_one_signed_stays_good(house: House) -> None:
    folder = tenant_folder(house.service.settings.data_dir, "leipzig")
    name = "sd-jwt-signer.ES256"
    configuration = "leipzig_pass-sd-jwt"
    old = await minted(house, configuration)
    first = await published_keys(house)

    prepare(folder, name, identity_of("leipzig"), now=house.clock())
    house.clock.now += 300
    both = await published_keys(house)
    assert both[: len(first)] == first
    assert len(both) == len(first) + 1
    assert sd_jwt_serial(house, await minted(house, configuration)) == sd_jwt_serial(house, old)

    activate(folder, name, now=house.clock())
    new = await minted(house, configuration)
    assert sd_jwt_serial(house, new) != sd_jwt_serial(house, old)
    assert sorted(map(str, await published_keys(house))) == sorted(map(str, both))
    assert [(state.place, state.in_token) for state in states(folder) if state.name == name] == [
        (Place.PRESENT, False),
        (Place.RETIRED, False),
    ]
    assert not list((folder / "retired").glob("*.key.*"))
    house.clock.now = NOW + 366 * 86400
    assert len(await published_keys(house)) == 1  # the present one


async def published_keys(house: House) -> list[object]:
    keys: list[object] = (await house.http.get("/.well-known/jwt-vc-issuer/t/leipzig")).json()["jwks"]["keys"]
    return keys


async def test_a_change_that_went_wrong_leaves_the_keys_that_signed_before(house: House) -> None:
    folder = tenant_folder(house.service.settings.data_dir, "leipzig")
    before = sd_jwt_serial(house, await minted(house, "leipzig_pass-sd-jwt"))
    (folder / "sd-jwt-signer.ES256.key.pem").unlink()
    assert sd_jwt_serial(house, await minted(house, "leipzig_pass-sd-jwt")) == before


async def test_every_signer_can_be_changed(house: House, tmp_path: Path) -> None:
    folder = tenant_folder(house.service.settings.data_dir, "leipzig")
    names = [state.name for state in states(folder)]
    assert names == ["document-signer.ES256", "sd-jwt-signer.ES256", "status-signer", "access"]
    serials = {name: load_identity(folder, name, None).chain for name in names}
    for name in names:
        prepare(folder, name, identity_of("leipzig"), now=house.clock())
        activate(folder, name, now=house.clock())
    assert all(load_identity(folder, name, None).chain != serials[name] for name in names)
    loaded = load_tenant_keys(tmp_path, "leipzig")
    believed(house, loaded.credential_signer(CredentialFormat.MDOC, ALGORITHMS[0]).identity.chain)


async def test_an_authority_outside_certifies_what_was_requested(house: House, tmp_path: Path) -> None:
    folder = tenant_folder(house.service.settings.data_dir, "leipzig")
    request = x509.load_pem_x509_csr(request_certificate(folder, "access", identity_of("leipzig")))
    assert request.is_signature_valid
    with pytest.raises(KeysError, match="no key of access with a certificate is prepared"):
        activate(folder, "access", now=house.clock())

    key = generate_private_key()
    root = build_root_ca(key=key, subject=SubjectName("Registrar", "DE"), serial=serial_number(bytes(20)), now=NOW)
    other, asked = generate_private_key().public_key(), request.public_key()
    assert isinstance(asked, ec.EllipticCurvePublicKey)
    for name, public_key in (("other", other), ("asked", asked)):
        der = build_access_certificate(
            authority=Authority(root, key),
            public_key=public_key,
            subject=SubjectName("Stadt Leipzig", "DE"),
            serial=serial_number(bytes([1]) * 20),
            now=NOW,
            dns_names=["issuer.example"],
            uris=[],
        )
        (tmp_path / f"{name}.pem").write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
    with pytest.raises(KeysError, match="the certificate of another key"):
        install_certificate(folder, "access", tmp_path / "other.pem")
    install_certificate(folder, "access", tmp_path / "asked.pem")
    activate(folder, "access", now=house.clock())
    assert (await tenant_of(house)).keys.access.signer.public_key == asked


def test_a_certificate_is_not_activated_before_its_first_full_hour_or_after_its_end(tmp_path: Path) -> None:
    """A signer signs from the first full hour after its certificate begins, for times are rounded to the hour."""
    folder, identity = prepared_folder(tmp_path)
    now = int(time.time())
    prepare(folder, "status-signer", identity, now=now + 86400 + 60)  # begins 24 hours earlier, in a minute
    with pytest.raises(KeysError, match="full hour after that"):
        activate(folder, "status-signer", now=now)
    with pytest.raises(KeysError, match="has ended already"):
        activate(folder, "status-signer", now=now + 400 * 86400)
    activate(folder, "status-signer", now=now - now % 3600 + 2 * 3600)


def prepared_folder(tmp_path: Path) -> tuple[Path, TenantIdentity]:
    """A folder after `tenant add`, by the command line."""
    assert issuer(tmp_path, "init").returncode == 0
    assert issuer(tmp_path, "tenant", "add", "leipzig", "--name", "Stadt Leipzig").returncode == 0
    return tenant_folder(tmp_path, "leipzig"), identity_of("leipzig")


def test_the_command_line_shows_and_changes_keys(tmp_path: Path) -> None:
    prepared_folder(tmp_path)
    assert issuer(tmp_path, "keys", "list", "leipzig").stdout.count("present") == 4
    rotated = issuer(tmp_path, "keys", "rotate", "leipzig")
    assert (rotated.returncode, rotated.stdout.count("has a new key")) == (0, 4)
    assert issuer(tmp_path, "keys", "list", "leipzig").stdout.count("retired") == 4
    assert issuer(tmp_path, "keys", "prepare", "leipzig", "sd-jwt-signer.ES384").returncode == 0
    assert "prepared already" in issuer(tmp_path, "keys", "prepare", "leipzig", "sd-jwt-signer.ES384").stderr
    assert issuer(tmp_path, "keys", "activate", "leipzig", "sd-jwt-signer.ES384").returncode == 0
    assert "sd-jwt-signer.ES384\tpresent" in issuer(tmp_path, "keys", "list", "leipzig").stdout
    assert "there is no signer iaca" in issuer(tmp_path, "keys", "prepare", "leipzig", "iaca").stderr
    assert "there is no tenant halle" in issuer(tmp_path, "keys", "rotate", "halle").stderr
    requested = issuer(tmp_path, "keys", "request", "leipzig", "access")
    assert requested.stdout.startswith("-----BEGIN CERTIFICATE REQUEST-----")
    assert "waits for its certificate" in issuer(tmp_path, "keys", "list", "leipzig").stdout
    assert (
        "--token needs ISSUER_PKCS11_LIBRARY"
        in issuer(tmp_path, "keys", "rotate", "leipzig", "status-signer", "--token", "x").stderr
    )


# Keys in a token


@pytest.fixture(scope="module")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    return find_softhsm(tmp_path_factory.mktemp("hsm")) or missing(
        "no SoftHSM: as root, make test installs Debian's package softhsm2"
    )


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm) -> TokenHome:
    softhsm.make_token("stadt", pin=PIN)
    return TokenHome(Module(softhsm.library, PIN), "stadt")


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_key_in_a_token_signs_like_one_in_a_file(alg: SigningAlgorithm, token: TokenHome, tmp_path: Path) -> None:
    folder, identity = prepared_folder(tmp_path)
    name = f"sd-jwt-signer.{alg}"
    prepare(folder, name, identity, now=int(time.time()), home=token)
    activate(folder, name, now=int(time.time()), module=token.module)
    assert not (folder / f"{name}.key.pem").exists()
    assert next(state for state in states(folder) if state.name == name).in_token

    signer = load_identity(folder, name, token.module).signer
    messages = [bytes([number]) * number for number in range(1, 21)]
    assert signer.alg == alg
    for message, signature in zip(messages, signer.sign_many(messages), strict=True):
        verify_signature(alg, signer.public_key, message, signature)
    verify_signature(alg, signer.public_key, b"one", signer.sign(b"one"))
    with pytest.raises(KeysError, match="ISSUER_PKCS11_LIBRARY names none"):
        load_identity(folder, name, None)


def test_a_lost_session_with_the_token_is_opened_again(token: TokenHome, tmp_path: Path) -> None:
    """A module that was restarted would otherwise stop all signing until somebody restarts the service."""
    folder, identity = prepared_folder(tmp_path)
    signers = []
    for name in ("sd-jwt-signer.ES256", "status-signer"):
        prepare(folder, name, identity, now=int(time.time()), home=token)
        activate(folder, name, now=int(time.time()), module=token.module)
        signers.append(load_identity(folder, name, token.module).signer)
    for _ in range(2):
        token_keys._session(token.module, token.label).session.close()
        for signer in signers:
            verify_signature("ES256", signer.public_key, b"x", signer.sign(b"x"))


def test_a_tenant_can_have_all_its_signers_in_a_token_and_the_service_signs_with_them(
    softhsm: SoftHsm, token: TokenHome, tmp_path: Path
) -> None:
    (tmp_path / "pin").write_text(f"{PIN}\n", encoding="utf-8")
    (tmp_path / "pin").chmod(0o600)
    settings = {"ISSUER_PKCS11_LIBRARY": str(softhsm.library), "ISSUER_PKCS11_PIN_FILE": str(tmp_path / "pin")}
    assert issuer(tmp_path, "init").returncode == 0
    added = issuer(tmp_path, "tenant", "add", "leipzig", "--name", "Stadt Leipzig", "--token", "stadt", **settings)
    assert added.returncode == 0, added.stderr
    folder = tenant_folder(tmp_path, "leipzig")
    assert {path.name for path in folder.glob("*.key.pem")} == {
        f"{name}.key.pem" for name in ("iaca", "status-ca", "access-ca")
    }
    assert issuer(tmp_path, "keys", "list", "leipzig").stdout.count("in a token") == 4
    assert issuer(tmp_path, "keys", "rotate", "leipzig", "--token", "stadt", **settings).returncode == 0

    keys = load_tenant_keys(tmp_path, "leipzig", module=token.module)
    for identity in (keys.status, keys.access, *(signer.identity for signer in keys.credential_signers.values())):
        verify_signature("ES256", identity.signer.public_key, b"x", identity.signer.sign(b"x"))
    read = load_settings(environment(tmp_path, **settings))
    assert read.pkcs11_library == softhsm.library


def test_what_is_wrong_with_a_token_is_a_sentence(softhsm: SoftHsm, token: TokenHome, tmp_path: Path) -> None:
    folder, identity = prepared_folder(tmp_path)
    name = "sd-jwt-signer.ES256"
    for home, sentence in (
        (TokenHome(token.module, "nowhere"), "refused"),
        (TokenHome(Module(tmp_path / "nothing.so", PIN), "stadt"), "cannot be loaded|refused"),
    ):
        with pytest.raises(KeysError, match=sentence):
            prepare(folder, name, identity, now=NOW, home=home)
    prepare(folder, name, identity, now=NOW, home=token)
    reference = folder / "next" / f"{name}.key.uri"
    right = parse_key_uri(reference.read_text(encoding="ascii"))
    assert right == KeyUri("stadt", f"leipzig/{name}", right.id)
    assert parse_key_uri(str(right)) == right
    reference.write_text(str(KeyUri(right.token, right.label, b"other")), encoding="ascii")
    with pytest.raises(KeysError, match="refused"):
        load_identity(folder / "next", name, token.module)
    prepare(folder, "status-signer", identity, now=NOW, home=token)
    other = (folder / "next" / "status-signer.key.uri").read_text(encoding="ascii")
    reference.write_text(other, encoding="ascii")
    with pytest.raises(KeysError, match="signature_invalid"):  # the key of another certificate
        load_identity(folder / "next", name, token.module)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pkcs11:",
        "pkcs11:token=a;object=b",
        "pkcs11:token=a;object=b;id=%01;type=private",
        "file:x",
        "pkcs11:token=%FF;object=b;id=c",
    ],
)
def test_a_key_uri_is_read_closed(text: str) -> None:
    with pytest.raises(TokenError):
        parse_key_uri(text)
