"""The endpoint of Interactive Authorization, where a tenant offers it."""

from fastapi import APIRouter, HTTPException, Request, Response

from issuer.http.dependencies import Service, TenantOfPath
from issuer.wallet_api.collection_routes import client_headers
from issuer.wallet_api.interaction import begin_interaction, go_on_with_interaction
from issuer.wallet_api.rules import CHALLENGE_PATH, offers_interaction
from issuer.wallet_api.wire import WalletRoute, form_body, json_answer
from specs.protocols.interactive_authorization import build_granted, build_interaction_required, is_intermediate

router = APIRouter(prefix="/t/{tenant}", route_class=WalletRoute, tags=["wallets"])


@router.post(CHALLENGE_PATH)
async def challenge(service: Service, tenant: TenantOfPath, request: Request) -> Response:
    """OpenID4VCI 1.1 draft-01 §6: what must be shown, or the code."""
    if not offers_interaction(tenant):
        raise HTTPException(404)
    body, headers = await form_body(request), client_headers(request)
    if is_intermediate(body):
        code = await go_on_with_interaction(service, tenant, body=body, headers=headers)
        return json_answer(build_granted(code))
    required = await begin_interaction(service, tenant, body=body, headers=headers)
    return json_answer(build_interaction_required(required), status=401)
