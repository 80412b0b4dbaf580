"""What wallets call, for Flask applications (extra `flask`): `/request/<handle>` and `/response/<handle>`."""

from flask import Blueprint, Response, request

from specs.protocols.openid4vp.response import MAX_FORM
from verifier.adapters import wallet_http
from verifier.adapters.wallet_http import MAX_REQUEST_FORM, WalletAnswer
from verifier.service import Verifier


def wallet_blueprint(verifier: Verifier, *, name: str = "wallets") -> Blueprint:
    """A blueprint for the two addresses; `Endpoints` of the verifier must point to where it is registered."""
    blueprint = Blueprint(name, __name__)

    @blueprint.get("/request/<handle>")
    def get_request_object(handle: str) -> Response:
        """OpenID4VP §5.10.1: the signed question."""
        if request.method == "HEAD":
            return _rendered(wallet_http.ONLY_LOOKED)
        return _rendered(wallet_http.get_request_object(verifier, handle))

    @blueprint.post("/request/<handle>")
    def post_request_object(handle: str) -> Response:
        """OpenID4VP §5.10: the signed question with the wallet's nonce in it."""
        body = request.stream.read(MAX_REQUEST_FORM + 1)
        return _rendered(
            wallet_http.post_request_object(verifier, handle, content_type=request.content_type or "", body=body)
        )

    @blueprint.post("/response/<handle>")
    def post_response(handle: str) -> Response:
        """OpenID4VP §8.2: the wallet's answer."""
        body = request.stream.read(MAX_FORM + 1)
        return _rendered(
            wallet_http.post_response(verifier, handle, content_type=request.content_type or "", body=body)
        )

    return blueprint


def _rendered(answer: WalletAnswer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers), content_type=answer.content_type)
