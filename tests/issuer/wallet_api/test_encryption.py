"""Credential requests and answers encrypted both ways (OpenID4VCI §10): offered, demanded, refused (is-013)."""

import zlib
from collections.abc import AsyncIterator, Callable, Mapping

import httpx
import pytest

from issuer.app import create_app
from issuer.keys.request_encryption import OVERLAP, PERIOD, RequestKeys
from issuer.secrets_at_rest import load_secrets
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jwe import DecryptionKey, decrypt, encrypt, new_decryption_key
from specs.protocols.issuer_metadata import RequestEncryption, parse_issuer_metadata
from tests.issuer.wallet_api.conftest import PUBLIC_URL
from tests.issuer.wallet_api.world import SteppedClock, Wallet, World

ENCRYPTED = "application/jwt"
METADATA_SECONDS = 300  # as long a statement of metadata is kept


async def offered(wallet: Wallet) -> RequestEncryption:
    """What the issuer's metadata say about encrypted requests."""
    tenant = wallet.issuer_url.rpartition("/")[2]
    answer = await wallet.http.get(f"/.well-known/openid-credential-issuer/t/{tenant}")
    metadata = parse_issuer_metadata(answer.content, expected_issuer=wallet.issuer_url, allow_loopback_http=True)
    assert metadata.request_encryption is not None
    assert metadata.response_encryption is not None
    assert metadata.response_encryption.algs == ("ECDH-ES",)
    assert metadata.response_encryption.required == metadata.request_encryption.required
    return metadata.request_encryption


async def post(
    wallet: Wallet, token: str, content: str | bytes, media_type: str = ENCRYPTED, *, path: str = "/credential"
) -> httpx.Response:
    """A request with this body."""
    return await wallet.http.post(
        f"{wallet.issuer_url}{path}",
        content=content,
        headers={
            "Authorization": f"DPoP {token}",
            "Content-Type": media_type,
            **wallet.dpop_header(path, token),
        },
    )


async def wanting(wallet: Wallet, key: DecryptionKey, **changes: object) -> JsonObject:
    """A credential request that wants its answer encrypted."""
    wanted: dict[str, object] = {"jwk": key.public_jwk(), "enc": "A256GCM", "unknown": 1} | changes
    members = {name: value for name, value in wanted.items() if value is not None}
    return {**await wallet.request_body(), "credential_response_encryption": members}  # type: ignore[dict-item]


async def sealed(wallet: Wallet, request: Mapping[str, object]) -> str:
    """A request encrypted to the published key."""
    body = strict_json.dumps(request)
    return encrypt(body, jwk=(await offered(wallet)).keys[0], enc="A128GCM")


@pytest.mark.parametrize("compression", [None, "DEF"])
async def test_request_and_answer_travel_encrypted_and_compressed_as_asked(
    world: World, wallet: Wallet, compression: str | None
) -> None:
    token, key = await wallet.access_token(world), new_decryption_key("answer")
    request = await wanting(wallet, key, zip=compression)
    body = encrypt(strict_json.dumps(request), jwk=(await offered(wallet)).keys[0], enc="A256GCM", zip=compression)

    answer = await post(wallet, token, body)

    assert (answer.status_code, answer.headers["content-type"]) == (200, ENCRYPTED), answer.text
    assert answer.headers["cache-control"] == "no-store"
    opened = decrypt(answer.text, keys={"answer": key}, allowed_encs=["A256GCM"], allowed_zip=["DEF"])
    assert opened.header.get("zip") == compression
    assert len(strict_json.parse_object(opened.payload)["credentials"]) == 1  # type: ignore[arg-type]


async def test_encrypted_request_may_want_its_answer_in_clear(world: World, wallet: Wallet) -> None:
    token = await wallet.access_token(world)

    answer = await post(wallet, token, await sealed(wallet, await wallet.request_body()))

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), answer.text


