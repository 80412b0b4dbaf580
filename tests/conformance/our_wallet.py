"""Our own wallet as the suite meets it: served without a person, trusting the suite as issuer and as verifier."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from conformance.check import GERMAN, HAIP
from conformance.exchange import Recorder
from conformance.identity import HOST, Member, SuiteIdentity
from conformance.minted import Mint
from conformance.settings import Settings
from conformance.suite_server import SuiteServer
from conformance.wallet_target import WalletTarget
from specs.trust.anchors import AnchorKind, TrustAnchor
from tests.wallet_sim.serving import served
from wallet_sim.conduct import HONEST, Conduct
from wallet_sim.present import Habits
from wallet_sim.transport import Transport
from wallet_sim.wallet import Wallet
from wallet_sim.web.app import create_app
from wallet_sim.web.settings import Served, WalletEntry, WalletSettings

CREDENTIAL = Settings().wallet_credential


@contextmanager
def running_wallet(
    folder: Path,
    *,
    conduct: Conduct = HONEST,
    profile: str = HAIP,
    registered_only: bool | None = None,
    is_https: bool = False,
) -> Iterator[WalletTarget]:
    """A fresh wallet with a credential of each format, as a target of the suite.

    registered_only: deal with registered parties alone; None: as the profile has it. is_https: it meets the suite over
    https alone.
    """
    identity = SuiteIdentity.fresh()
    verify, context = ssl.create_default_context(), identity.tls_context([HOST]) if is_https else None
    verify.load_verify_locations(cadata=identity.roots["suite-tls"].decode("ascii"))
    transport = Transport(
        allow_loopback_http=not is_https, client=httpx.Client(timeout=15, verify=verify), conduct=conduct
    )
    is_german = profile == GERMAN if registered_only is None else registered_only
    wallet = Wallet(
        folder / "wallet.db",
        issuer_anchors=_anchors(identity.issuer),
        verifier_anchors=_anchors(identity.verifier),
        metadata_anchors=_anchors(identity.verifier) if is_german else (),
        registrar_anchors=_anchors(identity.registrar),
        habits=Habits(registered_only=is_german),
        transport=transport,
        sleep=lambda _seconds: None,
    )
    mint = Mint(identity, CREDENTIAL)
    wallet.store.add([mint.sd_jwt(), mint.mdoc()])
    entry = WalletEntry(name="first", file=folder / "wallet.db")
    app = create_app(
        Served(WalletSettings(wallets=(entry,), allow_loopback_http=True), {"first": wallet}, conduct), unattended=True
    )
    recorder = Recorder()
    with (
        served(lambda _url: app) as url,
        SuiteServer(recorder, context=context) as server,
        httpx.Client(timeout=15) as client,
    ):
        yield WalletTarget(
            f"{url}/authorize",
            client,
            server,
            recorder,
            identity,
            offer_endpoint=f"{url}/credential_offer",
            dc_api_endpoint=f"{url}/dc-api",
            credential=CREDENTIAL,
            provider_anchors=(TrustAnchor(AnchorKind.CA, _root(wallet), "provider"),),
            profile=profile,
        )


def _anchors(member: Member) -> tuple[TrustAnchor, ...]:
    return (TrustAnchor(AnchorKind.CA, member.root, "suite"),)


def _root(wallet: Wallet) -> bytes:

    return x509.load_pem_x509_certificate(wallet.provider.anchor_pem()).public_bytes(Encoding.DER)
