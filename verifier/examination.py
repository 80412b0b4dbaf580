"""An examination: all that an answer was judged by, kept together so that the judgement can be repeated at any time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from pydantic import TypeAdapter

from specs.encoding import cbor, strict_json
from specs.protocols.dcql import DcqlQuery, dcql_to_json, parse_dcql
from specs.protocols.openid4vp.metadata import ALL_FORMATS, SupportedFormats
from specs.protocols.openid4vp.transaction_data import MdocTransactionType
from specs.refusal import Refusal
from verifier.documents import Documents, by_url, revocations, status_lists
from verifier.expectations import (
    Binding,
    DcApi,
    DirectPost,
    Fetched,
    InteractiveAuthorization,
    IsoMdocDcApi,
    Policy,
    Proximity,
    StatusLists,
    Trust,
    TrustDomain,
)
from verifier.verdict import Verdict
from verifier.verify import Judge, ReferenceKind, verify_presentation


class ExaminationMalformed(ValueError):
    """Bytes that are no recorded examination."""


@dataclass(frozen=True, slots=True)
class Examination:
    """The arguments of one call of `verify_presentation`. now: seconds since the epoch."""

    vp_token: object
    query: DcqlQuery
    nonce: str
    client_id: str | None
    binding: Binding
    trust: Trust
    status_lists: StatusLists
    policy: Policy
    now: int
    transaction_data: tuple[str, ...] = ()
    transaction_types: tuple[MdocTransactionType, ...] = ()
    announced: SupportedFormats = ALL_FORMATS
    type_metadata: Mapping[str, Fetched | None] = field(default_factory=dict)
    revocation: Mapping[str, Fetched | None] = field(default_factory=dict)

    @classmethod
    def by(cls, judge: Judge, documents: Documents) -> "Examination":
        """What a judge has, with the documents that it judged by."""
        return cls(
            vp_token=judge.vp_token,
            query=judge.query,
            nonce=judge.nonce,
            client_id=judge.client_id,
            binding=judge.binding,
            trust=judge.trust,
            status_lists=status_lists(documents),
            policy=judge.policy,
            now=judge.now,
            transaction_data=tuple(judge.transaction_data),
            transaction_types=tuple(judge.transaction_types),
            announced=judge.announced,
            type_metadata=by_url(documents, ReferenceKind.TYPE_METADATA),
            revocation=revocations(documents),
        )

    def verdict(self) -> Verdict:
        """Judge, or judge again: the same arguments give the same verdict."""
        return verify_presentation(
            self.vp_token,
            query=self.query,
            nonce=self.nonce,
            client_id=self.client_id,
            binding=self.binding,
            trust=self.trust,
            status_lists=self.status_lists,
            policy=self.policy,
            now=self.now,
            transaction_data=self.transaction_data,
            transaction_types=self.transaction_types,
            announced=self.announced,
            type_metadata=self.type_metadata,
            revocation=self.revocation,
        )


@dataclass(frozen=True, slots=True)
class _RecordedBinding:
    kind: str
    response_uri: str | None = None
    origin: str | None = None
    encryption_info: str | None = None
    session_transcript: bytes | None = None
    key_thumbprint: bytes | None = None
    mac_key: bytes | None = None  # PKCS #8; a key of this one question


@dataclass(frozen=True, slots=True)
class _Recorded:
    """An examination as it is written."""

    vp_token: str  # JSON, as all that came from a wallet or went to one
    query: str
    nonce: str
    client_id: str | None
    binding: _RecordedBinding
    trust: tuple[tuple[str, str, tuple[TrustDomain, ...]], ...]
    status_lists: tuple[tuple[str, str, Fetched | None], ...]
    policy: Policy
    now: int
    transaction_data: tuple[str, ...]
    transaction_types: tuple[MdocTransactionType, ...]
    announced: SupportedFormats
    type_metadata: dict[str, Fetched | None]
    revocation: dict[str, Fetched | None]


_ADAPTER = TypeAdapter(_Recorded)
_DEPTH = 64  # deeper than any answer that was judged


def examination_to_bytes(examination: Examination) -> bytes:
    """Write an examination as CBOR. It holds all that was shown: personal data."""
    recorded = _Recorded(
        vp_token=strict_json.dumps(examination.vp_token).decode(),
        query=strict_json.dumps(dcql_to_json(examination.query)).decode(),
        nonce=examination.nonce,
        client_id=examination.client_id,
        binding=_recorded_binding(examination.binding),
        trust=tuple((form, wanted, domains) for (form, wanted), domains in examination.trust.items()),
        status_lists=tuple((uri, kind, fetched) for (uri, kind), fetched in examination.status_lists.items()),
        policy=examination.policy,
        now=examination.now,
        transaction_data=examination.transaction_data,
        transaction_types=examination.transaction_types,
        announced=examination.announced,
        type_metadata=dict(examination.type_metadata),
        revocation=dict(examination.revocation),
    )
    return cbor.encode(_plain(_ADAPTER.dump_python(recorded)))


def examination_from_bytes(data: bytes) -> Examination:
    """Read what `examination_to_bytes` wrote.

    Raises:
        ExaminationMalformed: it is something else.
    """
    try:
        found = _ADAPTER.validate_python(cbor.decode_map(data, max_depth=_DEPTH))
        return Examination(
            vp_token=strict_json.parse(found.vp_token, max_depth=_DEPTH),
            query=parse_dcql(found.query),
            nonce=found.nonce,
            client_id=found.client_id,
            binding=_binding(found.binding),
            trust={(form, wanted): domains for form, wanted, domains in found.trust},
            status_lists={(uri, kind): fetched for uri, kind, fetched in found.status_lists},
            policy=found.policy,
            now=found.now,
            transaction_data=found.transaction_data,
            transaction_types=found.transaction_types,
            announced=found.announced,
            type_metadata=found.type_metadata,
            revocation=found.revocation,
        )
    except (ValueError, Refusal, RuntimeError) as error:  # the last: a CBOR tag where a word belongs
        raise ExaminationMalformed("not a recorded examination") from error


def _plain(value: object) -> object:
    """Sets and tuples as what CBOR has; the adapter makes them whole again."""
    if isinstance(value, Mapping):
        return {_plain(name): _plain(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(member) for member in value)  # type: ignore[type-var]  # texts
    return value


def _recorded_binding(binding: Binding) -> _RecordedBinding:
    mac_key = None if isinstance(binding, IsoMdocDcApi) else binding.mac_key
    der = None if mac_key is None else mac_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    match binding:
        case DirectPost():
            return _RecordedBinding(
                "direct_post", response_uri=binding.response_uri, key_thumbprint=binding.key_thumbprint, mac_key=der
            )
        case DcApi():
            return _RecordedBinding("dc_api", origin=binding.origin, key_thumbprint=binding.key_thumbprint, mac_key=der)
        case InteractiveAuthorization():
            return _RecordedBinding("ia", origin=binding.origin, key_thumbprint=binding.key_thumbprint, mac_key=der)
        case Proximity():
            return _RecordedBinding("proximity", session_transcript=binding.session_transcript, mac_key=der)
        case IsoMdocDcApi():
            return _RecordedBinding("iso_mdoc_dc_api", encryption_info=binding.encryption_info, origin=binding.origin)


def _binding(found: _RecordedBinding) -> Binding:
    key = None if found.mac_key is None else _mac_key(found.mac_key)
    match found.kind, found.response_uri, found.origin, found.encryption_info, found.session_transcript:
        case "direct_post", str(uri), None, None, None:
            return DirectPost(uri, found.key_thumbprint, key)
        case "dc_api", None, str(origin), None, None:
            return DcApi(origin, found.key_thumbprint, key)
        case "proximity", None, None, None, bytes(transcript):
            return Proximity(transcript, key)
        case "ia", None, str(origin), None, None:
            return InteractiveAuthorization(origin, found.key_thumbprint, key)
        case "iso_mdoc_dc_api", None, str(origin), str(info), None:
            return IsoMdocDcApi(info, origin)
    raise ExaminationMalformed("binding")


def _mac_key(der: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_der_private_key(der, None)
    except (TypeError, UnsupportedAlgorithm) as error:  # under a password, or of a kind that nobody here knows
        raise ExaminationMalformed("mac_key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ExaminationMalformed("mac_key")
    return key