async def test_refusal_of_an_encrypted_request_is_in_clear(world: World, wallet: Wallet) -> None:
    """OpenID4VCI §8.3.1.2: errors are never encrypted."""
    token = await wallet.access_token(world)
    request = await wanting(wallet, new_decryption_key("answer"))

    answer = await post(wallet, token, await sealed(wallet, request | {"proofs": {"jwt": ["no.proof.here"]}}))

    assert (answer.status_code, answer.json().keys()) == (400, {"error", "error_description"})
    assert answer.json()["error"] == "invalid_proof"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"enc": "A192GCM"}, id="is-013-enc"),
        pytest.param({"enc": None}, id="is-013-enc-missing"),
        pytest.param({"zip": "GZIP"}, id="is-013-zip"),
        pytest.param({"jwk": None}, id="is-013-jwk-missing"),
        pytest.param({"jwk": {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES", "x": "AA", "y": "AA"}}, id="is-013-point"),
        pytest.param({"jwk": {"kty": "oct", "k": "AAAA", "alg": "ECDH-ES"}}, id="is-013-symmetric"),
    ],
)
async def test_answer_is_not_encrypted_with_what_was_not_offered(
    world: World, wallet: Wallet, changes: dict[str, object]
) -> None:
    """is-013: the nonce and the token serve the right request afterwards."""
    token, key = await wallet.access_token(world), new_decryption_key("answer")
    right = await wanting(wallet, key)
    wrong = {**right["credential_response_encryption"], **changes}  # type: ignore[dict-item]
    members = {name: value for name, value in wrong.items() if value is not None}

    refused = await post(wallet, token, await sealed(wallet, right | {"credential_response_encryption": members}))

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_encryption_parameters")
    assert (await post(wallet, token, await sealed(wallet, right))).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"alg": "ECDH-ES+A128KW"}, id="is-013-alg"),
        pytest.param({"crv": "P-384"}, id="is-013-curve"),
        pytest.param({"use": "sig"}, id="is-013-use"),
        pytest.param({"kid": 7}, id="is-013-kid"),
    ],
)
async def test_answer_is_not_encrypted_to_another_kind_of_key(
    world: World, wallet: Wallet, change: dict[str, object]
) -> None:
    """is-013."""
    token, key = await wallet.access_token(world), new_decryption_key("answer")
    request = await wanting(wallet, key, jwk={**key.public_jwk(), **change})

    refused = await post(wallet, token, await sealed(wallet, request))

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_encryption_parameters")


async def test_who_wants_an_encrypted_answer_encrypts_the_request(world: World, wallet: Wallet) -> None:
    """is-013, OpenID4VCI §8.2: in clear, an attacker on the way could put his own key in."""
    token = await wallet.access_token(world)

    refused = await wallet.credential(token, await wanting(wallet, new_decryption_key("answer")))

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_encryption_parameters")


def bomb(body: bytes) -> bytes:
    """16 MiB of spaces after a request."""
    return body + b" " * (16 << 20)


@pytest.mark.parametrize(
    ("change", "arguments"),
    [
        pytest.param(bomb, {"zip": "DEF"}, id="is-013-bomb"),
        pytest.param(lambda body: body, {"header": {"zip": "GZIP"}}, id="is-013-zip-of-the-request"),
        pytest.param(lambda body: body, {"header": {"crit": ["exp"], "exp": 1}}, id="is-013-crit"),
    ],
)
async def test_request_that_inflates_or_demands_more_is_refused(
    world: World, wallet: Wallet, change: Callable[[bytes], bytes], arguments: dict[str, object]
) -> None:
    """is-013: never more than the body limit is unpacked."""
    token = await wallet.access_token(world)
    plain = strict_json.dumps(await wallet.request_body())
    jwk = (await offered(wallet)).keys[0]
    if "header" in arguments:
        head, *rest = encrypt(plain, jwk=jwk, enc="A128GCM").split(".")
        changed = strict_json.parse_object(base64url.decode(head)) | arguments["header"]  # type: ignore[operator]
        body = ".".join((base64url.encode(strict_json.dumps(changed)), *rest))
    else:
        body = encrypt(change(plain), jwk=jwk, enc="A128GCM", **arguments)  # type: ignore[arg-type]

    refused = await post(wallet, token, body)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_encryption_parameters")
    assert (await post(wallet, token, encrypt(plain, jwk=jwk, enc="A128GCM"))).status_code == 200


