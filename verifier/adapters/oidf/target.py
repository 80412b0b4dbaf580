"""Starts the target: one command makes keys, trust and a TLS listener, and prints the plan configuration."""

import json
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from fastapi import FastAPI

from specs.encoding.strict_json import JsonObject
from specs.profiles import FULL_PROFILES, Profile
from specs.profiles.reading import parse_profile
from specs.trust.anchors import AnchorKind, TrustAnchor, anchors_from_pem
from verifier.adapters.loopback_tls import HOST, fresh_context, listening, serve
from verifier.adapters.oidf.identities import Asker, TestIssuer, new_asker, new_test_issuer, pem
from verifier.adapters.oidf.sessions import Sessions
from verifier.expectations import TrustDomain
from verifier.relying_party import RelyingParty

_EVIDENCE = "https://*/test/a/*/verification-evidence"


def run_target(*, port: int, issuer_roots: Sequence[Path] = (), mdoc_signers: Sequence[Path] = ()) -> int:
    """Serve until Ctrl-C. port: 0 takes a free one.

    issuer_roots, mdoc_signers: PEM files of further roots of SD-JWT VCs and of further signers of mdocs to believe.

    Raises:
        OSError: the port is taken, or a file can't be read. CertificateError: it holds no certificates.
    """
    now = int(time.time())
    asker, issuer = new_asker(HOST, now=now), new_test_issuer(now=now)
    believed = [TrustAnchor(AnchorKind.CA, issuer.root, "TEST issuer")]
    for file in issuer_roots:
        believed += anchors_from_pem(file.read_bytes(), kind=AnchorKind.CA, name=file.name)
    pinned: list[TrustAnchor] = []
    for file in mdoc_signers:
        pinned += anchors_from_pem(file.read_bytes(), kind=AnchorKind.PINNED_TEST, name=file.name)
    with listening(port) as (listener, url), tempfile.TemporaryDirectory(prefix="stadtnachweis-oidf-") as folder:
        app, key = FastAPI(docs_url=None, redoc_url=None, openapi_url=None), secrets.token_urlsafe(16)
        sessions = Sessions(
            app,
            url,
            key,
            RelyingParty(asker.identity),
            _profile(),
            TrustDomain("TEST SD-JWT VC issuers", tuple(believed)),
            TrustDomain("TEST mdoc signers", tuple(pinned)),
        )
        app.include_router(sessions.router())
        sys.stdout.write(json.dumps(described(asker, issuer, url=url, key=key), indent=2) + "\n")
        sys.stdout.flush()
        serve(app, listener, context=fresh_context(Path(folder), now=now))
    return 0


def described(asker: Asker, issuer: TestIssuer, *, url: str, key: str) -> JsonObject:
    """The plan configuration, and a member of our own that says where the driver's hook is."""
    seen: JsonObject = {
        "task": "take the picture",
        "match": _EVIDENCE,
        "commands": [["wait", "xpath", "//*", 10, ".*verification evidence.*", "update-image-placeholder"]],
    }
    return {
        "alias": "stadtnachweis-verifier",
        "description": "Stadtnachweis verifier",
        "client": {"client_id": HOST, "request_object_trust_anchor_pem": pem(asker.root)},
        "credential": {"signing_jwk": issuer.private_jwk()},
        "browser": [{"match": _EVIDENCE, "tasks": [seen]}],
        "waitTimeoutSeconds": 5,
        "stadtnachweis": {"role": "verifier", "admin": {"sessions": f"{url}/admin/sessions", "key": key}},
    }


def _profile() -> Profile:
    folder = resources.files("specs.profiles")
    texts = {name: (folder / f"{name}.yaml").read_text(encoding="utf-8") for name in ("oidf", *FULL_PROFILES)}
    return parse_profile(texts["oidf"], parents=texts)
