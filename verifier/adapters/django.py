"""What wallets call, for Django sites (extra `django`): `request/<handle>` and `response/<handle>`."""

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from specs.protocols.openid4vp.response import MAX_FORM
from verifier.adapters import wallet_http
from verifier.adapters.wallet_http import MAX_REQUEST_FORM, WalletAnswer
from verifier.service import Verifier


def wallet_urls(verifier: Verifier) -> list[URLPattern]:
    """URL patterns for the two addresses, to `include`; `Endpoints` of the verifier must point to where they are.

    A wallet has no session with the site and no CSRF token: the handle in the address is what it knows.
    """

    @csrf_exempt
    @require_http_methods(["GET", "POST"])
    def request_object(request: HttpRequest, handle: str) -> HttpResponse:
        """OpenID4VP §5.10: the signed question, by POST with the wallet's nonce in it."""
        if request.method == "GET":
            return _rendered(wallet_http.get_request_object(verifier, handle))
        body = request.read(MAX_REQUEST_FORM + 1)
        return _rendered(
            wallet_http.post_request_object(verifier, handle, content_type=_content_type(request), body=body)
        )

    @csrf_exempt
    @require_http_methods(["POST"])
    def response(request: HttpRequest, handle: str) -> HttpResponse:
        """OpenID4VP §8.2: the wallet's answer."""
        body = request.read(MAX_FORM + 1)
        return _rendered(wallet_http.post_response(verifier, handle, content_type=_content_type(request), body=body))

    return [path("request/<str:handle>", request_object), path("response/<str:handle>", response)]


def _content_type(request: HttpRequest) -> str:
    return str(request.META.get("CONTENT_TYPE", ""))


def _rendered(answer: WalletAnswer) -> HttpResponse:
    return HttpResponse(answer.body, status=answer.status, content_type=answer.content_type, headers=answer.headers)
