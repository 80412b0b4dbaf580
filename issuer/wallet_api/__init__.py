"""What wallets call under https://HOST/t/{tenant}: metadata, authorization, token, nonce, credential, notification."""

from fastapi import APIRouter

from issuer.wallet_api import authorization_routes, interaction_routes, openid_routes, pid_routes, publication_routes

router = APIRouter()
for _part in (
    publication_routes.router,
    authorization_routes.push_router,
    authorization_routes.browser_router,
    interaction_routes.router,
    openid_routes.router,
    pid_routes.router,
):
    router.include_router(_part)
