"""A simulated wallet: one file, and all that a holder can do with it."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from specs.trust.x509 import TrustAnchor
from wallet_sim.collect import Collector, Holder
from wallet_sim.present import Presented, Presenter, QuestionShown
from wallet_sim.provider import WalletProvider
from wallet_sim.store import StoredCredential, WalletStore
from wallet_sim.transport import Transport


class Wallet:
    """One wallet.

    issuer_anchors: who may issue credentials (empty: whoever does, for tests). verifier_anchors: who may ask; empty
    answers nobody.
    """

    def __init__(
        self,
        path: Path,
        *,
        issuer_anchors: Sequence[TrustAnchor] = (),
        verifier_anchors: Sequence[TrustAnchor] = (),
        transport: Transport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = WalletStore(path)
        self.provider = WalletProvider.of(self.store, now=int(clock()))
        self._issuer_anchors = tuple(issuer_anchors)
        self._verifier_anchors = tuple(verifier_anchors)
        self._transport = transport or Transport()
        self._clock = clock

    def collect(self, offer: str, *, holder: Holder, copies: int = 1) -> tuple[StoredCredential, ...]:
        """Collect what an offer holds; errors as `Collector.collect`."""
        collector = Collector(
            self.store,
            self.provider,
            self._transport,
            anchors=self._issuer_anchors,
            copies=copies,
            clock=self._clock,
        )
        return collector.collect(offer, holder=holder)

    def present(self, request: str, *, consent: Callable[[QuestionShown], bool]) -> Presented:
        """Answer a verifier's question; errors as `Presenter.present`."""
        presenter = Presenter(self.store, self._transport, self._verifier_anchors, clock=self._clock)
        return presenter.present(request, consent=consent)

    def credentials(self) -> tuple[StoredCredential, ...]:
        """All credentials, the oldest first."""
        return self.store.credentials()
