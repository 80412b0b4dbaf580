"""Attacks on the verifier's flows: each an attempt that would succeed, but for one thing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from specs.keys.jwe import encrypt
from specs.protocols.openid4vp import HAIP_FORMATS
from specs.refusal import Refusal
from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.defects import defect
from tests.verifier.desk import IN_CLEAR, MDOC, Asking, Desk, code_of, reason_of
from tests.verifier.world import VCT, World
from verifier import ReasonCode

UNKNOWN = ReasonCode.TRANSACTION_UNKNOWN


@dataclass
class Posting:
    """A wallet's answer on its way to an address."""

    desk: Desk
    asking: Asking
    handle: str
    form: Mapping[str, object]

    @classmethod
    def valid(cls, desk: Desk) -> "Posting":
        """The right answer to an open question."""
        asking = desk.ask()
        return cls(desk, asking, asking.response_handle, desk.answer(asking))

    def outcome(self) -> str | None:
        """Post it; why it was refused."""
        return reason_of(self.desk.verifier.receive(self.handle, self.form))

    def saying(self, **members: object) -> "Posting":
        """The encrypted answer says this besides; None takes a member out."""
        payload = {"vp_token": self.desk.vp_token(self.asking), "state": self.asking.state, **members}
        return self.posting({name: value for name, value in payload.items() if value is not None})

    def posting(self, payload: Mapping[str, object]) -> "Posting":
        """The encrypted answer is this."""
        self.form = self.asking.encrypted(payload)
        return self


@dataclass
class Collecting:
    """The asker's way to the verdict."""

    desk: Desk
    asking: Asking
    id: str
    session_secret: str
    response_code: str | None

    @classmethod
    def valid(cls, desk: Desk) -> "Collecting":
        """The asker whom the wallet brought back."""
        asking = desk.ask()
        code = code_of(desk.receive(asking, desk.answer(asking)))
        return cls(desk, asking, asking.question.id, asking.question.session_secret, code)

    def outcome(self) -> str | None:
        """Collect it; why it was refused."""
        try:
            found = self.desk.verifier.result(
                self.id, session_secret=self.session_secret, response_code=self.response_code
            )
        except Refusal as refusal:
            return refusal.reason
        assert found.verdict.accepted
        return None


@dataclass
class Fetching:
    """A wallet's way to the question."""

    desk: Desk
    asking: Asking
    handle: str

    @classmethod
    def valid(cls, desk: Desk) -> "Fetching":
        """The second fetch of an open question, which is the first one's like."""
        asking = desk.ask()
        assert desk.read(asking.question).params["nonce"] == asking.nonce
        return cls(desk, asking, asking.request_handle)

    def outcome(self) -> str | None:
        """Fetch it; why it was refused."""
        try:
            self.desk.verifier.request_object(self.handle)
        except Refusal as refusal:
            return refusal.reason
        return None


# vf-001: an answer counts once


@defect("vf-001", refused_as=UNKNOWN)
def posted_twice(attempt: Posting) -> Posting:
    """OpenID4VP §14.1: the same answer again."""
    assert attempt.outcome() is None
    return attempt


@defect("vf-001b", refused_as=UNKNOWN)
def two_answers(attempt: Posting) -> Posting:
    """OpenID4VP §14.1: another answer, after the first, to the same question."""
    assert attempt.outcome() is None
    attempt.form = attempt.desk.answer(attempt.asking)
    return attempt


@defect("vf-001c", refused_as=UNKNOWN)
def answer_after_refusal(attempt: Posting) -> Posting:
    """Contract: an answer that opens and is bad ends the question, too; nobody tries again and again."""
    bad = Posting(attempt.desk, attempt.asking, attempt.handle, {}).saying(vp_token={"pid": ["a~b"]})
    assert bad.outcome() is not None
    return attempt


# vf-002: what is gone, or never was, looks the same


@defect("vf-002", refused_as=UNKNOWN)
def never_asked(attempt: Posting) -> Posting:
    """Contract: an address that belongs to no question."""
    attempt.handle = "A" * 43
    return attempt


@defect("vf-002b", refused_as=UNKNOWN)
def expired(attempt: Posting) -> Posting:
    """Contract: five minutes are over."""
    attempt.desk.clock.now += 300
    return attempt


@defect("vf-002c", refused_as=UNKNOWN)
def purged(attempt: Posting) -> Posting:
    """Contract: five minutes are over and the row is gone."""
    attempt.desk.clock.now += 300
    assert attempt.desk.verifier.purge() >= 1
    return attempt


@defect("vf-002d", refused_as=UNKNOWN)
def ended_by_an_error(attempt: Posting) -> Posting:
    """OpenID4VP §8.5: the wallet declined before."""
    declined = {"error": "access_denied", "state": attempt.asking.state}
    error = Posting(attempt.desk, attempt.asking, attempt.handle, declined)
    assert error.outcome() is None
    return attempt


# vf-003: the verdict stays with who asked


@defect("vf-003", refused_as=UNKNOWN)
def code_used_twice(attempt: Collecting) -> Collecting:
    """OpenID4VP §13.3: a response code counts once."""
    assert attempt.outcome() is None
    return attempt


