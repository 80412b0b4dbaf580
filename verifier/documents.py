"""Documents that an answer is judged with: fetched in rounds, as each may name the next."""

from collections.abc import Callable, Mapping

from specs.credentials.type_metadata import MAX_CHAIN
from verifier.cache import CachingFetcher
from verifier.expectations import Fetched
from verifier.fetch import Fetcher, FetchFailed
from verifier.verify import Reference, ReferenceKind

Documents = Mapping[Reference, tuple[str, Fetched] | None]
"""What was fetched for each reference: the media type asked for with the document, or None."""

# each description of a type may name one more; then the lists; then up to four places for the withdrawal of signers
_ROUNDS = MAX_CHAIN + 5


def fetch_documents(wanted: Callable[[Documents], tuple[Reference, ...]], *, fetcher: Fetcher) -> Documents:
    """Fetch what is wanted, until nothing more is. wanted: the references that are missing from what is there."""
    documents: dict[Reference, tuple[str, Fetched] | None] = {}
    for _ in range(_ROUNDS):
        missing = wanted(documents)
        if not missing:
            break
        documents.update({reference: _first_form(reference, fetcher) for reference in missing})
    return documents


def settle_documents(documents: Documents, *, fetcher: Fetcher, believed: bool) -> None:
    """Tell a fetcher that remembers whether an answer that was judged by these documents was accepted."""
    if isinstance(fetcher, CachingFetcher):
        for reference, found in documents.items():
            if found is not None:
                fetcher.settle(reference.url, found[1], believed=believed)


def by_url(documents: Documents, kind: ReferenceKind) -> dict[str, Fetched]:
    """The documents of one kind that could be had, by address."""
    return {
        reference.url: found[1]
        for reference, found in documents.items()
        if reference.kind is kind and found is not None
    }


def status_lists(documents: Documents) -> dict[tuple[str, str], Fetched | None]:
    """The status lists that could be had, by address and media type."""
    return {
        (reference.url, found[0]): found[1]
        for reference, found in documents.items()
        if reference.kind is ReferenceKind.STATUS_LIST and found is not None
    }


def revocations(documents: Documents) -> dict[str, Fetched | None]:
    """What tells of withdrawals, by address; None for what could not be had, so that the next place is named."""
    return {
        reference.url: found[1] if found is not None else None
        for reference, found in documents.items()
        if reference.kind in (ReferenceKind.REVOCATION_LIST, ReferenceKind.OCSP)
    }


def _first_form(reference: Reference, fetcher: Fetcher) -> tuple[str, Fetched] | None:
    for media_type in reference.media_types:
        try:
            fetched = fetcher.fetch(reference.url, accept=media_type)
        except FetchFailed:
            return None
        # some hosts have one form only and send it whatever was asked for
        sent = fetched.content_type.partition(";")[0].strip().lower()
        if 200 <= fetched.http_status < 300:
            return (sent if sent in reference.media_types else media_type), fetched
    return None
