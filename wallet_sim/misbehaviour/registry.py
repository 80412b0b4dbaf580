"""What a misbehaviour is, the list of all of them, and the conduct of a wallet that does one of them.

Each is one function that changes one piece of what goes out:

    @misbehaviour(
        "dpop-other-endpoint", Phase.ISSUANCE, at=DPOP, to=Endpoint.TOKEN, clause="RFC 9449 §4.3 (9)",
        met_by=refused(Endpoint.TOKEN, 400, "invalid_dpop_proof"),
    )
    def _(proof: Jwt) -> Jwt:
        '''The DPoP proof names another address than the one it is sent to.'''
        return proof.claiming(htu="https://elsewhere.example/token")
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from specs.keys.signer import Signer
from wallet_sim.conduct import Conduct, Endpoint, Exchange, Jwt, Piece, jwt_of

T = TypeVar("T")
Past: TypeAlias = tuple[T, ...]
"""What went out earlier of the same piece to the same endpoint, as it went out; the oldest first."""

BOTH = ("dc+sd-jwt", "mso_mdoc")
_ENDED = (20, 11)  # the session's end, or that of one whose CBOR can't be read (ISO/IEC 18013-5 Table 20)
SD_JWT_ONLY = ("dc+sd-jwt",)
MDOC_ONLY = ("mso_mdoc",)


class Phase(StrEnum):
    """In which exchange a wallet misbehaves."""

    ISSUANCE = "issuance"
    PRESENTATION = "presentation"
    PROXIMITY = "proximity"


class Need(StrEnum):
    """What the other side must offer, or the wallet hold, so that there is an occasion to misbehave."""

    PRE_AUTHORIZED = "pre-authorized code"
    TX_CODE = "transaction code"
    LOGIN = "authorization code"
    TWO_CREDENTIALS = "offer of two credentials"
    TWO_COPIES = "batch issuance"
    KEY_ATTESTATION = "key attestation"
    ENCRYPTED_REQUESTS = "encrypted credential requests"
    ENCRYPTED_ANSWERS = "encrypted answers"
    NOTIFICATION = "notification endpoint"
    ANOTHER_TYPE = "credential of another type in the wallet"
    EARLIER = "earlier exchange with the same party"
    TRANSACTION_DATA = "transaction data"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Reaction:
    """What the other side must answer.

    at: where its answer shows. statuses: HTTP statuses, or with which a reader ends the session; any of them is right.
    errors: codes of the protocol, any of which is right; none: whatever it calls it. reason: the reason that this
    project's verifier gives. is_refusal: False if the exchange may go on all the same.
    """

    at: Endpoint
    statuses: tuple[int, ...]
    errors: tuple[str, ...] = ()
    reason: str | None = None
    is_refusal: bool = True

    def is_met_by(self, exchanges: Sequence[Exchange]) -> bool:
        """Whether the last answer there was one of those."""
        seen = self.seen(exchanges)
        return seen is not None and seen.status in self.statuses and (not self.errors or seen.error in self.errors)

    def seen(self, exchanges: Sequence[Exchange]) -> Exchange | None:
        """The last answer there."""
        return next((each for each in reversed(exchanges) if each.to is self.at), None)

    def __str__(self) -> str:
        """For people: `400 invalid_nonce at credential`."""
        statuses = " or ".join(map(str, self.statuses))
        errors = " or ".join(self.errors)
        return f"{statuses}{f' {errors}' if errors else ''} at {self.at}"


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """One thing that a wallet must not do. sentence: what it does."""

    id: str
    phases: tuple[Phase, ...]
    formats: tuple[str, ...]
    clause: str
    sentence: str
    reaction: Reaction
    needs: frozenset[Need]
    piece: Piece[Any]
    to: tuple[Endpoint, ...]
    change: Callable[[Any, Past[Any]], Any]

    def reaction_in(self, phase: Phase) -> Reaction:
        """What must come back in this exchange: on the spot the session ends, and the reader's verdict alone tells."""
        if phase is not Phase.PROXIMITY or self.reaction.at is Endpoint.READER:
            return self.reaction
        return Reaction(Endpoint.READER, _ENDED, reason=self.reaction.reason)

    def __str__(self) -> str:
        """The id, as pytest shows it."""
        return self.id


class UnknownMisbehaviour(Exception):
    """There is none of this name."""


