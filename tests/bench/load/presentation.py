"""Presenting under load: a verifier service on PostgreSQL in processes of its own, a portal that asks, and wallets."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from specs.credentials import sd_jwt_vc
from specs.credentials.sd_jwt_issue import mark_disclosable
from specs.credentials.session_transcript import openid4vp_transcript
from specs.credentials.status_list import (
    StatusMediaType,
    StatusReference,
    build_status_list,
    build_status_list_jwt,
    status_reference_claim,
)
from specs.keys.jose import jwk_from_public_key, thumbprint_bytes
from tests.bench.load.processes import free_port
from tests.verifier.serving import PARKING, RETURN_URL, Service, params_of, pem, sealed
from tests.verifier.world import CLAIMS, DAY, DISCLOSABLE, DOC_TYPE, HOUR, NAME_SPACE, VCT, World
from verifier.server.app import create_app
from verifier.server.service import prepare
from verifier.settings import VerifierSettings

MDOC: Mapping[str, Any] = {
    **PARKING,
    "id": "licence",
    "query": {
        "credentials": [
            {
                "id": "pid",
                "format": "mso_mdoc",
                "meta": {"doctype_value": DOC_TYPE},
                "claims": [{"path": [NAME_SPACE, "family_name"]}, {"path": [NAME_SPACE, "resident_city"]}],
            }
        ]
    },
}
SD_JWT: Mapping[str, Any] = {**PARKING, "policy": {"status": "required"}}


@dataclass
class Furnished(Service):
    """A verifier that is ready to be started, and a holder's credentials. status_uri: where the list of one is."""

    procedures: tuple[Mapping[str, Any], ...] = (SD_JWT, MDOC)
    public_url: str = field(default_factory=lambda: f"http://127.0.0.1:{free_port()}")
    status_uri: str = ""
    api_key: str = ""

    @property
    def settings(self) -> VerifierSettings:
        """What it runs with."""
        return VerifierSettings(
            data_dir=self.folder,
            database_url=self.database_url,
            public_url=self.public_url,
            port=int(self.public_url.rpartition(":")[2]),
            allow_loopback_http=True,
        )

    def environment(self) -> dict[str, str]:
        """The settings as the program takes them."""
        given = self.settings.model_dump(exclude_unset=True)
        return {f"VERIFIER_{name.upper()}": str(value) for name, value in given.items()}

    def credential(self) -> str:
        """An SD-JWT VC whose status is looked at."""
        world = self.world
        return sd_jwt_vc.build_sd_jwt_vc(
            mark_disclosable({**CLAIMS}, paths=DISCLOSABLE),  # type: ignore[dict-item]  # JSON values
            issuer=sd_jwt_vc.vc_issuer(world.sd_jwt_identity),
            vct=VCT,
            holder_jwk=jwk_from_public_key(world.holder.public_key),
            not_before=world.now - HOUR,
            expires_at=world.now + 14 * DAY,
            status=status_reference_claim(StatusReference(self.status_uri, 7)),  # type: ignore[arg-type]
        )


@contextmanager
def furnished(folder: Path, *, database_url: str) -> Iterator[Furnished]:
    """Files, tables, a tenant and its API key, as an operator makes them; a host of the status list beside it."""
    made = Furnished(folder, database_url)
    with _status_host(made.world) as status_uri:
        made.status_uri = status_uri
        tenant = made.write_tenant("leipzig", trust=[_trust()])
        (tenant / "status.pem").write_bytes(pem(made.world.status_authority.certificate))
        prepare(made.settings)
        service = create_app(made.settings).state.service
        made.api_key = service.clients.add(tenant="leipzig", name="load", now=int(time.time()))
        service.engine.dispose()
        yield made


def _trust() -> dict[str, object]:
    return {
        "name": "pid",
        "anchors": ["pid.pem"],
        "status_anchors": ["status.pem"],
        "revocation": "off",
        "types": {"dc+sd-jwt": [VCT], "mso_mdoc": [DOC_TYPE]},
    }


class Presenting:
    """One way to present, repeated: four requests, as the peer was measured: ask, fetch, answer, verdict."""

    def __init__(self, furnished: Furnished, http: httpx.AsyncClient) -> None:
        self._furnished = furnished
        self._world = furnished.world
        self._http = http
        self._portal = {"Authorization": f"Bearer {furnished.api_key}"}
        self._api = f"{furnished.public_url}/api/v1/presentations"
        self._sd_jwt = furnished.credential()
        self._mdoc = furnished.world.mdoc()

    async def sd_jwt(self) -> int:
        """An SD-JWT VC with its status list looked at."""
        return await self._present(str(SD_JWT["id"]))

    async def mdoc(self) -> int:
        """An mdoc."""
        return await self._present(str(MDOC["id"]))

    async def _present(self, procedure: str) -> int:
        asked = await self._good("POST", self._api, 201, json={"procedure": procedure, "flow": "same_device"})
        link = parse_qs(urlsplit(str(asked["wallet_url"])).query)
        fetched = await self._http.get(link["request_uri"][0])
        params = params_of(fetched.text)
        token = self._token(procedure, params)
        form = {"response": sealed(params, {"vp_token": token, "state": params["state"]})}
        posted = (await self._http.post(str(params["response_uri"]), data=form)).json()
        code = str(posted["redirect_uri"]).removeprefix(f"{RETURN_URL}?response_code=")
        redeem = {"session_secret": asked["session_secret"], "response_code": code}
        verdict = await self._good("POST", f"{self._api}/{asked['id']}/result", 200, json=redeem)
        return int(verdict["accepted"] is True and len(verdict["credentials"]) == 1)

    def _token(self, procedure: str, params: Any) -> dict[str, list[str]]:
        self._world.now = int(time.time())
        client_id, nonce = str(params["client_id"]), str(params["nonce"])
        if procedure == SD_JWT["id"]:
            return {"pid": [self._world.present_sd_jwt(self._sd_jwt, nonce=nonce, audience=client_id)]}
        transcript = openid4vp_transcript(
            client_id=client_id,
            nonce=nonce,
            jwk_thumbprint=thumbprint_bytes(params["client_metadata"]["jwks"]["keys"][0]),
            response_uri=str(params["response_uri"]),
        )
        return {"pid": [self._world.present_mdoc(self._mdoc, transcript=transcript)]}

    async def _good(self, method: str, url: str, status: int, *, json: object) -> dict[str, Any]:
        answer = await self._http.request(method, url, json=json, headers=self._portal)
        if answer.status_code != status:
            raise RuntimeError(f"{method} {urlsplit(url).path}: {answer.status_code} {answer.text}")
        members: dict[str, Any] = answer.json()
        return members


@contextmanager
def _status_host(world: World) -> Iterator[str]:
    """One status list over plain http on this machine."""
    held: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", StatusMediaType.JWT)
            self.end_headers()
            self.wfile.write(held[0])

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    uri = f"http://127.0.0.1:{server.server_port}/status/1"
    held.append(
        build_status_list_jwt(
            build_status_list(bits=2, size=100_000, statuses={}),
            identity=world.status_identity,
            uri=uri,
            issued_at=world.now,
            expires_at=world.now + DAY,
            ttl=300,
        ).encode()
    )
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield uri
    finally:
        server.shutdown()
        server.server_close()
