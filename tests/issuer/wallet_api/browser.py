"""A browser that fills in our forms as a person would, without running any script."""

import re

import httpx

from tests.issuer.wallet_api.world import Flow

_INPUT = re.compile(r'name="csrf_token" value="([^"]+)"')
PASSWORDS = {"mila": "einfach", "jon": "auch-einfach"}
_ACTION = re.compile(r'<form method="post" action="([^"]+)"')


async def open_login(flow: Flow, request_uri: str) -> httpx.Response:
    """The login page of a request."""
    return await flow.wallet.http.get(flow.authorize_url(request_uri), follow_redirects=True)


async def submit(http: httpx.AsyncClient, page: httpx.Response, **fields: str) -> httpx.Response:
    """Send the form of a page, with the token that it carries, unless a test says another."""
    token, action = _INPUT.search(page.text), _ACTION.search(page.text)
    assert token is not None, page.text
    assert action is not None
    return await http.post(page.url.join(action[1]), data={"csrf_token": token[1], **fields})


async def log_in(flow: Flow, request_uri: str, *, username: str = "mila") -> httpx.Response:
    """Log in; the consent page."""
    page = await open_login(flow, request_uri)
    assert page.status_code == 200, page.text
    answer = await submit(flow.wallet.http, page, username=username, password=PASSWORDS[username], decision="login")
    assert answer.status_code == 303, answer.text
    return await flow.wallet.http.get(page.url.join(answer.headers["location"]))


async def log_in_and(decision: str, flow: Flow, request_uri: str) -> str:
    """Log in and decide; where the browser is sent."""
    consent = await log_in(flow, request_uri)
    assert consent.status_code == 200, consent.text
    answer = await submit(flow.wallet.http, consent, decision=decision)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])
