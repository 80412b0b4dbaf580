"""Whose attestations are believed: wallet providers from a file, and those that published lists name.

Lists are those of ETSI TS 119 602, fetched beside the requests and kept until their own end, one YAML file for all:

lists:
  - url: https://lists.example.org/wallet-providers.jwt
    signers: publisher.pem                 # beside this file; who may publish the list
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from issuer.catalog.placed_yaml import CatalogError, parse_model
from issuer.settings import IssuerSettings
from specs.trust.anchors import AnchorKind, TrustAnchor, anchors_from_pem
from specs.trust.parsed_certificate import CertificateError
from specs.trust.trust_list import SERVICE_TYPES, WALLET_PROVIDERS
from verifier.fetch import Fetcher, PolicedFetcher
from verifier.stores.trust_lists import FolderTrustListStore, MemoryTrustListStore
from verifier.trust_lists import ListedTrust, ListEvent, ListEventKind, ListStanding, TrustLists

LISTS_FOLDER = "trust-lists"
ATTESTS = f"{SERVICE_TYPES}WalletSolution/Issuance"
_REVOKES = f"{SERVICE_TYPES}WalletSolution/Revocation"
_WALLETS = ("wallets", "wallets")  # one purpose, in the place of a format and a type of credential
_LOG = logging.getLogger("issuer")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ListFile(_Model):
    """A list of wallet providers. signer_kind: whether signers are the publishers' certificates or those of their CA.

    issuance: the type of service whose certificates sign attestations.
    """

    url: Annotated[str, StringConstraints(pattern=r"^https?://[!-~]{1,1000}$")]
    signers: Path
    signer_kind: Literal[AnchorKind.LISTED, AnchorKind.CA] = AnchorKind.LISTED
    list_type: str = WALLET_PROVIDERS
    issuance: str = ATTESTS


class ListsFile(_Model):
    """All lists that are followed."""

    lists: tuple[ListFile, ...] = Field(min_length=1)


class WalletProviders:
    """The anchors of attestations. A changed file counts from the next request on, a list once it was fetched.

    A file that can't be read any more leaves things as they were, and so does a list that is not believed.
    """

    def __init__(self, file: Path | None, lists: TrustLists) -> None:
        self._file = file
        self._lists = lists
        self._read: tuple[tuple[int, int, int], tuple[TrustAnchor, ...]] | None = None  # the file's stamp, its anchors

    def current(self, *, now: int) -> tuple[TrustAnchor, ...]:
        """Whom to believe now; nobody without a file or a list. now: seconds since the epoch.

        Raises:
            CertificateError, OSError: the file can't be read as certificates, and never could.
        """
        listed = self._lists.current(now=now).get(_WALLETS, ())
        return (*self._of_file(), *(anchor for provider in listed for anchor in provider.anchors))

    def refresh(self) -> float:
        """Fetch the lists that are due. Seconds until the next one is."""
        return self._lists.refresh()

    def standings(self, *, now: int) -> tuple[ListStanding, ...]:
        """How each list stands. now: seconds since the epoch."""
        return self._lists.standings(now=now)

    def _of_file(self) -> tuple[TrustAnchor, ...]:
        file, known = self._file, self._read
        if file is None:
            return ()
        try:
            found = file.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if known is not None and known[0] == stamp:
                return known[1]
            anchors = anchors_from_pem(file.read_bytes(), kind=AnchorKind.CA, name="wallet provider")
        except (CertificateError, OSError) as error:
            if known is None:
                raise
            _LOG.error("the wallet providers stay as they were: %s", error)
            return known[1]
        self._read = stamp, anchors
        return anchors


def load_wallet_providers(
    settings: IssuerSettings,
    *,
    fetcher: Fetcher | None = None,
    clock: Callable[[], float] = time.time,
    only_look: bool = False,
) -> WalletProviders:
    """Read which lists are followed, and what was fetched of them before. only_look: change nothing on the disk.

    Raises:
        CatalogError: a file is missing or not as it should be.
    """
    folder = settings.data_dir / LISTS_FOLDER
    followed = _followed(settings)
    is_kept = bool(followed) and (folder.is_dir() or not only_look)
    try:
        lists = TrustLists(
            followed,
            store=FolderTrustListStore(folder) if is_kept else MemoryTrustListStore(),
            fetcher=fetcher or PolicedFetcher(allow_loopback_http=settings.allow_loopback_http),
            on_event=_note,
            clock=clock,
        )
    except ValueError as error:
        raise CatalogError(f"{folder}: a file is not as it was written; look at it before you delete it") from error
    return WalletProviders(settings.wallet_provider_anchors, lists)


def _followed(settings: IssuerSettings) -> tuple[ListedTrust, ...]:
    file = settings.wallet_provider_lists
    if file is None:
        return ()
    try:
        found = parse_model(file.read_text(encoding="utf-8"), name=file.name, model=ListsFile)
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{file}: {error}") from error
    if len({each.url for each in found.lists}) < len(found.lists):
        raise CatalogError(f"{file.name}:1:1: lists: an address is there twice")
    return tuple(_listed(each, file, settings) for each in found.lists)


def _listed(each: ListFile, file: Path, settings: IssuerSettings) -> ListedTrust:
    if not each.url.startswith("https://") and not settings.allow_loopback_http:
        raise CatalogError(f"{file.name}:1:1: lists: {each.url}: https is demanded")
    try:
        signers = anchors_from_pem((file.parent / each.signers).read_bytes(), kind=each.signer_kind, name=each.url)
    except (CertificateError, OSError) as error:
        raise CatalogError(f"{file.name}:1:1: lists: {each.signers}: {error}") from error
    return ListedTrust(each.url, signers, each.list_type, (_WALLETS,), each.issuance, _REVOKES)


def _note(event: ListEvent) -> None:
    if event.kind in (ListEventKind.LOADED, ListEventKind.UNCHANGED):
        _LOG.info("wallet providers %s: %s, number %s", event.url, event.kind.value, event.sequence)
    else:
        _LOG.warning("wallet providers %s: %s %s", event.url, event.kind.value, event.reason or "")
