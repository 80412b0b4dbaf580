"""Asks a register for claims: signed, policed, repeated within a budget, and checked against the credential type."""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from issuer.catalog.claims import ClaimsRefused, check_claims
from issuer.catalog.schema import CredentialType, Datasets
from issuer.claims_source import SourceUnavailable, SourceUntrustworthy
from issuer.claims_source.messages import MEDIA_TYPE, ClaimsQuestion, build_question, parse_answer
from issuer.http.outgoing import Outgoing
from issuer.tenant_file import Register
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import SigningIdentity
from verifier.expectations import Fetched
from verifier.fetch import FetchFailed, FetchForbidden

CITY_TIME = ZoneInfo("Europe/Berlin")
_FIRST_PAUSE = 0.2  # seconds; doubled with each try
_RETRY_AFTER = 30  # seconds, where the register does not say itself
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_LOG = logging.getLogger("issuer")


@dataclass(frozen=True, slots=True)
class ClaimsPuller:
    """Asks on behalf of tenants. skew: seconds by which a register's clock may be ahead."""

    outgoing: Outgoing
    skew: int
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    monotonic: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = field(default=random.random)  # no secret

    async def pull(
        self,
        register: Register,
        *,
        identity: SigningIdentity,
        issuer_url: str,
        subject: str,
        kind: CredentialType,
        now: int,
        patient: bool = False,
    ) -> Mapping[str, JsonObject]:
        """The claims of one person for one type by dataset, checked, as they will be minted.

        patient: take the register's longer budget, because the wallet was told to come back. now: seconds.

        Raises:
            SourceUnavailable: no answer within the budget, or none yet. SourceRefused: the register says no.
            SourceUntrustworthy: what came is not a good answer; the log has which rule it broke, never a value.
        """
        question = ClaimsQuestion(
            issuer=issuer_url,
            register=register.url,
            subject=subject,
            credential_type=kind.type,
            claims=tuple(claim.name for claim in kind.claims if not claim.is_fixed),
            jti=secrets.token_urlsafe(16),
            several=kind.datasets is Datasets.SEVERAL,
        )
        body = build_question(question, identity=identity, now=now).encode()
        try:
            answer = await self._ask(register, body, budget=register.patience if patient else register.budget)
            if answer.http_status != 200:
                raise SourceUntrustworthy("status")
            found = parse_answer(answer.body, question=question, key=register.public_key, now=now, skew=self.skew)
            today = datetime.fromtimestamp(now, CITY_TIME).date()
            return {
                name: check_claims(claims, credential_type=kind, today=today, pointer="")
                for name, claims in found.items()
            }
        except ClaimsRefused as refused:
            places = ", ".join(finding.code for finding in refused.findings)
            _LOG.error("a register's claims for %s do not fit the type: %s", kind.type, places)
            raise SourceUntrustworthy("claims") from None
        except SourceUntrustworthy as error:
            _LOG.error("a register's answer for %s can't be used: %s", kind.type, error.defect)
            raise

    async def _ask(self, register: Register, body: bytes, *, budget: float) -> Fetched:
        """The first answer that is one; what may pass is tried again as long as the budget lasts."""
        until = self.monotonic() + budget
        pause = _FIRST_PAUSE
        while (left := until - self.monotonic()) > 0:
            try:
                answer = await self.outgoing.post(
                    register.url,
                    body,
                    headers={"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE},
                    deadline=min(register.timeout, left),
                    max_bytes=register.max_bytes,
                )
                if answer.http_status not in _PASSING:
                    return answer
            except FetchForbidden as error:
                raise SourceUntrustworthy(str(error)) from None
            except FetchFailed as error:
                _LOG.warning("a register did not answer: %s", error)
            wait = pause * (0.5 + self.jitter() / 2)
            pause *= 2
            if self.monotonic() + wait >= until:
                break
            await self.sleep(wait)
        raise SourceUnavailable(_RETRY_AFTER)
