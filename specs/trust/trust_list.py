"""Lists of trusted entities in JSON: who may issue what, said by somebody we believe (ETSI TS 119 602 V1.1.1).

A list is a compact JWS (JAdES baseline) by a signer whose certificate was pinned beforehand; there is no list without a
signature, and no trust on first use. Reading: `verify_trust_list`. Publishing: `build_trust_list`.
"""

import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import (
    MAX_CERTIFICATE_BYTES,
    JoseError,
    Jws,
    PublicKey,
    build_jws,
    parse_jws,
    parse_x5c,
    verify_jws,
    x5c_header,
)
from specs.keys.signer import SigningIdentity
from specs.refusal import ReasonCode, Refusal
from specs.trust.anchors import AnchorKind, TrustAnchor
from specs.trust.parsed_certificate import CertificateError, parse_certificate
from specs.trust.profiles import is_authority
from specs.trust.x509 import CertificateProfile, validate_path

LIST_TYPES = "http://uri.etsi.org/19602/LoTEType/"
SERVICE_TYPES = "http://uri.etsi.org/19602/SvcType/"
PID_PROVIDERS, WALLET_PROVIDERS = f"{LIST_TYPES}EUPIDProvidersList", f"{LIST_TYPES}EUWalletProvidersList"
ACCESS_PROVIDERS, REGISTRATION_PROVIDERS = f"{LIST_TYPES}EUWRPACProvidersList", f"{LIST_TYPES}EUWRPRCProvidersList"
PUB_EAA_PROVIDERS = f"{LIST_TYPES}EUPubEAAProvidersList"
PUB_EAA_NOTIFIED = "http://uri.etsi.org/19602/PubEAAProvidersList/SvcStatus/notified"
QUALIFIED_GRANTED = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted"  # in lists of TS 119 612
LIST_SIGNER_EKU = "0.4.0.2231.3.0"  # id-tsl-kp-tslSigning (ETSI TS 119 612 §5.7.1)
TYP = "trustlist+jwt"  # as the German list has it; JAdES leaves it open

VERSION = 1
MAX_BYTES = 8 * 1024 * 1024
MAX_SERVICES = 10_000
_REGISTRATION = re.compile(r"[A-Z]{3}[A-Z]{2}-[!-~]{1,64}")
MAX_SECONDS = 190 * 24 * 60 * 60  # next update at most six months after the issue, and some days

_TYPS = (TYP, "JOSE", "JWT", "jose", "jwt", None)
_UNDERSTOOD = frozenset({"sigT"})
_GRANTED = frozenset({PUB_EAA_NOTIFIED, QUALIFIED_GRANTED})
_STATUS_REQUIRED = frozenset({PUB_EAA_PROVIDERS})
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?Z")


class TrustListError(Refusal):
    """A list of trusted entities does not hold."""


@dataclass(frozen=True, slots=True)
class ListedService:
    """One service of an entity. certificates: DER. since: seconds since the epoch, with the status; None without."""

    type: str
    name: str
    certificates: tuple[bytes, ...]
    status: str | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True)
class ListedEntity:
    """Who is trusted, and for what."""

    name: str
    services: tuple[ListedService, ...]
    identifier: str | None = None  # of its official registration, such as VATDE-123456789; stays when the name changes


@dataclass(frozen=True, slots=True)
class TrustList:
    """A list. Times: seconds since the epoch. territory: as written, such as EU or DE."""

    type: str
    operator: str
    territory: str
    sequence: int
    issued_at: int
    next_update: int
    entities: tuple[ListedEntity, ...]
    distribution_points: tuple[str, ...] = ()


