"""A simulated wallet: one file, and all that a holder can do with it."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from specs.encoding.strict_json import JsonObject
from specs.trust.x509 import TrustAnchor
from wallet_sim.collect import Collector, Holder
from wallet_sim.conduct import HONEST, Conduct
from wallet_sim.present import CAREFUL, Habits, Presented, Presenter
from wallet_sim.provider import WalletProvider
from wallet_sim.question import Chosen, Consent, QuestionShown
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
        collector = Collector(
            self.store,
            self.provider,
            self.transport,
            anchors=self._issuer_anchors,
            metadata_anchors=self._metadata_anchors,
            copies=copies,
            presenter=self._presenter(),
            by_details=self._by_details,
            clock=self._clock,
            sleep=self._sleep,
        )
        collected = collector.collect(offer, holder=holder)
        names = ", ".join(dict.fromkeys(each.name for each in collected))
        self._remember(EventKind.COLLECTED, collected[0].issuer if collected else "", names)
        return collected

    def present(self, request: str, *, consent: Consent) -> Presented:
        """Answer a verifier's question; errors as `Presenter.present`."""
        asker = ""

        def noting(question: QuestionShown) -> bool | Chosen:
            nonlocal asker
            asker = question.verifier
            return consent(question)

        presented = self._presenter().present(request, consent=noting)
        shown = "; ".join(f"{each.credential}: {', '.join(each.claims)}" for each in presented.shown)
        self._remember(EventKind.PRESENTED, asker, shown)
        return presented

    def answer_dc_api(self, protocol: str, data: JsonObject, *, origin: str, consent: Consent) -> JsonObject:
        """Answer a question that came through the browser; errors as `Presenter.answer_dc_api`."""
        return self._presenter().answer_dc_api(protocol, data, origin=origin, consent=consent)

    def answer_interaction(self, data: JsonObject, *, origin: str, consent: Consent) -> JsonObject:
        """Answer what an issuer asks before it gives anything; errors as `Presenter.answer_interaction`."""
        return self._presenter().answer_interaction(data, origin=origin, consent=consent)

    def forget(self, credential_ids: Sequence[str]) -> None:
        """Delete credentials with their keys, and write down that it was done."""
        gone = [each for each in self.credentials() if each.id in credential_ids]
        for each in gone:
            self.store.delete(each.id)
        names = ", ".join(dict.fromkeys(each.name for each in gone))
        self._remember(EventKind.DELETED, gone[0].issuer if gone else "", names)

    def _remember(self, kind: EventKind, party: str, what: str) -> None:
        self.store.remember(Event(int(self._clock()), kind, party, what))

    def _presenter(self) -> Presenter:
        return Presenter(
            self.store,
            self.transport,
            self._verifier_anchors,
            self._habits,
            registrar_anchors=self._registrar_anchors,
            clock=self._clock,
        )

    def credentials(self) -> tuple[StoredCredential, ...]:
        """All copies of all credentials, the oldest first."""
        return self.store.credentials()
