"""Wrong at the authorization server: pushed requests (RFC 9126), tokens (OpenID4VCI §6), attestation of the wallet."""

import base64
from dataclasses import replace

from specs.keys.signer import generate_signer
from specs.protocols.client_attestation import ATTESTATION_HEADER, ATTESTATION_POP_HEADER
from wallet_sim.conduct import ATTESTATION_POP, CLIENT_ATTESTATION, FORM, REQUEST, Endpoint, Jwt, Outgoing
from wallet_sim.misbehaviour.registry import Need, Phase, Reaction, misbehaviour, refused

Form = dict[str, str]
_PAR, _TOKEN = Endpoint.PAR, Endpoint.TOKEN
_LOGIN = (Need.LOGIN,)
_ATTESTATION = "draft-ietf-oauth-attestation-based-client-auth-07 §5"
_POP = "draft-ietf-oauth-attestation-based-client-auth-07 §6, §10.1"
_AN_HOUR = 3600
_UNKNOWN = "n-0000000000000000000000000000000000000000000"


def _not_this_client() -> Reaction:
    return refused(_TOKEN, (400, 401), "invalid_client_attestation", "invalid_client")


@misbehaviour(
    "par-pkce-missing",
    Phase.ISSUANCE,
    at=FORM,
    to=_PAR,
    clause="HAIP 1.0 §4.3; RFC 7636 §4.4.1",
    met_by=refused(_PAR, 400, "invalid_request"),
    needs=_LOGIN,
)
def _(form: Form) -> Form:
    """The login request has no PKCE challenge."""
    return {name: value for name, value in form.items() if not name.startswith("code_challenge")}


@misbehaviour(
    "par-pkce-plain",
    Phase.ISSUANCE,
    at=FORM,
    to=_PAR,
    clause="HAIP 1.0 §4.3; RFC 7636 §4.2",
    met_by=refused(_PAR, 400, "invalid_request"),
    needs=_LOGIN,
)
def _(form: Form) -> Form:
    """The login request shows its PKCE verifier in clear, with the method plain."""
    return {**form, "code_challenge_method": "plain"}


@misbehaviour(
    "par-response-type-token",
    Phase.ISSUANCE,
    at=FORM,
    to=_PAR,
    clause="RFC 6749 §4.1.2.1; OpenID4VCI 1.0 §5.1",
    met_by=refused(_PAR, 400, "unsupported_response_type", "invalid_request"),
    needs=_LOGIN,
)
def _(form: Form) -> Form:
    """The login request wants the token in the browser's address."""
    return {**form, "response_type": "token"}


@misbehaviour(
    "par-request-uri-inside",
    Phase.ISSUANCE,
    at=FORM,
    to=_PAR,
    clause="RFC 9126 §2.1",
    met_by=refused(_PAR, 400, "invalid_request"),
    needs=_LOGIN,
)
def _(form: Form) -> Form:
    """The pushed request points to another pushed request."""
    return {**form, "request_uri": "urn:ietf:params:oauth:request_uri:another"}


@misbehaviour(
    "par-redirect-uri-missing",
    Phase.ISSUANCE,
    at=FORM,
    to=_PAR,
    clause="RFC 9126 §2.1; FAPI 2.0 §5.3.2.2",
    met_by=refused(_PAR, 400, "invalid_request"),
    needs=_LOGIN,
)
def _(form: Form) -> Form:
    """The login request does not say where to come back to."""
    return {name: value for name, value in form.items() if name != "redirect_uri"}


@misbehaviour(
    "token-code-verifier-wrong",
    Phase.ISSUANCE,
    at=FORM,
    to=_TOKEN,
    clause="RFC 7636 §4.6",
    met_by=refused(_TOKEN, 400, "invalid_grant"),
    needs=_LOGIN,
)
def _(form: Form) -> Form:
    """The code is redeemed with a PKCE verifier that does not fit."""
    return {**form, "code_verifier": _UNKNOWN}


