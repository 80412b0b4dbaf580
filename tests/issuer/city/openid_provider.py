"""An OpenID Provider as a process of its own, built on joserfc: it logs everybody in and misbehaves when told to.

`python -m tests.issuer.city.openid_provider` listens on a free port and prints it. `POST /behave` sets what is wrong.
"""

import base64
import hashlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "stadt-leipzig", "a test's secret"
ROOT = Path(__file__).resolve().parents[3]
PERSON = {
    "sub": "buerger-17",
    "acr": "high",
    "family_name": "Lindenau",
    "given_name": "Mila",
    "birthdate": "1991-03-07",
    "city": {"pass": True, "until": "2099-06"},
}


@dataclass
class Provider:
    """A running provider."""

    url: str

    def behave(self, **changes: object) -> None:
        """From now on: changes of the ID token's claims, or `key`, `alg`, `iss_answer`, `state`, `error`, `hang`."""
        httpx.post(f"{self.url}/behave", json=changes).raise_for_status()

    def counts(self) -> dict[str, int]:
        """How often each address was asked."""
        found: dict[str, int] = httpx.get(f"{self.url}/counts").json()
        return found


@contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider on a free port."""
    command = [sys.executable, "-m", "tests.issuer.city.openid_provider"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    try:
        assert process.stdout is not None
        yield Provider(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.kill()
        process.wait()


class _State:
    def __init__(self) -> None:
        self.url = ""
        self.keys = {
            "good": RSAKey.generate_key(2048, {"kid": "good"}),
            "other": RSAKey.generate_key(2048, {"kid": "good"}),
        }
        self.keys["next"] = RSAKey.generate_key(2048, {"kid": "next"})
        self.published = ["good"]
        self.codes: dict[str, dict[str, str]] = {}
        self.behaviour: dict[str, object] = {}
        self.counts: dict[str, int] = {}

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims: dict[str, object] = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce}
        claims |= PERSON | {k: v for k, v in self.behaviour.items() if k in _CLAIMS}
        claims = {name: value for name, value in claims.items() if value is not None}
        key = self.keys[str(self.behaviour.get("key", "good"))]
        if self.behaviour.get("alg") == "none":
            parts = ({"alg": "none"}, claims)
            return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."
        return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


_CLAIMS = ("iss", "aud", "iat", "exp", "nonce", "sub", "acr", "azp", "given_name")


def _handler_of(state: _State) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            state.counts[parts.path] = state.counts.get(parts.path, 0) + 1
            match parts.path:
                case "/.well-known/openid-configuration":
                    self._json(
                        {
                            "issuer": state.behaviour.get("issuer", state.url),
                            "authorization_endpoint": f"{state.url}/authorize",
                            "token_endpoint": f"{state.url}/token",
                            "jwks_uri": f"{state.url}/jwks",
                            "code_challenge_methods_supported": ["S256"],
                            "authorization_response_iss_parameter_supported": True,
                        }
                    )
                case "/jwks":
                    self._json({"keys": [state.keys[name].as_dict(private=False) for name in state.published]})
                case "/authorize":
                    self._authorize({name: values[0] for name, values in parse_qs(parts.query).items()})
                case "/counts":
                    self._json(state.counts)
                case _:
                    self.send_error(404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/behave":
                state.behaviour = json.loads(body)
                state.published = ["good", "next"] if "publish_next" in state.behaviour else ["good"]
                self._json({})
                return
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            self._token(form)

        def _authorize(self, query: dict[str, str]) -> None:
            assert query["response_type"] == "code"
            assert query["code_challenge_method"] == "S256"
            code = secrets.token_urlsafe(16)
            state.codes[code] = query
            answer = {"code": code, "state": query["state"], "iss": state.url}
            if "error" in state.behaviour:
                answer = {"error": str(state.behaviour["error"]), "state": query["state"], "iss": state.url}
            if "iss_answer" in state.behaviour:
                answer["iss"] = str(state.behaviour["iss_answer"])
            if "state" in state.behaviour:
                answer["state"] = query["state"].split(".")[0] + str(state.behaviour["state"])
            self.send_response(302)
            self.send_header("Location", f"{query['redirect_uri']}?{urlencode(answer)}")
            self.end_headers()

        def _token(self, form: dict[str, str]) -> None:
            asked = state.codes.pop(form["code"], None)
            challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
            expected = base64.b64encode(f"{CLIENT_ID}:a%20test%27s%20secret".encode()).decode()
            good = (
                asked is not None
                and asked["code_challenge"] == challenge.rstrip(b"=").decode()
                and asked["redirect_uri"] == form["redirect_uri"]
                and self.headers["Authorization"] == f"Basic {expected}"
            )
            if not good or asked is None:
                self._json({"error": "invalid_grant"}, status=400)
                return
            self._json({"access_token": "x", "token_type": "Bearer", "id_token": state.id_token(asked["nonce"])})

        def _json(self, value: object, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


def main() -> None:
    """Serve until killed."""
    state = _State()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(state))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
