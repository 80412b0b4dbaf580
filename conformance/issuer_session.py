"""What several checks of an issuer share in one run: a token per group of checks, credentials that were collected."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from conformance.check import Failed, NotApplicable
from conformance.exchange import JSON, Answer
from conformance.issuer_peer import Grant, IssuerPeer
from conformance.issuer_target import IssuerTarget, shown
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import FileSigner, generate_signer

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Session:
    """A wallet with a token."""

    peer: IssuerPeer
    grant: Grant


@dataclass(frozen=True, slots=True)
class Collected:
    """What one credential request brought. keys: those that were shown."""

    answer: Answer
    body: JsonObject
    credentials: tuple[str, ...]
    keys: tuple[FileSigner, ...]


def kept(target: IssuerTarget, name: str, make: Callable[[], Kept]) -> Kept:
    """Made once in a run; what can't be made is not tried again.

    Raises:
        NotApplicable: it can't be made.
    """
    if name not in target.kept:
        try:
            target.kept[name] = make()
        except NotApplicable as reason:
            target.kept[name] = reason
        except Failed as failed:
            target.kept[name] = NotApplicable(f"what this needs failed: {failed}")
    found = target.kept[name]
    if isinstance(found, NotApplicable):
        raise NotApplicable(str(found))
    return cast("Kept", found)


def session(target: IssuerTarget, group: str, configuration: str | None = None) -> Session:
    """The token of a group of checks."""

    def make() -> Session:
        peer = IssuerPeer(target)
        return Session(peer, peer.granted(configuration or target.first_configuration))

    return kept(target, f"session {group} {configuration or ''}", make)


def collect(current: Session, copies: int = 1, **members: object) -> Collected:
    """A credential request by the book with fresh keys.

    Raises:
        Failed: it brings no credential at once.
    """
    keys = tuple(generate_signer() for _ in range(copies))
    peer, grant = current.peer, current.grant
    proofs = peer.proofs(grant.configuration, keys, nonce=peer.nonce())
    answer = peer.credential(grant, peer.request(grant, proofs, **members))  # type: ignore[arg-type]
    body = credential_answer(answer)
    return Collected(answer, body, credentials_of(body), keys)


def collected(target: IssuerTarget, form: str) -> Collected:
    """One credential of a format, collected once in a run.

    Raises:
        NotApplicable: the format is not offered, or nothing was issued; the check of the answer itself says so.
    """
    return kept(target, f"collected {form}", lambda: collect(session(target, "credential", target.configuration(form))))


def fresh_batch(target: IssuerTarget, form: str) -> Collected:
    """As many credentials of a format as one request may ask for, 20 at most; kept for `batch`.

    Raises:
        NotApplicable: batches or the format are not offered. Failed: nothing was issued.
    """
    size = batch_size(target)
    if size is None:
        raise NotApplicable("no batches are offered")
    got = collect(session(target, "batch", target.configuration(form)), copies=min(size, 20))
    target.kept[f"batch {form}"] = got
    return got


def batch(target: IssuerTarget, form: str) -> Collected:
    """The batch of a format, collected once in a run.

    Raises:
        NotApplicable: there is none; the check of batches itself says so if there should be.
    """
    return kept(target, f"batch {form}", lambda: fresh_batch(target, form))


def batch_size(target: IssuerTarget) -> int | None:
    """The issuer's `batch_size`, if it offers batches."""
    offered = target.metadata.get("batch_credential_issuance")
    size = offered.get("batch_size") if isinstance(offered, dict) else None
    return size if isinstance(size, int) and size > 1 else None


def credential_answer(answer: Answer) -> JsonObject:
    """The object in an answer that must hold credentials.

    Raises:
        Failed: the answer is something else.
        NotApplicable: it defers.
    """
    if answer.status == 202:
        raise NotApplicable("the issuer defers this credential")
    if answer.status != 200 or answer.media_type != JSON:
        raise Failed(f"200 {JSON}", answer.described)
    return answer.json_object()


def credentials_of(body: JsonObject) -> tuple[str, ...]:
    """The credentials of an answer, as texts.

    Raises:
        Failed: there is none, or one is no text.
    """
    entries = body.get("credentials")
    if not isinstance(entries, list) or not entries:
        raise Failed("credentials, a list with an entry", shown(sorted(body)))
    found = [entry.get("credential") if isinstance(entry, dict) else None for entry in entries]
    if not all(isinstance(each, str) and each for each in found):
        raise Failed("a text `credential` in each entry of credentials", "something else")
    return tuple(str(each) for each in found)


def refused(answer: Answer, *, statuses: Sequence[int] = (400,), errors: Sequence[str] = ()) -> str:
    """The answer is one of these refusals, in JSON.

    Raises:
        Failed: it is another answer.
    """
    coded = f" with error {' or '.join(errors)}" if errors else ""
    words = f"{' or '.join(map(str, statuses))}{coded}"
    if answer.status not in statuses:
        raise Failed(words, answer.described)
    if answer.media_type != JSON and answer.status != 401:
        raise Failed(f"{words} as {JSON}", answer.described)
    if errors and answer.error not in errors:
        raise Failed(words, answer.described)
    return answer.described
