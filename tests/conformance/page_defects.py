"""Pages with one defect each over the Digital Credentials API: questions changed, or answers to what they are sent."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx

from conformance.page_question import PageQuestion
from specs.encoding import strict_json
from specs.keys.jose import build_jws, x5c_header
from specs.keys.signer import Signer
from specs.protocols.openid4vp import DcApiProtocol
from tests.conformance.faults import Change, Passing, opened
from tests.conformance.registrar import access_identity

SIGNER, _ = access_identity()
Bend = Callable[[PageQuestion], PageQuestion]
_SIGNED, _UNSIGNED = DcApiProtocol.SIGNED, DcApiProtocol.UNSIGNED


def _entries(*entries: dict[str, Any]) -> Bend:
    return lambda asked: replace(asked, requests=entries)


def _params(edit: Callable[[dict[str, Any]], object], *, by: str = _UNSIGNED) -> Bend:
    """One protocol alone, whose parameters say something else."""

    def bend(asked: PageQuestion) -> PageQuestion:
        data = asked.by(by)
        if by == _UNSIGNED:
            params = strict_json.parse_object(strict_json.dumps(data))
            edit(params)
            return replace(asked, requests=({"protocol": by, "data": params},))
        header, claims = opened(str(data["request"]))
        edit(claims)
        return replace(asked, requests=({"protocol": by, "data": {"request": _signed(header["typ"], claims)}},))

    return bend


def _signed(typ: str, claims: dict[str, Any], signer: Signer | None = None) -> str:
    header = {"x5c": x5c_header(SIGNER.chain)}
    return build_jws(strict_json.dumps(claims), signer=signer or SIGNER.signer, typ=typ, header=header)


def _resigned(typ: str, *, by_another: bool = False) -> Bend:
    def bend(asked: PageQuestion) -> PageQuestion:
        _, claims = opened(str(asked.by(_SIGNED)["request"]))
        other = access_identity()[0].signer if by_another else None
        return replace(asked, requests=({"protocol": _SIGNED, "data": {"request": _signed(typ, claims, other)}},))

    return bend


_first_nonces: list[Any] = []


def _always_the_first(params: dict[str, Any]) -> None:
    _first_nonces.append(params["nonce"])
    params["nonce"] = _first_nonces[0]


def _two_queries(asked: PageQuestion) -> PageQuestion:
    data = strict_json.parse_object(strict_json.dumps(asked.by(_UNSIGNED)))
    other: Any = strict_json.parse_object(strict_json.dumps(data))
    other["dcql_query"]["credentials"][0]["id"] = "another"
    return replace(asked, requests=({"protocol": _UNSIGNED, "data": data}, {"protocol": _UNSIGNED, "data": other}))


QUESTION_DEFECTS: dict[str, tuple[Bend, str]] = {
    "hands over nothing": (_entries(), "dc-question"),
    "hands over a draft": (_entries({"protocol": "openid4vp", "data": {}}), "dc-question"),
    "hands over a text": (_entries({"protocol": _UNSIGNED, "data": "{}"}), "dc-question"),
    "hands over the same twice": (
        lambda asked: replace(asked, requests=(*asked.requests, *asked.requests)),
        "dc-question",
    ),
    "wants the answer in clear": (_params(lambda each: each.update(response_mode="dc_api")), "dc-response-mode"),
    "wants a code": (_params(lambda each: each.update(response_type="code")), "dc-response-mode"),
    "wants the answer elsewhere": (
        _params(lambda each: each.update(response_uri="https://a.example")),
        "dc-no-addresses",
    ),
    "says unsigned who it is": (_params(lambda each: each.update(client_id="x509_hash:a")), "dc-unsigned-nameless"),
    "says unsigned where it is": (
        _params(lambda each: each.update(expected_origins=["https://city.example"])),
        "dc-unsigned-nameless",
    ),
    "signs for other pages": (
        _params(lambda each: each.update(expected_origins=["https://other.example"]), by=_SIGNED),
        "dc-expected-origins",
    ),
    "signs for any page": (_params(lambda each: each.pop("expected_origins"), by=_SIGNED), "dc-expected-origins"),
    "signs by another key": (_resigned("oauth-authz-req+jwt", by_another=True), "dc-signature"),
    "signs as something else": (_resigned("JWT"), "dc-signature"),
    "asks without query": (_params(lambda each: each.pop("dcql_query")), "dc-query"),
    "asks two things": (_two_queries, "dc-query"),
    "offers one encryption": (
        _params(lambda each: each["client_metadata"].update(encrypted_response_enc_values_supported=["A128GCM"])),
        "dc-encryption",
    ),
    "offers no key": (_params(lambda each: each["client_metadata"].update(jwks={"keys": []})), "dc-encryption"),
    "asks with the same nonce": (_params(_always_the_first), "dc-fresh"),
}


def _in_page(status: int) -> Change:
    def change(passing: Passing) -> httpx.Response:
        is_it = "/dc-api/" in passing.request.url.path
        return httpx.Response(status, json={}) if is_it else passing.answer

    return change


REFUSALS = (
    "dc-answer-from-elsewhere", "dc-answer-twice", "dc-answer-to-another", "dc-answer-in-clear",
    "dc-answer-by-another-protocol", "dc-answer-malformed", "dc-untrusted", "dc-binding-nonce-wrong",
    "dc-binding-other-verifier", "dc-binding-other-holder", "dc-binding-stale", "dc-binding-missing",
    "dc-credential-digest-tampered", "dc-disclosure-missing", "dc-device-other-session", "dc-device-other-key",
    "dc-element-tampered",
)  # fmt: skip
PAGE_ANSWER_DEFECTS: dict[str, tuple[Change, str]] = {
    **{f"says thanks all the same to {name.removeprefix('dc-')}": (_in_page(200), name) for name in REFUSALS},
    "refuses SD-JWT VCs in its page": (_in_page(400), "dc-accepts-sd-jwt"),
    "refuses mdocs in its page": (_in_page(400), "dc-accepts-mdoc"),
    "breaks when a wallet declines": (_in_page(500), "dc-answer-error"),
}
