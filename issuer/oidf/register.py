"""The register that the target asks for claims, in its own process: what a wallet renews has to come from somewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from issuer.claims_source.messages import ANSWER_TYP, LIFETIME, MEDIA_TYPE, QUESTION_TYP
from issuer.http.outgoing import Outgoing
from issuer.login import LoginProvider
from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import build_jws, parse_jws
from specs.keys.signer import FileSigner
from verifier.expectations import Fetched

URL = "https://register.invalid/claims"


@dataclass(frozen=True, slots=True)
class TestRegister(Outgoing):
    """Answers the questions that would go out to `URL`, and lets nothing else out. signer: of its answers."""

    people: LoginProvider = field(kw_only=True, repr=False)
    signer: FileSigner = field(kw_only=True, repr=False)

    async def post(
        self, url: str, body: bytes, *, headers: Mapping[str, str], deadline: float, max_bytes: int
    ) -> Fetched:
        """See `Outgoing`. The question comes from this very process, so its signature proves nothing."""
        question = parse_jws(body.decode("ascii"), expected_typ=QUESTION_TYP).claims()
        now = question["iat"]
        assert isinstance(now, int), "the issuer's own question"
        answer: JsonObject = {
            "iss": url,
            "aud": question["iss"],
            "request": question["jti"],
            "sub": question["sub"],
            "credential_type": question["credential_type"],
            "iat": now,
            "exp": now + LIFETIME,
            **await self._outcome(str(question["sub"]), str(question["credential_type"])),
        }
        signed = build_jws(strict_json.dumps(answer), signer=self.signer, typ=ANSWER_TYP)
        return Fetched(signed.encode("ascii"), 200, MEDIA_TYPE, now)

    async def _outcome(self, subject: str, credential_type: str) -> JsonObject:
        person = await self.people.person(subject)
        claims = None if person is None else person.claims.get(credential_type)
        return {"refused": "not_known"} if claims is None else {"claims": dict(claims)}