def verify_trust_list(
    token: str | bytes,
    *,
    signers: Sequence[TrustAnchor],
    expected_type: str,
    now: int,
    newest_known: tuple[int, int] | None = None,
    max_seconds: int = MAX_SECONDS,
    skew: int = 60,
) -> TrustList:
    """Read a published list (TS 119 602 §6.3, annexes D to H; JAdES ETSI TS 119 182-1 §5.1).

    signers: who may publish it: certificates that must be the leaf itself (`listed`, `pinned_test`), or CAs (`ca`)
    under which the leaf must be certified for signing lists. now, skew: seconds since the epoch; seconds. newest_known:
    sequence number and time of issue of the newest list seen so far. max_seconds: longest time to the next update.

    Raises:
        TrustListError: TRUST_LIST_UNTRUSTED, TRUST_LIST_MALFORMED, TRUST_LIST_EXPIRED, TRUST_LIST_OLDER; or
            LIMIT_EXCEEDED.
    """
    if len(token) > MAX_BYTES:
        raise TrustListError(ReasonCode.LIMIT_EXCEEDED, "a trust list above the limit")
    try:
        text = token.decode("ascii").strip() if isinstance(token, bytes) else token
        jws = parse_jws(text, expected_typ=_TYPS, understood=_UNDERSTOOD)
        verify_jws(jws, _signer_key(jws, signers=signers, now=now, skew=skew))
        trust_list = read_trust_list(jws.claims())
    except UnicodeDecodeError as error:
        raise _malformed("not a signed list") from error
    except JoseError as error:
        raise _not_believed(error) from error
    _check_times(trust_list, expected_type=expected_type, now=now, max_seconds=max_seconds, skew=skew)
    if newest_known is not None and (trust_list.sequence, trust_list.issued_at) < newest_known:
        raise TrustListError(ReasonCode.TRUST_LIST_OLDER, f"number {trust_list.sequence}")
    return trust_list


def trusted_services(trust_list: TrustList, entity: ListedEntity, *, service_type: str, now: int) -> list[TrustAnchor]:
    """The anchors of an entity for one type of service: those whose status lets them count now.

    A CA certificate becomes an anchor of kind `ca`, any other of kind `listed`. A service whose certificates we can't
    read, or whose status we don't know, is passed over.
    """
    anchors: dict[bytes, TrustAnchor] = {}
    for service in entity.services:
        if service.type != service_type or not _counts(service, trust_list, now=now):
            continue
        for der in service.certificates:
            try:
                kind = AnchorKind.CA if is_authority(parse_certificate(der)) else AnchorKind.LISTED
                anchors[der] = TrustAnchor(kind, der, entity.name)
            except CertificateError:
                continue
    return list(anchors.values())


def build_trust_list(trust_list: TrustList, *, identity: SigningIdentity) -> str:
    """Publish a list, signed (TS 119 602 §6; JAdES baseline: x5c and the digest of the leaf).

    Raises:
        ValueError: a number below one, a next update that is not after the issue or too late, an entity without a name.
    """
    if trust_list.sequence < 1:
        raise ValueError("the first list has number 1")
    if not trust_list.issued_at < trust_list.next_update <= trust_list.issued_at + MAX_SECONDS:
        raise ValueError("the next update lies after the issue, and at most six months")
    if not all(entity.name and entity.services for entity in trust_list.entities):
        raise ValueError("an entity has a name and services")
    header: dict[str, JsonValue | Sequence[str]] = {
        "x5c": x5c_header(identity.chain),
        "x5t#S256": base64url.encode(sha256(identity.chain[0]).digest()),
        "iat": trust_list.issued_at,
    }
    return build_jws(strict_json.dumps({"LoTE": _written(trust_list)}), signer=identity.signer, typ=TYP, header=header)


def _signer_key(jws: Jws, *, signers: Sequence[TrustAnchor], now: int, skew: int) -> PublicKey:
    """The key of the leaf in x5c, if that leaf may publish the list."""
    chain = parse_x5c(jws.header)
    digest = jws.header.get("x5t#S256")
    if digest is not None and digest != base64url.encode(sha256(chain[0]).digest()):
        raise _untrusted("x5t#S256 is another certificate's")
    try:
        if any(signer.kind is not AnchorKind.CA and signer.certificate == chain[0] for signer in signers):
            leaf = parse_certificate(chain[0])
            if not leaf.not_before - skew <= now <= leaf.not_after + skew:
                raise _untrusted("the signer's certificate is past its end or before its begin")
            key = leaf.key
        else:
            key = validate_path(
                chain,
                anchors=signers,  # of which only a CA speaks for another
                profile=CertificateProfile.TRUST_LIST,
                now=now,
                skew=skew,
                allowed_ekus=frozenset({LIST_SIGNER_EKU}),
            ).leaf_key
    except CertificateError as error:
        raise _untrusted(str(error)) from error
    if not isinstance(key, PublicKey):
        raise _untrusted("an RSA key")
    return key


