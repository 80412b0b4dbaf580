"""A portal on Django (extra `django`) that embeds the verifier: the URL patterns of its pages."""

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path

from demo.portals.pages import HEADERS, asking_page, result_page
from verifier import Flow, Verifier
from verifier.adapters.django import wallet_urls


def portal_urls(verifier: Verifier, procedure: str, *, secure: bool = True) -> list[URLPattern | URLResolver]:
    """`/` asks, `/return` shows what came back; wallets talk to `/wallet`. secure: cookies over https only."""

    def ask(_request: HttpRequest) -> HttpResponse:
        question = verifier.ask(procedure, flow=Flow.SAME_DEVICE)
        page = HttpResponse(asking_page(question), headers=HEADERS)
        page.set_cookie(
            "question", f"{question.id}.{question.session_secret}", httponly=True, secure=secure, samesite="Lax"
        )
        return page

    def result(request: HttpRequest) -> HttpResponse:
        transaction, _, secret = request.COOKIES["question"].partition(".")
        outcome = verifier.result(transaction, session_secret=secret, response_code=request.GET["response_code"])
        return HttpResponse(result_page(outcome), headers=HEADERS)

    return [path("", ask), path("return", result), path("wallet/", include(wallet_urls(verifier)))]