@pytest.mark.parametrize("content", ["", "a.b.c.d.e", "é" * 5, zlib.compress(b"{}")])
async def test_body_that_is_no_jwe_is_refused(world: World, wallet: Wallet, content: str | bytes) -> None:
    """is-013."""
    token = await wallet.access_token(world)

    refused = await post(wallet, token, content)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_encryption_parameters")


async def test_key_before_the_last_opens_nothing(world: World, wallet: Wallet, clock: SteppedClock) -> None:
    """is-013: the key before is taken for a day, as long as somebody may still have its metadata."""
    clock.now = (clock.now // PERIOD + 1) * PERIOD - 5
    old = (await offered(wallet)).keys[0]
    clock.now += METADATA_SECONDS + 10
    token = await wallet.access_token(world)
    assert (await offered(wallet)).keys[0]["kid"] != old["kid"]
    in_time = encrypt(strict_json.dumps(await wallet.request_body()), jwk=old, enc="A128GCM")
    assert (await post(wallet, token, in_time)).status_code == 200

    clock.now += OVERLAP
    token = await wallet.access_token(world)
    late = encrypt(strict_json.dumps(await wallet.request_body()), jwk=old, enc="A128GCM")
    refused = await post(wallet, token, late)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_encryption_parameters")


async def test_key_of_another_tenant_opens_nothing(world: World, wallet: Wallet) -> None:
    """is-013."""
    token = await wallet.access_token(world)
    elsewhere = Wallet(wallet.http, world.issuer_url("dresden"), world.provider, wallet.clock)
    foreign = (await offered(elsewhere)).keys[0]
    assert foreign["kid"] == (await offered(wallet)).keys[0]["kid"]

    body = encrypt(strict_json.dumps(await wallet.request_body()), jwk=foreign, enc="A128GCM")

    refused = await post(wallet, token, body)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_encryption_parameters")


def test_every_worker_derives_the_same_key(world: World) -> None:
    root = load_secrets(world.settings.data_dir / "secrets").request_encryption_key

    first, second = (RequestKeys(root, "leipzig").current(now=1_800_000_000) for _ in range(2))

    assert first.public_jwk() == second.public_jwk()
    assert first.public_jwk() != RequestKeys(root, "dresden").current(now=1_800_000_000).public_jwk()


@pytest.fixture
async def demanding(world: World, clock: SteppedClock) -> AsyncIterator[Wallet]:
    """A wallet of an issuer that takes and sends credentials encrypted only."""
    settings = world.settings.model_copy(update={"require_credential_encryption": True})
    app = create_app(settings, clock=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        yield Wallet(client, world.issuer_url(), world.provider, clock)
    await app.state.service.store.close()


async def test_where_encryption_is_demanded_nothing_travels_in_clear(world: World, demanding: Wallet) -> None:
    """OpenID4VCI §12.2.4 encryption_required: a request in clear, or one for an answer in clear, is refused."""
    wallet = demanding
    token, key = await wallet.access_token(world), new_decryption_key("answer")
    assert (await offered(wallet)).required

    in_clear = await wallet.credential(token, await wallet.request_body())
    half = await post(wallet, token, await sealed(wallet, await wallet.request_body()))
    whole = await post(wallet, token, await sealed(wallet, await wanting(wallet, key)))

    for refused in (in_clear, half):
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_encryption_parameters")
    assert (whole.status_code, whole.headers["content-type"]) == (200, ENCRYPTED)