@misbehaviour(
    "token-code-verifier-missing",
    Phase.ISSUANCE,
    at=FORM,
    to=_TOKEN,
    clause="RFC 7636 §4.5",
    met_by=refused(_TOKEN, 400, "invalid_grant", "invalid_request"),
    needs=_LOGIN,
)
def _(form: Form) -> Form:
    """The code is redeemed without its PKCE verifier, as a thief would."""
    return {name: value for name, value in form.items() if name != "code_verifier"}


@misbehaviour(
    "token-redirect-uri-other",
    Phase.ISSUANCE,
    at=FORM,
    to=_TOKEN,
    clause="RFC 6749 §4.1.3",
    met_by=refused(_TOKEN, 400, "invalid_grant"),
    needs=_LOGIN,
)
def _(form: Form) -> Form:
    """The code is redeemed with another redirect_uri than it was asked with."""
    return {**form, "redirect_uri": "https://elsewhere.example/callback"}


@misbehaviour(
    "token-code-invented",
    Phase.ISSUANCE,
    at=FORM,
    to=_TOKEN,
    clause="OpenID4VCI 1.0 §6.3",
    met_by=refused(_TOKEN, 400, "invalid_grant"),
    needs=(Need.PRE_AUTHORIZED,),
)
def _(form: Form) -> Form:
    """The pre-authorized code is a guess."""
    return {**form, "pre-authorized_code": _UNKNOWN}


@misbehaviour(
    "token-grant-unknown",
    Phase.ISSUANCE,
    at=FORM,
    to=_TOKEN,
    clause="RFC 6749 §5.2",
    met_by=refused(_TOKEN, 400, "unsupported_grant_type"),
)
def _(form: Form) -> Form:
    """The token is asked for with a grant that nobody offers."""
    return {**form, "grant_type": "urn:example:grant:unknown"}


@misbehaviour(
    "token-tx-code-wrong",
    Phase.ISSUANCE,
    at=FORM,
    to=_TOKEN,
    clause="OpenID4VCI 1.0 §6.3",
    met_by=refused(_TOKEN, 400, "invalid_grant"),
    needs=(Need.TX_CODE,),
)
def _(form: Form) -> Form:
    """The transaction code is a guess."""
    return {**form, "tx_code": "000000" if form.get("tx_code") != "000000" else "000001"}


@misbehaviour(
    "token-tx-code-missing",
    Phase.ISSUANCE,
    at=FORM,
    to=_TOKEN,
    clause="OpenID4VCI 1.0 §6.3",
    met_by=refused(_TOKEN, 400, "invalid_request", "invalid_grant"),
    needs=(Need.TX_CODE,),
)
def _(form: Form) -> Form:
    """The transaction code is left out."""
    return {name: value for name, value in form.items() if name != "tx_code"}


@misbehaviour(
    "attestation-missing",
    Phase.ISSUANCE,
    at=REQUEST,
    to=_TOKEN,
    clause="HAIP 1.0 §4.4.1",
    met_by=refused(_TOKEN, (401, 400), "invalid_client", "invalid_client_attestation"),
)
def _(request: Outgoing) -> Outgoing:
    """The wallet does not say what wallet it is."""
    return request.headed(ATTESTATION_HEADER, None).headed(ATTESTATION_POP_HEADER, None)


@misbehaviour(
    "attestation-twice",
    Phase.ISSUANCE,
    at=REQUEST,
    to=_TOKEN,
    clause=f"{_ATTESTATION}.1",
    met_by=_not_this_client(),
)
def _(request: Outgoing) -> Outgoing:
    """The request has two attestations."""
    again = next(each for each in request.headers if each[0] == ATTESTATION_HEADER)
    return replace(request, headers=(*request.headers, again))


