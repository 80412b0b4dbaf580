"""What the wallet's pages take, and that they go on answering, without a browser."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import httpx
import pytest

from tests.wallet_sim.serving import served
from wallet_sim.conduct import HONEST
from wallet_sim.wallet import Wallet
from wallet_sim.web.app import create_app
from wallet_sim.web.flows import Flow, Stage
from wallet_sim.web.settings import Served, WalletEntry, WalletSettings, open_wallets

PAGE = "https://portal.example"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[httpx.Client]:
    """A browser with the cookie of a wallet's pages."""
    settings = WalletSettings(wallets=(WalletEntry(name="mila", file=tmp_path / "mila.db"),))
    app = create_app(open_wallets(settings), unattended=False)
    with served(lambda _url: app) as url, httpx.Client(base_url=url) as client:
        client.get("/wallets/mila")
        yield client


@pytest.mark.parametrize(("site", "status"), [("same-origin", 303), ("same-site", 403), ("cross-site", 403)])
def test_form_of_another_port_is_refused(browser: httpx.Client, site: str, status: int) -> None:
    """Ports of one host share cookies: a page of another one could set ours, and then send a form that knew it."""
    form = {"csrf_token": browser.cookies["wallet-csrf"]}

    answer = browser.post("/wallets/mila/history/delete", data=form, headers={"Sec-Fetch-Site": site})

    assert answer.status_code == status


@pytest.mark.parametrize(("base", "secure"), [("https://127.0.0.1:8703", True), ("http://127.0.0.1:8703", False)])
async def test_cookie_of_a_page_by_https_goes_by_https_alone(base: str, secure: bool, tmp_path: Path) -> None:
    settings = WalletSettings(wallets=(WalletEntry(name="mila", file=tmp_path / "mila.db"),))
    app = create_app(open_wallets(settings), unattended=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base) as client:
        cookie = (await client.get("/wallets/mila")).headers["set-cookie"]

    assert cookie.startswith("wallet-csrf=")
    assert ("Secure" in cookie) is secure


class _Broken:
    """A wallet with a defect of its own."""

    def renew(self, batch: str) -> None:
        """Fail as nobody foresaw."""
        raise RuntimeError(batch)


def test_flow_ends_whatever_fails_in_it() -> None:
    """The page said "a moment" for ever."""
    flow = Flow("mila").renew(cast(Wallet, _Broken()), "batch")

    standing = flow.wait(10)

    assert standing.stage is Stage.REFUSED
    assert standing.refused is not None
    assert "RuntimeError" in standing.refused.sentence


class _Slow:
    """A wallet that thinks until it is told to end."""

    def __init__(self) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()

    def answer_page(self, requests: object, *, origin: str, consent: object) -> None:
        """Wait."""
        self.began.set()
        self.may_end.wait(20)
        raise ValueError("nothing to be shown")


def test_wallet_answers_others_while_it_thinks_about_a_pages_question() -> None:
    """One page's question held up every other page of the wallet for eight seconds."""
    slow = _Slow()
    settings = WalletSettings(wallets=(WalletEntry(name="mila", file=Path("mila.db")),), page_origins=(PAGE,))
    wallets = Served(settings, {"mila": cast(Wallet, slow)}, HONEST)
    with served(lambda _url: create_app(wallets, unattended=False)) as url, httpx.Client(base_url=url) as client:
        asked = {"digital": {"requests": [{"protocol": "org-iso-mdoc", "data": {}}]}}
        asking = threading.Thread(
            target=httpx.post, args=(f"{url}/dc-api/questions",), kwargs={"json": asked, "headers": {"Origin": PAGE}}
        )
        asking.start()
        try:
            assert slow.began.wait(10)
            assert client.get("/healthz", timeout=3).status_code == 200
        finally:
            slow.may_end.set()
            asking.join(20)
