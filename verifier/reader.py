"""A reader at a counter or in an inspector's hand: asks a device on the spot, fetches what is named, and judges."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from specs.keys.signer import SigningIdentity
from specs.protocols.proximity import DeviceEngagement, query_as_answered
from specs.refusal import Refusal
from verifier.ask import Procedure
from verifier.documents import fetch_documents, revocations, settle_documents, status_lists
from verifier.expectations import Trust, TrustSource, trust_now
from verifier.fetch import Fetcher, PolicedFetcher
from verifier.proximity import DeviceUnreachable, ProximitySession, ProximityTransport
from verifier.receive import wanted
from verifier.verdict import Verdict, refused
from verifier.verify import Judge

_NO_NONCE = ""  # the transcript of the session takes its place


class Reader:
    """Reads mdocs on the spot, for one relying party."""

    def __init__(
        self,
        *,
        procedures: Mapping[str, Procedure],
        trust: Trust | TrustSource,
        identity: SigningIdentity | None = None,
        fetcher: Fetcher | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """identity: signs what is asked (ISO/IEC 18013-5 §9.1.4). fetcher: for status and revocation lists."""
        self._procedures = dict(procedures)
        self._trust = trust
        self._identity = identity
        self._fetcher = fetcher or PolicedFetcher()
        self._clock = clock

    def read(self, procedure: str, engagement: DeviceEngagement, transport: ProximityTransport) -> Verdict:
        """Ask one device a procedure's question; its answer judged.

        Raises:
            KeyError: no such procedure.
            ValueError: a question that can't be asked on the spot.
            Refusal: the device's key can't be used.
            DeviceUnreachable: the device is gone before it answered, or does not answer in time.
        """
        asking = self._procedures[procedure]
        session = ProximitySession(engagement, query=asking.query, reader=self._identity)
        transport.send(session.establishment)
        try:
            vp_token = session.receive(transport.receive(), limits=asking.policy.limits.of_mdoc)
        except Refusal as error:
            _take_leave(transport, session.farewell(error.reason))
            return refused(error.reason, "response")
        _take_leave(transport, session.farewell())
        return self._judged(vp_token, asking=asking, session=session)

    def _judged(
        self, vp_token: Mapping[str, Sequence[str]], *, asking: Procedure, session: ProximitySession
    ) -> Verdict:
        now = int(self._clock())
        judge = Judge(
            vp_token,
            query=query_as_answered(asking.query, vp_token, limits=asking.policy.limits.of_mdoc),
            nonce=_NO_NONCE,
            client_id=None,
            binding=session.binding,
            trust=trust_now(self._trust, now=now),
            policy=asking.policy,
            now=now,
        )
        documents = fetch_documents(lambda there: wanted(judge, documents=there), fetcher=self._fetcher)
        verdict = judge.verdict(status_lists=status_lists(documents), revocation=revocations(documents))
        settle_documents(documents, fetcher=self._fetcher, believed=verdict.accepted)
        return verdict


def _take_leave(transport: ProximityTransport, farewell: bytes) -> None:
    with suppress(DeviceUnreachable):  # what it said counts, whether or not it waits for a farewell
        transport.send(farewell)
