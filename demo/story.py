"""The story: a citizen collects her credentials, uses them at the city, and one of them is revoked."""

import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from demo.browser import Browser
from demo.servers import CITY_TENANT, PID_TENANT, DemoFailed, Issuer, Server
from specs.protocols.dcql import FORMAT_MDOC, FORMAT_SD_JWT_VC
from specs.trust.x509 import AnchorKind, anchors_from_pem
from wallet_sim.collect import REDIRECT_URI, Holder
from wallet_sim.transport import Transport, WalletFailure
from wallet_sim.wallet import Wallet

PASS_CLAIMS = {
    "entitled": True,
    "valid_until_month": "2027-06",
    "family_name": "Lindenau",
    "given_name": "Mila Johanna",
    "birthdate": "1991-03-07",
}
STATUS_PATIENCE = 10.0  # seconds until a revocation must show


@contextmanager
def step(what: str) -> Iterator[None]:
    """One step of the story, with its outcome and time."""
    begin = time.perf_counter()
    try:
        yield
    except BaseException:
        print(f"  ✗ {what}", flush=True)
        raise
    print(f"  ✓ {what} ({(time.perf_counter() - begin) * 1000:.0f} ms)", flush=True)


class CityApi:
    """The back end of the city's app, which calls the issuer's City API."""

    def __init__(self, issuer: Server, api_key: str) -> None:
        self._client = httpx.Client(base_url=issuer.url, headers={"Authorization": f"Bearer {api_key}"}, timeout=15)

    def post(self, path: str, body: object) -> dict[str, object]:
        """Call, once."""
        answer = self._client.post(path, json=body, headers={"Idempotency-Key": secrets.token_hex(16)})
        return _good(answer)

    def get(self, path: str) -> dict[str, object]:
        """Ask."""
        return _good(self._client.get(path))


def _good(answer: httpx.Response) -> dict[str, object]:
    if not answer.is_success:
        raise DemoFailed(f"the City API answers {answer.status_code}: {answer.text[:300]}")
    found: dict[str, object] = answer.json()
    return found


def make_wallet(path: Path, issuer: Issuer | None = None) -> Wallet:
    """The citizen's wallet; with an issuer's folder it knows whom to trust."""
    transport = Transport(allow_loopback_http=True)
    if issuer is None:
        return Wallet(path, transport=transport)
    issuers = [
        anchor
        for tenant in (PID_TENANT, CITY_TENANT)
        for anchor in anchors_from_pem(
            (issuer.keys(tenant) / "iaca.crt.pem").read_bytes(), kind=AnchorKind.CA, name=tenant
        )
    ]
    verifiers = anchors_from_pem(
        (issuer.keys(CITY_TENANT) / "access-ca.crt.pem").read_bytes(), kind=AnchorKind.CA, name="access certificates"
    )
    return Wallet(path, issuer_anchors=issuers, verifier_anchors=verifiers, transport=transport)


def play(*, issuer: Issuer, issuing: Server, city: Server, wallet: Wallet) -> None:
    """Play the story once.

    Raises:
        DemoFailed: a step does not hold.
    """
    pid_api = CityApi(issuing, issuer.run("api-key", "add", PID_TENANT, "--name", "story"))
    city_api = CityApi(issuing, issuer.run("api-key", "add", CITY_TENANT, "--name", "story"))
    with step("the PID provider offers an identity; the citizen logs in, consents and collects it in both formats"):
        _collect_pid(pid_api, wallet)
    with step("the city offers a Leipzig-Pass with a transaction code; the wallet collects it in both formats"):
        credentials = _collect_pass(city_api, wallet)
    with step("the citizen applies for a parking permit: the wallet shows the PID, the form is filled in"):
        _apply(city, wallet)
    with step("the counter checks the Leipzig-Pass on the phone: valid"):
        _check_pass(city, wallet, expected="entitled")
    with step("the city revokes the Leipzig-Pass"):
        for credential in credentials:
            city_api.post(f"/api/v1/credentials/{credential}/revoke", {"reason": "benefit ended"})
    with step("the counter checks again: refused, because the pass was revoked"):
        _check_until_refused(city, wallet)


