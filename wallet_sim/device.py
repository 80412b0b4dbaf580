"""The holder's device on the spot and at the browser's API: answers a DeviceRequest (ISO/IEC 18013-5 §8.3.2.1.2)."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from specs.credentials.age_attestation import age_asked, nearest_answer
from specs.credentials.mdoc_device import build_device_response
from specs.credentials.session_transcript import iso_mdoc_dc_api_transcript
from specs.encoding import cbor
from specs.encoding.strict_json import JsonObject
from specs.protocols import iso_mdoc_dc_api
from specs.protocols.dcql import FORMAT_MDOC
from specs.protocols.proximity import DeviceRequest, DocRequest, parse_device_request, verify_reader_auth
from specs.trust.x509 import TrustAnchor
from wallet_sim.conduct import DEVICE_RESPONSE, HONEST, Conduct, Endpoint
from wallet_sim.presentation import HeldMdoc, claims_of, held, shown_document
from wallet_sim.store import WalletStore

_DATA_NOT_RETURNED = 0  # ErrorCode of §8.3.2.1.2.3


@dataclass(frozen=True, slots=True)
class DocumentShown:
    """A document that would be shown. retained: elements that the reader says it keeps. credential_id: of the copy."""

    credential: str
    elements: tuple[str, ...]
    retained: tuple[str, ...]
    credential_id: str = ""
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class ReaderShown:
    """Who asks on the spot, and for what. reader: as its certificate names it; None if it does not say."""

    reader: str | None
    shown: tuple[DocumentShown, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """Answers for one wallet. reader_anchors: whose readers may ask; empty: any reader, named or not.

    answers_nameless: whoever does not say who it is may ask, but who does must be one of those, also of none.
    """

    store: WalletStore
    reader_anchors: Sequence[TrustAnchor] = ()
    clock: Callable[[], float] = time.time
    answers_nameless: bool = False
    conduct: Conduct = HONEST

    def answer(
        self, device_request: bytes, *, session_transcript: bytes, consent: Callable[[ReaderShown], bool]
    ) -> bytes:
        """A DeviceResponse with what was asked for, is there, and the holder agrees to; else one without documents.

        Raises:
            Refusal: the request is misshapen, or its reader is not one of those who may ask.
        """
        request = parse_device_request(device_request)
        reader = self._reader(request, session_transcript)
        found = [(asked, mdoc) for asked in request.doc_requests if (mdoc := self._credential(asked)) is not None]
        shown = tuple(_shown(asked, mdoc) for asked, mdoc in found)
        if not found or not consent(ReaderShown(reader, shown)):
            return _nothing(request)
        documents = [
            shown_document(mdoc, _available(asked, mdoc), session_transcript, conduct=self.conduct, to=Endpoint.READER)
            for asked, mdoc in found
        ]
        self.store.count_shown({mdoc.stored.id for _, mdoc in found})
        return self.conduct.change(DEVICE_RESPONSE, build_device_response(documents), to=Endpoint.READER)

    def answer_through_browser(
        self, data: Mapping[str, object], *, origin: str, consent: Callable[[ReaderShown], bool]
    ) -> JsonObject:
        """The `data` of an answer to an `org-iso-mdoc` question (ISO/IEC TS 18013-7 Annex C). origin: of the page.

        Raises:
            Refusal: as `answer`, or the question is misshapen.
        """
        request, encryption = iso_mdoc_dc_api.parse_request_data(data)
        transcript = iso_mdoc_dc_api_transcript(encryption_info=encryption.text, origin=origin)
        response = self.answer(request, session_transcript=transcript, consent=consent)
        return iso_mdoc_dc_api.seal_response(response, key=encryption.key, session_transcript=transcript)

    def _reader(self, request: DeviceRequest, session_transcript: bytes) -> str | None:
        if self.answers_nameless:
            if all(asked.reader_auth is None for asked in request.doc_requests):
                return None
        elif not self.reader_anchors:
            return None
        names = [
            verify_reader_auth(
                asked,
                session_transcript=session_transcript,
                anchors=tuple(self.reader_anchors),
                now=int(self.clock()),
            ).leaf_names.display_name
            for asked in request.doc_requests
        ]
        return names[0]

    def _credential(self, asked: DocRequest) -> HeldMdoc | None:
        for stored in self.store.freshest():
            if stored.format == FORMAT_MDOC and stored.type == asked.doc_type:
                mdoc = held(stored)
                if isinstance(mdoc, HeldMdoc) and _available(asked, mdoc):
                    return mdoc
        return None


def _available(asked: DocRequest, mdoc: HeldMdoc) -> list[tuple[str, str]]:
    claims = claims_of(mdoc)
    found: list[tuple[str, str]] = []
    for name_space, elements in asked.elements.items():
        held_there = claims.get(name_space)
        if isinstance(held_there, dict):
            answers = (_answer(element, held_there) for element in elements)
            found += [(name_space, element) for element in dict.fromkeys(answers) if element is not None]
    return found


def _is_retained(element: str, asked: Mapping[str, bool]) -> bool:
    """Whether the reader keeps an element; an age that stands for another one is kept if any age is."""
    if element in asked:
        return asked[element]
    return any(retain for name, retain in asked.items() if age_asked(name) is not None)


def _answer(asked: str, held_there: Mapping[str, object]) -> str | None:
    """The element itself, or for an age the nearest that settles it (§7.2.5)."""
    age = age_asked(asked)
    if age is not None:
        return nearest_answer(age, held_there)
    return asked if asked in held_there else None


def _shown(asked: DocRequest, mdoc: HeldMdoc) -> DocumentShown:
    available = _available(asked, mdoc)
    retained = tuple(element for name_space, element in available if _is_retained(element, asked.elements[name_space]))
    elements, stored = tuple(element for _, element in available), mdoc.stored
    return DocumentShown(stored.name, elements, retained, stored.id, stored.issuer)


def _nothing(request: DeviceRequest) -> bytes:
    errors = [{asked.doc_type: _DATA_NOT_RETURNED} for asked in request.doc_requests]
    return cbor.encode({"version": "1.0", "documentErrors": errors, "status": 0})