def _check_times(trust_list: TrustList, *, expected_type: str, now: int, max_seconds: int, skew: int) -> None:
    if trust_list.type != expected_type:
        raise _malformed("another type of list")
    if trust_list.issued_at > now + skew:
        raise TrustListError(ReasonCode.TRUST_LIST_EXPIRED, "issued in the future")
    if trust_list.next_update <= now - skew:
        raise TrustListError(ReasonCode.TRUST_LIST_EXPIRED, "past its next update")
    if not trust_list.issued_at < trust_list.next_update <= trust_list.issued_at + max_seconds:
        raise _malformed("the next update is before the issue or too far away")


def _counts(service: ListedService, trust_list: TrustList, *, now: int) -> bool:
    if service.status is None:
        return trust_list.type not in _STATUS_REQUIRED  # being in the list is the statement
    return service.status in _GRANTED and service.since is not None and service.since <= now


def read_trust_list(claims: JsonObject) -> TrustList:
    """What a list says, believed by nobody; what the standard lets publishers add is ignored, unless it is critical.

    Raises:
        TrustListError: TRUST_LIST_MALFORMED, or LIMIT_EXCEEDED.
    """
    root = _object(claims.get("LoTE"), "LoTE")
    scheme = _object(root.get("ListAndSchemeInformation"), "ListAndSchemeInformation")
    version = scheme.get("LoTEVersionIdentifier")
    if type(version) is not int or version != VERSION:
        raise _malformed("another version")
    if _has_critical(scheme.get("SchemeExtensions")):
        raise _malformed("a critical extension of the list")
    sequence = scheme.get("LoTESequenceNumber")
    if type(sequence) is not int or sequence < 1:
        raise _malformed("LoTESequenceNumber")
    points = _array(scheme.get("DistributionPoints"), "DistributionPoints")
    entities = tuple(_entity(each) for each in _array(root.get("TrustedEntitiesList"), "TrustedEntitiesList"))
    if sum(len(entity.services) for entity in entities) > MAX_SERVICES:
        raise TrustListError(ReasonCode.LIMIT_EXCEEDED, "services")
    next_update = _time(scheme.get("NextUpdate"), "NextUpdate")
    end = claims.get("exp")
    if end is not None:
        if type(end) is not int:
            raise _malformed("exp")
        next_update = min(next_update, end)
    return TrustList(
        type=_text(scheme.get("LoTEType"), "LoTEType"),
        operator=_in_some_language(scheme.get("SchemeOperatorName"), "SchemeOperatorName"),
        territory=_text(scheme.get("SchemeTerritory"), "SchemeTerritory"),
        sequence=sequence,
        issued_at=_time(scheme.get("ListIssueDateTime"), "ListIssueDateTime"),
        next_update=next_update,
        entities=entities,
        distribution_points=tuple(point for point in points if isinstance(point, str)),
    )


def _entity(value: JsonValue) -> ListedEntity:
    entity = _object(value, "trusted entity")
    information = _object(entity.get("TrustedEntityInformation"), "TrustedEntityInformation")
    services: list[ListedService] = []
    for each in _array(entity.get("TrustedEntityServices"), "TrustedEntityServices"):
        service = _object(_object(each, "service").get("ServiceInformation"), "ServiceInformation")
        if not _has_critical(service.get("ServiceInformationExtensions")):
            services.append(_service(service))
    names = information.get("TETradeName")
    return ListedEntity(
        _in_some_language(information.get("TEName"), "TEName"),
        tuple(services),
        registration_in(each.get("value") for each in names if isinstance(each, dict))
        if isinstance(names, list)
        else None,
    )


def registration_in(names: Iterable[object]) -> str | None:
    """The official registration among trade names (ETSI EN 319 412-1 §5.1.4): three letters, country, dash, number."""
    return next((name for name in names if isinstance(name, str) and _REGISTRATION.fullmatch(name)), None)


def _service(service: JsonObject) -> ListedService:
    status, since = service.get("ServiceStatus"), service.get("StatusStartingTime")
    identity = _object(service.get("ServiceDigitalIdentity"), "ServiceDigitalIdentity")
    return ListedService(
        type=_text(service.get("ServiceTypeIdentifier"), "ServiceTypeIdentifier"),
        name=_in_some_language(service["ServiceName"], "ServiceName") if "ServiceName" in service else "",
        certificates=tuple(
            _certificate(_object(each, "certificate"))
            for each in _array(identity.get("X509Certificates"), "X509Certificates")
        ),
        status=None if status is None else _text(status, "ServiceStatus"),
        since=None if since is None else _time(since, "StatusStartingTime"),
    )


