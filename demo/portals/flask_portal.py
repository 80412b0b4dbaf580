"""A portal on Flask (extra `flask`) that embeds the verifier."""

from flask import Flask, Response, request

from demo.portals.pages import HEADERS, asking_page, result_page
from verifier import Flow, Verifier
from verifier.adapters.flask import wallet_blueprint


def create_portal(verifier: Verifier, procedure: str, *, secure: bool = True) -> Flask:
    """`/` asks, `/return` shows what came back; wallets talk to `/wallet`. secure: cookies over https only."""
    app = Flask(__name__)
    app.register_blueprint(wallet_blueprint(verifier), url_prefix="/wallet")

    @app.get("/")
    def ask() -> Response:
        question = verifier.ask(procedure, flow=Flow.SAME_DEVICE)
        page = Response(asking_page(question), headers=HEADERS)
        page.set_cookie(
            "question", f"{question.id}.{question.session_secret}", httponly=True, secure=secure, samesite="Lax"
        )
        return page

    @app.get("/return")
    def result() -> Response:
        transaction, _, secret = request.cookies["question"].partition(".")
        outcome = verifier.result(transaction, session_secret=secret, response_code=request.args["response_code"])
        return Response(result_page(outcome), headers=HEADERS)

    return app