@defect("vf-003b", refused_as=UNKNOWN)
def another_browser(attempt: Collecting) -> Collecting:
    """OpenID4VP §13.3: who has the code, but not the session that asked."""
    attempt.session_secret = attempt.desk.ask().question.session_secret
    return attempt


@defect("vf-003c", refused_as=UNKNOWN)
def code_guessed(attempt: Collecting) -> Collecting:
    """OpenID4VP §13.3: another code."""
    attempt.response_code = "A" * 43
    return attempt


@defect("vf-003d", refused_as=UNKNOWN)
def no_code(attempt: Collecting) -> Collecting:
    """Contract: on the same device, no verdict before the wallet came back."""
    attempt.response_code = None
    return attempt


@defect("vf-003e", refused_as=UNKNOWN)
def code_expired(attempt: Collecting) -> Collecting:
    """Contract: five minutes after the answer."""
    attempt.desk.clock.now += 300
    return attempt


@defect("vf-003f", refused_as=UNKNOWN)
def code_of_another_transaction(attempt: Collecting) -> Collecting:
    """OpenID4VP §13.3: a code that the attacker got for his own answer."""
    attempt.response_code = Collecting.valid(attempt.desk).response_code
    return attempt


# vf-005: state and address


@defect("vf-005", refused_as=ReasonCode.STATE_MISMATCH)
def state_of_another(attempt: Posting) -> Posting:
    """OpenID4VP §5.3: the state of another transaction."""
    return attempt.saying(state=attempt.desk.ask().state)


@defect("vf-005b", refused_as=ReasonCode.STATE_MISMATCH)
def state_missing(attempt: Posting) -> Posting:
    """OpenID4VP §5.3: sent, so it comes back."""
    return attempt.saying(state=None)


@defect("vf-005c", refused_as=ReasonCode.ENCRYPTION_KEY_UNKNOWN)
def address_of_another(attempt: Posting) -> Posting:
    """OpenID4VP §8.2: the answer to one question at another's address."""
    attempt.handle = attempt.desk.ask().response_handle
    return attempt


@defect("vf-005d", refused_as=UNKNOWN)
def address_of_another_city(attempt: Posting) -> Posting:
    """OpenID4VP §8.2: another relying party's transaction."""
    attempt.handle = Desk(attempt.desk.world).ask().response_handle
    return attempt


@defect("vf-005e", refused_as=ReasonCode.DEVICE_AUTHENTICATION_INVALID)
def made_for_another_address(attempt: Posting) -> Posting:
    """OpenID4VP §B.2.6.1: an mdoc presented to another response_uri."""
    attempt.asking = attempt.desk.ask(MDOC)
    elsewhere = {**attempt.asking.params, "response_uri": "https://other.example/response"}
    token = attempt.desk.mdoc_token(replace(attempt.asking, params=elsewhere))
    attempt.handle = attempt.asking.response_handle
    return attempt.saying(vp_token=token)


# vf-006: the question after its answer


@defect("vf-006", refused_as=UNKNOWN)
def fetched_after_the_answer(attempt: Fetching) -> Fetching:
    """Contract: a question that was answered is not asked again."""
    assert reason_of(attempt.desk.receive(attempt.asking, attempt.desk.answer(attempt.asking))) is None
    return attempt


@defect("vf-006b", refused_as=UNKNOWN)
def fetched_after_its_end(attempt: Fetching) -> Fetching:
    """Contract: nor one that is over."""
    attempt.desk.clock.now += 300
    return attempt


@defect("vf-006c", refused_as=UNKNOWN)
def fetched_by_guess(attempt: Fetching) -> Fetching:
    """Contract: nor one whose handle is guessed."""
    attempt.handle = attempt.asking.response_handle
    return attempt


# vf-008: errors


@defect("vf-008", refused_as=ReasonCode.RESPONSE_MALFORMED)
def error_beside_an_answer(attempt: Posting) -> Posting:
    """OpenID4VP §8.5: one or the other."""
    return attempt.saying(error="access_denied")


@defect("vf-008b", refused_as=ReasonCode.STATE_MISMATCH)
def error_of_another_transaction(attempt: Posting) -> Posting:
    """OpenID4VP §5.3: an error with a state of its own must have ours."""
    attempt.form = {"error": "access_denied", "state": attempt.desk.ask().state}
    return attempt


@defect("vf-008c", refused_as=ReasonCode.RESPONSE_MALFORMED)
def error_beside_a_closed_answer(attempt: Posting) -> Posting:
    """OpenID4VP §8.3.1: an error in clear stands alone."""
    attempt.form = {**attempt.form, "error": "access_denied"}
    return attempt


# vf-007: our question, passed on by another relying party


@defect("vf-007", refused_as=ReasonCode.AUDIENCE_MISMATCH)
def answer_to_a_question_that_was_passed_on(attempt: Posting) -> Posting:
    """OpenID4VP §14.1, §14.8: the answer names whose question it was; who passed it on can't use it."""
    whose = Desk(attempt.desk.world).relying_party.client_id.text
    shown = attempt.desk.world.present_sd_jwt(attempt.desk.credential, nonce=attempt.asking.nonce, audience=whose)
    return attempt.saying(vp_token={"pid": [shown]})