def _certificate(value: JsonObject) -> bytes:
    text = _text(value.get("val"), "val")
    try:
        certificate = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise _malformed("a certificate that is not base64") from error
    if len(certificate) > MAX_CERTIFICATE_BYTES:
        raise TrustListError(ReasonCode.LIMIT_EXCEEDED, "certificate")
    return certificate


def _has_critical(extensions: JsonValue) -> bool:
    """Whether anything says that it must be understood; no extension is known to us."""
    return any(
        isinstance(each, dict) and any(each.get(name) not in (None, False) for name in ("critical", "Critical"))
        for each in _array(extensions, "extensions")
    )


def _object(value: JsonValue, name: str) -> JsonObject:
    if not isinstance(value, dict):
        raise _malformed(name)
    return value


def _array(value: JsonValue, name: str) -> list[JsonValue]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _malformed(name)
    return value


def _text(value: JsonValue, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise _malformed(name)
    return value


def _in_some_language(value: JsonValue, name: str) -> str:
    """A name for logs and verdicts: the English one if there is one, else the first."""
    found = {_text(each.get("lang"), name): _text(each.get("value"), name) for each in _objects(value, name)}
    if not found:
        raise _malformed(name)
    return next(
        (text for language, text in found.items() if language.lower().startswith("en")), next(iter(found.values()))
    )


def _objects(value: JsonValue, name: str) -> list[JsonObject]:
    return [_object(each, name) for each in _array(value, name)]


def _time(value: JsonValue, name: str) -> int:
    """UTC to the second; some publishers write fractions, which count for nothing."""
    matched = _TIME.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        raise _malformed(name)
    try:
        return int(datetime.fromisoformat(f"{matched[1]}+00:00").timestamp())
    except ValueError as error:
        raise _malformed(name) from error


def _written(trust_list: TrustList) -> JsonObject:
    information: JsonObject = {
        "LoTEVersionIdentifier": VERSION,
        "LoTESequenceNumber": trust_list.sequence,
        "LoTEType": trust_list.type,
        "SchemeOperatorName": [{"lang": "en", "value": trust_list.operator}],
        "SchemeTerritory": trust_list.territory,
        "ListIssueDateTime": _written_time(trust_list.issued_at),
        "NextUpdate": _written_time(trust_list.next_update),
    }
    if trust_list.distribution_points:
        information["DistributionPoints"] = list(trust_list.distribution_points)
    written: JsonObject = {"ListAndSchemeInformation": information}
    if trust_list.entities:
        written["TrustedEntitiesList"] = [_written_entity(entity) for entity in trust_list.entities]
    return written


def _written_entity(entity: ListedEntity) -> JsonObject:
    return {
        "TrustedEntityInformation": {
            "TEName": [{"lang": "en", "value": entity.name}],
            **({"TETradeName": [{"lang": "en", "value": entity.identifier}]} if entity.identifier else {}),
        },
        "TrustedEntityServices": [{"ServiceInformation": _written_service(service)} for service in entity.services],
    }


def _written_service(service: ListedService) -> JsonObject:
    certificates: list[JsonValue] = [{"val": text} for text in x5c_header(service.certificates)]
    written: JsonObject = {
        "ServiceTypeIdentifier": service.type,
        "ServiceDigitalIdentity": {"X509Certificates": certificates},
    }
    if service.name:
        written["ServiceName"] = [{"lang": "en", "value": service.name}]
    if service.status is not None:
        written["ServiceStatus"] = service.status
    if service.since is not None:
        written["StatusStartingTime"] = _written_time(service.since)
    return written


def _written_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _not_believed(error: JoseError) -> TrustListError:
    """A form that does not hold is the list's fault; a key, algorithm or signature that does not is its signer's."""
    if error.reason in (ReasonCode.JWT_MALFORMED, ReasonCode.TYP_MISMATCH):
        return _malformed(str(error))
    return _untrusted(str(error))


def _malformed(detail: str) -> TrustListError:
    return TrustListError(ReasonCode.TRUST_LIST_MALFORMED, detail)


def _untrusted(detail: str) -> TrustListError:
    return TrustListError(ReasonCode.TRUST_LIST_UNTRUSTED, detail)
