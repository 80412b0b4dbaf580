"""A simulated wallet: one file, and all that a holder can do with it."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from specs.encoding.strict_json import JsonObject, JsonValue
from specs.refusal import Refusal
from specs.trust.x509 import TrustAnchor
from wallet_sim.collect import Collector, Holder
from wallet_sim.conduct import HONEST, Conduct
from wallet_sim.device import Device, ReaderShown
from wallet_sim.device_session import StreamDevice
from wallet_sim.present import CAREFUL, Habits, PageAnswer, Presented, Presenter
from wallet_sim.provider import WalletProvider
from wallet_sim.question import ClaimShown, Consent
from wallet_sim.store import Event, EventKind, StoredCredential, WalletStore
from wallet_sim.transport import Transport


class Wallet:
    """One wallet.

    issuer_anchors: who may issue credentials (empty: whoever does, for tests). verifier_anchors: of access
    certificates: who may ask (empty: nobody). metadata_anchors: of access certificates of issuers; with some, signed
    metadata are asked for. registrar_anchors: of registration certificates of those who ask. allow_loopback_http: plain
    http to this machine, for demonstrations; a transport that is given has its own, and its own conduct. sleep: how the
    wallet waits for deferred credentials. habits: what it does where the standard of presentations leaves it to the
    wallet. by_details: as `Collector` has it. conduct: honest, or `misbehaviour.Misconduct`.
    """

    def __init__(
        self,
        path: Path,
        *,
        issuer_anchors: Sequence[TrustAnchor] = (),
        verifier_anchors: Sequence[TrustAnchor] = (),
        metadata_anchors: Sequence[TrustAnchor] = (),
        registrar_anchors: Sequence[TrustAnchor] = (),
        allow_loopback_http: bool = False,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        habits: Habits = CAREFUL,
        by_details: bool = False,
        conduct: Conduct = HONEST,
    ) -> None:
        self.store = WalletStore(path)
        self.provider = WalletProvider.of(self.store, now=int(clock()))
        self.transport = transport or Transport(allow_loopback_http=allow_loopback_http, conduct=conduct)
        self._issuer_anchors = tuple(issuer_anchors)
        self._verifier_anchors = tuple(verifier_anchors)
        self._metadata_anchors = tuple(metadata_anchors)
        self._registrar_anchors = tuple(registrar_anchors)
        self._clock = clock
        self._sleep = sleep
        self._habits = habits
        self._by_details = by_details

    def collect(self, offer: str, *, holder: Holder, copies: int = 1) -> tuple[StoredCredential, ...]:
        """Collect what an offer holds; errors as `Collector.collect`."""
        known = {each.id for each in self.credentials()}
        try:
            return self._collector(copies=copies).collect(offer, holder=holder)
        finally:  # what came before something failed was stored all the same
            collected = [each for each in self.credentials() if each.id not in known]
            if collected:
                names = ", ".join(dict.fromkeys(each.name for each in collected))
                self._remember(EventKind.COLLECTED, collected[0].issuer, names)

    def renew(self, batch: str) -> tuple[StoredCredential, ...]:
        """Collect all copies of a credential anew; errors as `Collector.renew`."""
        renewed = self._collector().renew(batch)
        self._remember(EventKind.RENEWED, renewed[0].issuer, renewed[0].name)
        return renewed

    def present(self, request: str, *, consent: Consent) -> Presented:
        """Answer a verifier's question; errors as `Presenter.present`."""
        return self._presenter().present(request, consent=consent)

    def answer_dc_api(self, protocol: str, data: JsonObject, *, origin: str, consent: Consent) -> JsonObject:
        """Answer one question that came through the browser: `protocol`, `data`; errors as of `answer_page`."""
        return self._presenter().answer_dc_api(protocol, data, origin=origin, consent=consent).members

    def answer_page(self, requests: Sequence[JsonValue], *, origin: str, consent: Consent) -> PageAnswer:
        """Answer the first of a page's `digital.requests` that this wallet can.

        Raises:
            ValueError: none is of a protocol that this wallet speaks.
            Refusal: as `Presenter.answer_dc_api`, of the first.
        """
        failure: Refusal | ValueError | None = None
        for asked in requests:
            protocol, data = (asked.get("protocol"), asked.get("data")) if isinstance(asked, dict) else (None, None)
            if isinstance(protocol, str) and isinstance(data, dict):
                try:
                    return self._presenter().answer_dc_api(protocol, data, origin=origin, consent=consent)
                except (Refusal, ValueError) as error:  # the next one may be one that this wallet can answer
                    failure = failure or error
        raise failure or ValueError("no request of a protocol that this wallet speaks")

    def answer_interaction(self, data: JsonObject, *, origin: str, consent: Consent) -> JsonObject:
        """Answer what an issuer asks before it gives anything; errors as `Presenter.answer_interaction`."""
        return self._presenter().answer_interaction(data, origin=origin, consent=consent)

    def meet(
        self,
        *,
        reader_anchors: Sequence[TrustAnchor] = (),
        engaged: Callable[[str], None],
        consent: Callable[[ReaderShown], bool],
    ) -> bool:
        """Show mdocs to a reader on the spot; whether the holder agreed.

        reader_anchors: whose readers may ask; none: any. engaged: is told the link that the reader's camera must see.

        Raises:
            WalletFailure, Refusal: as `StreamDevice.serve`.
        """
        agreed: list[ReaderShown] = []

        def asked(reader: ReaderShown) -> bool:
            agrees = consent(reader)
            agreed.extend([reader] if agrees else [])
            return agrees

        conduct = self.transport.conduct
        device = StreamDevice(Device(self.store, reader_anchors, clock=self._clock, conduct=conduct))
        engaged(device.link)
        try:
            device.serve(consent=asked)
        finally:  # who breaks off afterwards has seen it all the same
            for reader in agreed:
                shown = [ClaimShown(each.credential, each.elements) for each in reader.shown]
                self._remember_shown(reader.reader or "", shown)
        return bool(agreed)

    def forget(self, credential_ids: Sequence[str]) -> None:
        """Delete credentials with their keys, and write down that it was done."""
        gone = [each for each in self.credentials() if each.id in credential_ids]
        for each in gone:
            self.store.delete(each.id)
        names = ", ".join(dict.fromkeys(each.name for each in gone))
        self._remember(EventKind.DELETED, gone[0].issuer if gone else "", names)

    def _remember_shown(self, by: str, shown: Sequence[ClaimShown]) -> None:
        what = "; ".join(f"{each.credential}: {', '.join(each.claims)}" for each in shown)
        self._remember(EventKind.PRESENTED, by, what)

    def _remember(self, kind: EventKind, party: str, what: str) -> None:
        self.store.remember(Event(int(self._clock()), kind, party, what))

    def _collector(self, *, copies: int = 1) -> Collector:
        return Collector(
            self.store,
            self.provider,
            self.transport,
            anchors=self._issuer_anchors,
            metadata_anchors=self._metadata_anchors,
            signed_only=self._habits.registered_only,
            copies=copies,
            presenter=self._presenter(),
            by_details=self._by_details,
            clock=self._clock,
            sleep=self._sleep,
        )

    def _presenter(self) -> Presenter:
        return Presenter(
            self.store,
            self.transport,
            self._verifier_anchors,
            self._habits,
            registrar_anchors=self._registrar_anchors,
            clock=self._clock,
            noted=self._remember_shown,
        )

    def credentials(self) -> tuple[StoredCredential, ...]:
        """All copies of all credentials, the oldest first."""
        return self.store.credentials()