@defect("vf-007b", refused_as=ReasonCode.DEVICE_AUTHENTICATION_INVALID)
def device_answer_to_a_question_that_was_passed_on(attempt: Posting) -> Posting:
    """OpenID4VP §B.2.6.1: the session that a device signs has client, address and key of the question in it."""
    other = Desk(attempt.desk.world)
    asking = attempt.desk.ask(MDOC)
    token = other.mdoc_token(other.ask(MDOC))
    return Posting(attempt.desk, asking, asking.response_handle, {}).saying(vp_token=token)


# vf-009: trust belongs to the type


@defect("vf-009", refused_as=ReasonCode.CERTIFICATE_UNTRUSTED)
def library_signs_a_pid(attempt: Posting) -> Posting:
    """Contract: an issuer that is trusted for library cards signs a PID, in its type, with its own key."""
    library = World(now=attempt.desk.world.now)
    anchor = TrustAnchor(AnchorKind.CA, library.authority.certificate, "Library")
    card = replace(attempt.desk.world.domain, name="library", anchors=(anchor,))
    attempt.desk.verifier._trust = {**attempt.desk.world.trust, ("dc+sd-jwt", "urn:example:library:1"): (card,)}
    forged = library.present_sd_jwt(library.sd_jwt(), nonce=attempt.asking.nonce, audience=attempt.asking.client_id)
    return attempt.saying(vp_token={"pid": [forged]})


@defect("vf-009b", refused_as=ReasonCode.TRUST_NOT_CONFIGURED)
def nobody_is_trusted(attempt: Posting) -> Posting:
    """Contract: a type without anchors is a type without issuers."""
    attempt.desk.verifier._trust = {key: value for key, value in attempt.desk.world.trust.items() if key[1] != VCT}
    return attempt


# vf-011: more, or something else, than was asked


@defect("vf-011", refused_as=ReasonCode.QUERY_ID_UNKNOWN)
def extra_credential(attempt: Posting) -> Posting:
    """OpenID4VP §8.1: a credential under an id that nobody asked for."""
    token = attempt.desk.vp_token(attempt.asking)
    return attempt.saying(vp_token={**token, "extra": token["pid"]})


@defect("vf-011b", refused_as=ReasonCode.TOO_MANY_PRESENTATIONS)
def two_where_one_was_asked(attempt: Posting) -> Posting:
    """OpenID4VP §8.1: `multiple` was not set."""
    token = attempt.desk.vp_token(attempt.asking)
    return attempt.saying(vp_token={"pid": token["pid"] * 2})


@defect("vf-011c", refused_as=ReasonCode.FORMAT_MISMATCH)
def another_format(attempt: Posting) -> Posting:
    """OpenID4VP §8.6: an mdoc where an SD-JWT VC was asked for."""
    return attempt.saying(vp_token=attempt.desk.mdoc_token(attempt.asking))


@defect("vf-011d", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
def algorithm_not_announced(attempt: Posting) -> Posting:
    """OpenID4VP §B.3.4: a question that announced ES256 alone is not answered with another."""
    world = World(alg="ES384", holder_alg="ES384")
    desk = Desk(world)
    assert Posting.valid(desk).outcome() is None
    careful = Desk(world)
    careful.verifier.relying_party = replace(careful.relying_party, formats=HAIP_FORMATS)
    return Posting.valid(careful)


# vf-012: a PID by proxy


def in_another_session(attempt: Posting, *, nonce: str | None = None, audience: str | None = None) -> Posting:
    """A presentation that the holder made in another session."""
    shown = attempt.desk.world.present_sd_jwt(
        attempt.desk.credential,
        nonce=nonce or attempt.asking.nonce,
        audience=audience or attempt.asking.client_id,
    )
    return attempt.saying(vp_token={"pid": [shown]})


@defect("vf-012", refused_as=ReasonCode.NONCE_MISMATCH)
def nonce_of_a_parallel_session(attempt: Posting) -> Posting:
    """OpenID4VP §14.1: made for another question of ours."""
    return in_another_session(attempt, nonce=attempt.desk.ask().nonce)


@defect("vf-012b", refused_as=ReasonCode.AUDIENCE_MISMATCH)
def audience_of_another_verifier(attempt: Posting) -> Posting:
    """OpenID4VP §14.1: made for another verifier, who passes our nonce on."""
    return in_another_session(attempt, audience="x509_hash:another")


@defect("vf-012c", refused_as=ReasonCode.RESPONSE_MALFORMED)
def encrypted_for_a_question_in_clear(attempt: Posting) -> Posting:
    """OpenID4VP §8.3: encryption was not asked for, and there is no key of ours."""
    other = attempt.desk.ask(IN_CLEAR)
    token = json.dumps({"vp_token": attempt.desk.vp_token(other), "state": other.state}).encode()
    attempt.handle = other.response_handle
    attempt.form = {"response": encrypt(token, jwk=attempt.asking.jwk, enc="A256GCM")}
    return attempt
