"""Interactive Authorization: the wallet shows what the issuer asks for, and gets its code without a browser.

OpenID4VCI 1.1 draft-01 §6.
"""

from specs.encoding import strict_json
from specs.protocols.interactive_authorization import (
    INSUFFICIENT_AUTHORIZATION,
    PRESENTATION,
    derived_origin,
    parse_granted,
    parse_interaction_required,
)
from specs.protocols.oauth import AuthorizationRequest, build_pushed_request
from wallet_sim.conduct import Endpoint
from wallet_sim.issuer_session import IssuerSession, error_code, good
from wallet_sim.present import Presenter
from wallet_sim.question import Consent
from wallet_sim.transport import WalletFailure


def authorize_by_presenting(
    session: IssuerSession,
    asked: AuthorizationRequest,
    *,
    presenter: Presenter,
    consent: Consent,
) -> str:
    """The authorization code for a request, after its holder has shown what the server wants to see.

    Raises:
        WalletFailure: the server refuses, wants something else than a presentation, or the holder declines.
        RequestError, Refusal: the question is not the server's own, or breaks a rule.
    """
    endpoint = session.server.authorization_challenge_endpoint
    assert endpoint is not None
    form = {**build_pushed_request(asked), "interaction_types_supported": PRESENTATION}
    answer = session.post_form(endpoint, form, to=Endpoint.CHALLENGE)
    if error_code(answer) != INSUFFICIENT_AUTHORIZATION:
        return parse_granted(good(answer, "the login").body)
    required = parse_interaction_required(answer.body)
    if required.interaction_type != PRESENTATION or required.openid4vp_request is None:
        raise WalletFailure("the issuer wants an interaction that this wallet did not offer")
    shown = presenter.answer_interaction(required.openid4vp_request, origin=derived_origin(endpoint), consent=consent)
    going_on = {"auth_session": required.auth_session, "openid4vp_response": strict_json.dumps(shown).decode()}
    answer = session.post_form(endpoint, going_on, to=Endpoint.CHALLENGE)
    return parse_granted(good(answer, "what was shown").body)
