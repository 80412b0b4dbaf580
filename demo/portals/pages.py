"""The two pages of each example portal."""

from html import escape

from verifier import Outcome, Question
from verifier.texts import sentence

HEADERS = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cache-Control": "no-store"}


def asking_page(question: Question) -> str:
    """The link that opens the wallet on this device."""
    return _page(f'<p><a id="wallet" href="{escape(question.wallet_url)}">Mit der Wallet ausweisen</a></p>')


def result_page(outcome: Outcome) -> str:
    """What was accepted, or what to do next."""
    if outcome.verdict.reason is not None:
        return _page(f'<p id="refused">{escape(sentence(outcome.verdict.reason, language="de"))}</p>')
    shown = [f"{name}: {value}" for each in outcome.verdict.credentials for name, value in each.claims.items()]
    return _page('<ul id="accepted">' + "".join(f"<li>{escape(text)}</li>" for text in shown) + "</ul>")


def _page(content: str) -> str:
    return f'<!doctype html><html lang="de"><title>Portal</title><main><h1>Portal</h1>{content}</main></html>'