def _collect_pid(api: CityApi, wallet: Wallet) -> None:
    offer = api.post(
        "/api/v1/offers",
        {
            "credential_types": ["pid_mock"],
            "formats": [FORMAT_SD_JWT_VC, FORMAT_MDOC],
            "grant": "authorization_code",
            "subject": {"reference": "buergeramt-0815"},
        },
    )
    browser = Browser()

    def authorize(url: str) -> str:
        login = browser.open(url)
        consent = browser.submit(login, {"username": "mila", "password": "einfach", "decision": "login"})
        return browser.submit(consent, {"decision": "approve"}, stop_at=REDIRECT_URI).url

    collected = wallet.collect(str(offer["offer_uri"]), holder=Holder(lambda _: True, authorize=authorize))
    _expect({credential.format for credential in collected} == {FORMAT_SD_JWT_VC, FORMAT_MDOC}, "both formats")


def _collect_pass(api: CityApi, wallet: Wallet) -> list[str]:
    offer = api.post(
        "/api/v1/offers",
        {
            "credential_types": ["leipzig_pass"],
            "formats": [FORMAT_SD_JWT_VC, FORMAT_MDOC],
            "grant": "pre-authorized_code",
            "subject": {"reference": "sozialamt-4711"},
            "claims": {"leipzig_pass": PASS_CLAIMS},
            "tx_code": True,
        },
    )
    holder = Holder(lambda _: True, tx_code=lambda: str(offer["tx_code"]))
    collected = wallet.collect(str(offer["offer_uri"]), holder=holder)
    _expect({credential.format for credential in collected} == {FORMAT_SD_JWT_VC, FORMAT_MDOC}, "both formats")
    state = api.get(f"/api/v1/offers/{offer['id']}")
    credentials = state["credentials"]
    _expect(isinstance(credentials, list) and len(credentials) == 2, "two credentials on record")
    assert isinstance(credentials, list)
    return [str(credential["id"]) for credential in credentials]


def _apply(city: Server, wallet: Wallet) -> None:
    browser = Browser()
    asked = browser.submit(browser.open(f"{city.url}/parking"), {})
    presented = wallet.present(asked.links["open-wallet"], consent=lambda _: True)
    _expect(presented.redirect_uri is not None, "the way back to the browser")
    form = browser.open(str(presented.redirect_uri))
    _expect(form.text("family-name") == "LINDENAU", "the family name in the form")
    _expect(form.text("locality") == "04109 LEIPZIG", "the address in the form")
    received = browser.submit(form, {"plate": "L-XY 123"})
    _expect("L-XY 123" in received.text("received"), "the receipt")


def _check_pass(city: Server, wallet: Wallet, *, expected: str) -> None:
    browser = Browser()
    asked = browser.submit(browser.open(f"{city.url}/counter"), {})
    wallet.present(asked.text("phone-link"), consent=lambda _: True)
    shown = browser.open(f"{city.url}/counter/result")
    _expect(f'data-verdict="{expected}"' in shown.html, f"the verdict {expected}")


def _check_until_refused(city: Server, wallet: Wallet) -> None:
    until = time.monotonic() + STATUS_PATIENCE
    while True:
        browser = Browser()
        asked = browser.submit(browser.open(f"{city.url}/counter"), {})
        try:
            wallet.present(asked.text("phone-link"), consent=lambda _: True)
        except WalletFailure:
            shown = browser.open(f"{city.url}/counter/result")
            _expect('data-verdict="refused"' in shown.html, "the refusal")
            _expect(shown.text("reason") == "status_revoked", "the reason status_revoked")
            return
        if time.monotonic() > until:
            raise DemoFailed("the revoked pass is still accepted")
        time.sleep(0.5)


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise DemoFailed(f"the story expected {what}")


def say(text: str) -> None:
    """A line of the narrator."""
    print(text, file=sys.stdout, flush=True)
