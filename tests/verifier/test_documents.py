"""Documents that an answer is judged with: fetched in rounds that end, one form after another, told apart by kind."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from specs.credentials.status_list import StatusMediaType
from specs.credentials.type_metadata import MAX_CHAIN
from verifier import Fetched
from verifier.cache import CachingFetcher
from verifier.documents import (
    Documents,
    by_url,
    fetch_documents,
    revocations,
    settle_documents,
    status_lists,
)
from verifier.fetch import FetchFailed
from verifier.verify import Reference, ReferenceKind

JWT, CWT = StatusMediaType.JWT, StatusMediaType.CWT
LIST = Reference(ReferenceKind.STATUS_LIST, "https://a.example/list", (CWT, JWT))
WITHDRAWN = Reference(ReferenceKind.REVOCATION_LIST, "http://a.example/crl", ("application/pkix-crl",))
RESPONDER = Reference(ReferenceKind.OCSP, "http://a.example/ocsp", ("application/ocsp-response",))
TYPE = Reference(ReferenceKind.TYPE_METADATA, "https://a.example/type", ("application/json",))


@dataclass
class Site:
    """What lies at each address: HTTP status and type by the type that is asked for; else the fetch fails."""

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def fetch(self, url: str, *, accept: str) -> Fetched:
        """Count, and answer."""
        self.asked.append(accept)
        if accept not in self.answers:
            raise FetchFailed("nobody there")
        status, content_type = self.answers[accept]
        return Fetched(b"x", status, content_type, 0)


def once(reference: Reference) -> Callable[[Documents], tuple[Reference, ...]]:
    """Wants one document, until it was looked for."""
    return lambda there: () if reference in there else (reference,)


@pytest.mark.parametrize(
    ("answers", "found", "asked"),
    [
        ({CWT: (200, CWT)}, CWT, [CWT]),
        ({CWT: (299, f"{CWT.upper()} ; charset=utf-8")}, CWT, [CWT]),
        ({CWT: (200, f"{JWT};charset=utf-8")}, JWT, [CWT]),
        ({CWT: (200, "text/plain")}, CWT, [CWT]),
        ({CWT: (200, "")}, CWT, [CWT]),
        ({CWT: (406, ""), JWT: (200, JWT)}, JWT, [CWT, JWT]),
        ({CWT: (300, CWT), JWT: (200, JWT)}, JWT, [CWT, JWT]),
        ({CWT: (199, CWT), JWT: (200, JWT)}, JWT, [CWT, JWT]),
        ({CWT: (404, ""), JWT: (404, "")}, None, [CWT, JWT]),
        ({JWT: (200, JWT)}, None, [CWT]),
    ],
    ids=["first", "in capitals", "one form only", "other type", "no type", "second", "300", "199", "none", "nobody"],
)
def test_the_form_that_comes_is_the_form_that_counts(
    answers: dict[str, tuple[int, str]], found: str | None, asked: list[str]
) -> None:
    """Some hosts send one form whatever is asked for. Whoever does not answer at all is not asked again."""
    site = Site(answers)
    documents = fetch_documents(once(LIST), fetcher=site)
    assert site.asked == asked
    assert list(documents) == [LIST]
    form = documents[LIST]
    assert (None if form is None else form[0]) == found


def test_nobody_is_asked_what_is_wanted_once_nothing_is() -> None:
    seen: list[Documents] = []

    def wanted(there: Documents) -> tuple[Reference, ...]:
        seen.append(dict(there))
        return once(TYPE)(there)

    fetch_documents(wanted, fetcher=Site())
    assert seen == [{}, {TYPE: None}]


def test_descriptions_that_name_one_more_each_time_come_to_an_end() -> None:
    site = Site({"application/json": (200, "application/json")})

    def one_more(there: Documents) -> tuple[Reference, ...]:
        return (Reference(ReferenceKind.TYPE_METADATA, f"https://a.example/{len(there)}", ("application/json",)),)

    assert len(fetch_documents(one_more, fetcher=site)) == len(site.asked) == MAX_CHAIN + 5


def test_documents_are_told_apart_by_what_they_are_for() -> None:
    """What could not be had is none, but of a withdrawal it is known that it was looked for."""
    got = Fetched(b"x", 200, "", 0)
    there: Documents = {
        LIST: (JWT, got),
        Reference(ReferenceKind.STATUS_LIST, "https://a.example/none", (JWT,)): None,
        WITHDRAWN: ("application/pkix-crl", got),
        RESPONDER: None,
        TYPE: ("application/json", got),
        Reference(ReferenceKind.TYPE_METADATA, "https://a.example/none", ("application/json",)): None,
    }
    assert status_lists(there) == {(LIST.url, JWT): got}
    assert revocations(there) == {WITHDRAWN.url: got, RESPONDER.url: None}
    assert by_url(there, ReferenceKind.TYPE_METADATA) == {TYPE.url: got}
    assert by_url(there, ReferenceKind.OCSP) == {}


@pytest.mark.parametrize("believed", [True, False])
def test_a_fetcher_that_remembers_is_told_of_what_there_was(believed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    got = Fetched(b"x", 200, "", 0)
    told: list[tuple[str, Fetched, bool]] = []
    cache = CachingFetcher(Site())
    monkeypatch.setattr(cache, "settle", lambda url, fetched, *, believed: told.append((url, fetched, believed)))
    settle_documents({RESPONDER: None, LIST: (JWT, got)}, fetcher=cache, believed=believed)
    settle_documents({LIST: (JWT, got)}, fetcher=Site(), believed=believed)
    assert told == [(LIST.url, got, believed)]
