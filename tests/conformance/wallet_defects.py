"""Wallets with one defect each: misconduct of our own wallet's list, or one of its checks switched off."""

from collections.abc import Callable

import pytest

import specs.protocols.openid4vp.request_object as request_object
import wallet_sim.collect
import wallet_sim.credential_request
import wallet_sim.issuer_session
from specs.encoding import strict_json
from specs.protocols.oauth_metadata import parse_authorization_server_metadata

MISCONDUCT: dict[str, str] = {
    "attestation-expired": "wi-attestation",
    "attestation-typ": "wi-attestation",
    "attestation-missing": "wi-attestation",
    "attestation-pop-audience": "wi-attestation",
    "attestation-pop-challenge": "wi-attestation",
    "attestation-pop-other-key": "wi-attestation",
    "dpop-missing": "wi-dpop",
    "dpop-other-method": "wi-dpop",
    "dpop-other-endpoint": "wi-dpop",
    "dpop-token-hash-missing": "wi-dpop",
    "dpop-future": "wi-dpop",
    "token-as-bearer": "wi-access-token",
    "token-invented": "wi-access-token",
    "proof-other-issuer": "wi-proof",
    "proof-typ": "wi-proof",
    "proof-nonce-wrong": "wi-proof",
    "proof-time-missing": "wi-proof",
    "proof-private-key": "wi-proof",
    "request-two-names": "wi-proof",
    "key-attestation-missing": "wi-key-attestation",
    "key-attestation-stranger": "wi-key-attestation",
    "key-attestation-other-keys": "wi-key-attestation",
    "key-attestation-weak": "wi-key-attestation",
    "key-attestation-expired": "wi-key-attestation",
    "par-pkce-plain": "wi-login",
    "par-pkce-missing": "wi-login",
    "token-code-verifier-wrong": "wi-login",
    "token-redirect-uri-other": "wi-login",
    "proofs-huge-batch": "wi-batch",
    "binding-nonce-wrong": "wp-answers-sd-jwt",
    "binding-other-verifier": "wp-answers-sd-jwt",
    "binding-stale": "wp-answers-sd-jwt",
    "binding-typ": "wp-answers-sd-jwt",
    "binding-missing": "wp-answers-sd-jwt",
    "disclosure-twice": "wp-answers-sd-jwt",
    "disclosure-of-everything": "wp-fewer-claims",
    "device-other-session": "wp-answers-mdoc",
    "device-other-key": "wp-answers-mdoc",
    "element-unasked": "wp-answers-mdoc",
    "element-tampered": "wp-answers-mdoc",
    "answer-in-clear": "wp-answer-encrypted",
    "answer-encrypted-to-other-key": "wp-answer-encrypted",
    "answer-state-missing": "wp-state",
    "answer-state-wrong": "wp-state",
    "answer-nothing": "wp-answers-sd-jwt",
}


def _nothing(*_arguments: object, **_named: object) -> None:
    return None


def _off(module: object, name: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(module, name, _nothing)


def _believes_each_answer(patch: pytest.MonkeyPatch) -> None:
    def code_of(url: str, **_expected: str) -> str:
        return url.partition("code=")[2].partition("&")[0]

    patch.setattr(wallet_sim.collect, "parse_authorization_answer", code_of)


def _keeps_everything(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wallet_sim.credential_request.CredentialRequester, "_checked", lambda *_arguments: ())


def _takes_any_server(patch: pytest.MonkeyPatch) -> None:
    parse = parse_authorization_server_metadata

    def lenient(body: bytes, *, expected_issuer: str, allow_loopback_http: bool) -> object:

        document = strict_json.parse_object(body) | {"issuer": expected_issuer}
        return parse(
            strict_json.dumps(document), expected_issuer=expected_issuer, allow_loopback_http=allow_loopback_http
        )

    patch.setattr(wallet_sim.issuer_session, "parse_authorization_server_metadata", lenient)


SWITCHES: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "answers whoever signs": (_off(request_object, "verify_jws"), "wp-signature"),
    "answers whoever has another key": (_off(request_object, "verify_jws"), "wp-other-key"),
    "answers what has ended": (_off(request_object, "check_times"), "wp-expired"),
    "answers what is for others": (_off(request_object, "_check_audience"), "wp-audience"),
    "answers another certificate": (_off(request_object, "check_certificate"), "wp-client-id-not-certificate"),
    "believes answers of other servers": (_believes_each_answer, "wi-iss-other"),
    "believes answers without state": (_believes_each_answer, "wi-state-missing"),
    "keeps what is badly signed": (_keeps_everything, "wi-credential-signature"),
    "keeps what is another's": (_keeps_everything, "wi-credential-other-key"),
    "keeps what strangers issue": (_keeps_everything, "wi-credential-untrusted"),
    "takes any server's metadata": (_takes_any_server, "wi-server-issuer"),
}
