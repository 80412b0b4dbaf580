"""A portal on FastAPI (extra `fastapi`) that embeds the verifier."""

from typing import Annotated

from fastapi import Cookie, FastAPI
from fastapi.responses import HTMLResponse

from demo.portals.pages import HEADERS, asking_page, result_page
from verifier import AsyncVerifier, Flow, Verifier
from verifier.adapters.fastapi import wallet_router


def create_portal(verifier: Verifier, procedure: str, *, secure: bool = True) -> FastAPI:
    """`/` asks, `/return` shows what came back; wallets talk to `/wallet`. secure: cookies over https only."""
    app = FastAPI()
    app.include_router(wallet_router(verifier), prefix="/wallet")
    working = AsyncVerifier(verifier)

    @app.get("/")
    async def ask() -> HTMLResponse:
        question = await working.ask(procedure, flow=Flow.SAME_DEVICE)
        page = HTMLResponse(asking_page(question), headers=HEADERS)
        page.set_cookie(
            "question", f"{question.id}.{question.session_secret}", httponly=True, secure=secure, samesite="lax"
        )
        return page

    @app.get("/return")
    async def result(response_code: str, question: Annotated[str, Cookie()]) -> HTMLResponse:
        transaction, _, secret = question.partition(".")
        outcome = await working.result(transaction, session_secret=secret, response_code=response_code)
        return HTMLResponse(result_page(outcome), headers=HEADERS)

    return app
