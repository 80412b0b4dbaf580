"""The verifier for event loops: what waits for a store or a fetch waits in a thread."""

import asyncio
from collections.abc import Mapping

from specs.protocols.openid4vp import RequestEncryption
from verifier.ask import AS_THE_PROCEDURE_SAYS, Choices, Flow
from verifier.outcome import Outcome
from verifier.question import Question, Receipt
from verifier.service import Verifier


class AsyncVerifier:
    """The same verifier for event loops; each method as `Verifier`'s."""

    def __init__(self, verifier: Verifier) -> None:
        self.verifier = verifier

    async def ask(self, procedure: str, *, flow: Flow, choices: Choices = AS_THE_PROCEDURE_SAYS) -> Question:
        """As `Verifier.ask`."""
        return await asyncio.to_thread(self.verifier.ask, procedure, flow=flow, choices=choices)

    async def fresh_link(self, page: str) -> str:
        """As `Verifier.fresh_link`."""
        return await asyncio.to_thread(self.verifier.fresh_link, page)

    async def request_object(
        self, handle: str, *, wallet_nonce: str | None = None, encryption: RequestEncryption | None = None
    ) -> str:
        """As `Verifier.request_object`."""
        return await asyncio.to_thread(
            self.verifier.request_object, handle, wallet_nonce=wallet_nonce, encryption=encryption
        )

    async def receive(self, handle: str, form: Mapping[str, object]) -> Receipt:
        """As `Verifier.receive`."""
        return await asyncio.to_thread(self.verifier.receive, handle, form)

    async def receive_dc_api(
        self, transaction_id: str, *, session_secret: str, origin: str, response: Mapping[str, object]
    ) -> Receipt:
        """As `Verifier.receive_dc_api`."""
        return await asyncio.to_thread(
            self.verifier.receive_dc_api,
            transaction_id,
            session_secret=session_secret,
            origin=origin,
            response=response,
        )

    async def is_answered(self, transaction_id: str) -> bool:
        """As `Verifier.is_answered`."""
        return await asyncio.to_thread(self.verifier.is_answered, transaction_id)

    async def is_answered_for(self, page: str) -> bool:
        """As `Verifier.is_answered_for`."""
        return await asyncio.to_thread(self.verifier.is_answered_for, page)

    async def result(
        self,
        transaction_id: str,
        *,
        session_secret: str,
        response_code: str | None = None,
        idempotency_key: str | None = None,
    ) -> Outcome:
        """As `Verifier.result`."""
        return await asyncio.to_thread(
            self.verifier.result,
            transaction_id,
            session_secret=session_secret,
            response_code=response_code,
            idempotency_key=idempotency_key,
        )