@misbehaviour(
    "attestation-expired",
    Phase.ISSUANCE,
    at=CLIENT_ATTESTATION,
    to=_TOKEN,
    clause=_ATTESTATION,
    met_by=refused(_TOKEN, (400, 401), "use_fresh_attestation", "invalid_client_attestation", "invalid_client"),
)
def _(attestation: Jwt) -> Jwt:
    """The attestation ended an hour ago."""
    return attestation.claiming(exp=_time(attestation, "iat") - _AN_HOUR, iat=_time(attestation, "iat") - 2 * _AN_HOUR)


@misbehaviour(
    "attestation-stranger",
    Phase.ISSUANCE,
    at=CLIENT_ATTESTATION,
    to=_TOKEN,
    clause="HAIP 1.0 §4.4.1",
    met_by=_not_this_client(),
)
def _(attestation: Jwt) -> Jwt:
    """The attestation is signed by somebody else than the wallet provider that it names."""
    return attestation.signed_by(generate_signer())


@misbehaviour(
    "attestation-typ",
    Phase.ISSUANCE,
    at=CLIENT_ATTESTATION,
    to=_TOKEN,
    clause=_ATTESTATION,
    met_by=_not_this_client(),
)
def _(attestation: Jwt) -> Jwt:
    """The attestation says that it is some JWT."""
    return attestation.headed(typ="JWT")


@misbehaviour(
    "attestation-unsigned",
    Phase.ISSUANCE,
    at=CLIENT_ATTESTATION,
    to=_TOKEN,
    clause=f"{_ATTESTATION}; RFC 8725 §3.2",
    met_by=_not_this_client(),
)
def _(attestation: Jwt) -> Jwt:
    """The attestation has alg none and no signature."""
    return replace(attestation.headed(alg="none"), unsigned=True)


@misbehaviour(
    "attestation-certificate-missing",
    Phase.ISSUANCE,
    at=CLIENT_ATTESTATION,
    to=_TOKEN,
    clause="HAIP 1.0 §4.4.1",
    met_by=_not_this_client(),
)
def _(attestation: Jwt) -> Jwt:
    """The attestation comes without the certificates of who signed it."""
    return attestation.headed(x5c=None)


@misbehaviour(
    "attestation-other-client",
    Phase.ISSUANCE,
    at=CLIENT_ATTESTATION,
    to=_TOKEN,
    clause=f"{_POP} (sub equals client_id)",
    met_by=_not_this_client(),
)
def _(attestation: Jwt) -> Jwt:
    """The attestation is another client's."""
    return attestation.claiming(sub="https://wallet.example/another")


@misbehaviour(
    "attestation-pop-other-key",
    Phase.ISSUANCE,
    at=ATTESTATION_POP,
    to=_TOKEN,
    clause=_POP,
    met_by=_not_this_client(),
)
def _(pop: Jwt) -> Jwt:
    """Possession is proven with another key than the attested one: a stolen attestation."""
    return pop.signed_by(generate_signer())


@misbehaviour(
    "attestation-pop-audience",
    Phase.ISSUANCE,
    at=ATTESTATION_POP,
    to=_TOKEN,
    clause=_POP,
    met_by=_not_this_client(),
)
def _(pop: Jwt) -> Jwt:
    """Possession is proven to another authorization server."""
    return pop.claiming(aud="https://elsewhere.example")


@misbehaviour(
    "attestation-pop-challenge",
    Phase.ISSUANCE,
    at=ATTESTATION_POP,
    to=_TOKEN,
    clause="draft-ietf-oauth-attestation-based-client-auth-07 §8",
    met_by=refused(_TOKEN, (400, 401), "use_attestation_challenge", "invalid_client_attestation", "invalid_client"),
)
def _(pop: Jwt) -> Jwt:
    """The challenge is one that the server never gave."""
    return pop.claiming(challenge=base64.urlsafe_b64encode(bytes(32)).decode("ascii"))


def _time(token: Jwt, claim: str) -> int:
    value = token.claims[claim]
    assert isinstance(value, int)
    return value