class Misconduct(Conduct):
    """A wallet that does one thing wrong, each time it has occasion.

    exchanges: all answers that came back. is_done: whether there was an occasion.
    """

    def __init__(self, misbehaviour: Misbehaviour) -> None:
        self.misbehaviour = misbehaviour
        self.exchanges: list[Exchange] = []
        self.is_done = False
        self._past: dict[Endpoint, list[Any]] = {}

    def change(self, piece: Piece[T], value: T, *, to: Endpoint) -> T:
        """Changed, if it is the piece in question."""
        if piece is not self.misbehaviour.piece or to not in self.misbehaviour.to:
            return value
        past = self._past.setdefault(to, [])
        changed: T = self.misbehaviour.change(value, tuple(past))
        self.is_done |= changed is not value
        past.append(changed)
        return changed

    def signed(self, piece: Piece[Jwt], token: str, signer: Signer, *, to: Endpoint) -> str:
        """Changed and signed anew, if it is the token in question."""
        if piece is not self.misbehaviour.piece or to not in self.misbehaviour.to:
            return token
        return self.change(piece, jwt_of(token, signer), to=to).token()

    def note(self, exchange: Exchange) -> None:
        """Kept, for the reaction to be found in."""
        self.exchanges.append(exchange)

    def is_met(self, phase: Phase) -> bool:
        """Whether the other side did what it must."""
        return self.misbehaviour.reaction_in(phase).is_met_by(self.exchanges)


_registered: dict[str, Misbehaviour] = {}


def replaying(
    name: str,
    *phases: Phase,
    at: Piece[T],
    to: Endpoint | Collection[Endpoint],
    clause: str,
    met_by: Reaction,
    formats: tuple[str, ...] = BOTH,
    needs: Collection[Need] = (),
) -> Callable[[Callable[[T, Past[T]], T]], Callable[[T, Past[T]], T]]:
    """Register a function of a piece and its predecessors under a name; its docstring is the sentence for people."""

    def register(change: Callable[[T, Past[T]], T]) -> Callable[[T, Past[T]], T]:
        assert change.__doc__, name
        assert name not in _registered, name
        _registered[name] = Misbehaviour(
            id=name,
            phases=phases,
            formats=formats,
            clause=clause,
            sentence=change.__doc__,
            reaction=met_by,
            needs=frozenset(needs),
            piece=at,
            to=(to,) if isinstance(to, Endpoint) else tuple(to),
            change=change,
        )
        return change

    return register


def misbehaviour(
    name: str,
    *phases: Phase,
    at: Piece[T],
    to: Endpoint | Collection[Endpoint],
    clause: str,
    met_by: Reaction,
    formats: tuple[str, ...] = BOTH,
    needs: Collection[Need] = (),
) -> Callable[[Callable[[T], T]], Callable[[T], T]]:
    """Register a function of a piece under a name; its docstring is the sentence for people."""

    def register(change: Callable[[T], T]) -> Callable[[T], T]:
        def alone(value: T, _past: Past[T]) -> T:
            return change(value)

        alone.__doc__ = change.__doc__
        replaying(name, *phases, at=at, to=to, clause=clause, met_by=met_by, formats=formats, needs=needs)(alone)
        return change

    return register


def misbehaviours(phase: Phase | None = None) -> tuple[Misbehaviour, ...]:
    """All, or those of one exchange, in the order they are written down."""
    return tuple(each for each in _registered.values() if phase is None or phase in each.phases)


def find_misbehaviour(name: str) -> Misbehaviour:
    """The one of this name.

    Raises:
        UnknownMisbehaviour: there is none.
    """
    if name not in _registered:
        raise UnknownMisbehaviour(f"no misbehaviour is called {name}: `stadtnachweis wallet misbehaviours` lists them")
    return _registered[name]


def refused(at: Endpoint, statuses: int | tuple[int, ...], *errors: str) -> Reaction:
    """Refused with one of these statuses and codes."""
    return Reaction(at, (statuses,) if isinstance(statuses, int) else statuses, errors)


def not_believed(reason: str, *, statuses: tuple[int, ...] = (400,)) -> Reaction:
    """The verifier takes the answer and does not believe it. reason: as this project's verifier names it."""
    return Reaction(Endpoint.ANSWER, statuses, reason=reason)
