"""Wallets that are wrong throughout: one believes whatever it is sent, one does nothing at all."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response

from conformance.exchange import Recorder
from conformance.identity import SuiteIdentity
from conformance.settings import Settings
from conformance.suite_server import SuiteServer
from conformance.wallet_target import WalletTarget
from specs.encoding import strict_json
from specs.protocols.oauth import PRE_AUTHORIZED_CODE
from specs.protocols.oauth_metadata import AUTHORIZATION_SERVER, CREDENTIAL_ISSUER, well_known_url
from tests.conformance.faults import opened
from tests.wallet_sim.serving import served


class Credulous:
    """Answers each question, and goes through with each offer, whoever asks and whatever is wrong with it."""

    def __init__(self) -> None:
        self.http = httpx.Client(timeout=15)

    def answers(self, query: dict[str, str]) -> None:
        """Shows something to whoever asks."""
        if query.get("request_uri_method") == "post":
            fetched = self.http.post(query["request_uri"], data={"wallet_nonce": "a" * 22})
        else:
            fetched = self.http.get(query["request_uri"])
        _, claims = opened(fetched.text)
        form = {"vp_token": '{"credential":["something"]}', "state": str(claims.get("state", "none"))}
        self.http.post(str(claims["response_uri"]), data=form)

    def collects(self, query: dict[str, str]) -> None:
        """Goes as far as the credential, without proving anything."""
        offer: Any = strict_json.parse_object(query["credential_offer"])
        issuer = str(offer["credential_issuer"])
        self.http.get(well_known_url(issuer, CREDENTIAL_ISSUER))
        self.http.get(well_known_url(issuer, AUTHORIZATION_SERVER))
        form = {"grant_type": PRE_AUTHORIZED_CODE}
        if PRE_AUTHORIZED_CODE not in offer["grants"]:
            self.http.post(f"{issuer}/par", data={"redirect_uri": "https://wallet.example/callback"})
            self.http.get(f"{issuer}/authorize")
            form = {"grant_type": "authorization_code"}
        self.http.post(f"{issuer}/token", data=form)
        with contextlib.suppress(httpx.HTTPError):
            self.http.post(f"{issuer}/credential", json={})


@contextlib.contextmanager
def running_credulous_wallet(*, profile: str, does_nothing: bool = False) -> Iterator[WalletTarget]:
    """It, as a target of the suite; it never shows an error."""
    credulous, app = Credulous(), FastAPI()

    @app.get("/authorize")
    def authorize(request: Request) -> Response:
        if not does_nothing:
            credulous.answers(dict(request.query_params))
        return Response("shown", media_type="text/html")

    @app.get("/credential_offer")
    def credential_offer(request: Request) -> Response:
        if not does_nothing:
            credulous.collects(dict(request.query_params))
        return Response("collected", media_type="text/html")

    @app.post("/dc-api")
    def dc_api() -> dict[str, object]:
        return {} if does_nothing else {"protocol": "openid4vp-v1-signed", "data": {"response": "something"}}

    recorder = Recorder()
    with (
        served(lambda _url: app) as url,
        SuiteServer(recorder) as server,
        credulous.http,
        httpx.Client(timeout=15) as client,
    ):
        yield WalletTarget(
            f"{url}/authorize",
            client,
            server,
            recorder,
            SuiteIdentity.fresh(),
            offer_endpoint=f"{url}/credential_offer",
            dc_api_endpoint=f"{url}/dc-api",
            credential=Settings().wallet_credential,
            profile=profile,
        )
