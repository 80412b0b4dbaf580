"""A tenant as files: who asks, under which preset, whom to believe for which type, and what can be asked.

preset: haip-1.0
access: {key: access.key.pem, chain: access.crt.pem}
trust:
  - {name: pid, anchors: [pid-root.pem], status_anchors: [pid-status.pem], types: {dc+sd-jwt: [urn:eudi:pid:de:1]}}
trust_lists: beside or instead: published lists (ETSI TS 119 602, 119 612) with their pinned signers
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, Self

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from specs.encoding.placed_yaml import FileInvalid, parse_model
from specs.keys.jose import JoseError
from specs.keys.signer import SigningIdentity, load_signer
from specs.profiles import FULL_PROFILES, OVERLAYS, Profile
from specs.profiles.reading import parse_profile
from specs.protocols.dcql import MdocMeta, SdJwtVcMeta
from specs.protocols.openid4vp import ClientIdPrefix, RequestError, VerifierInfo
from specs.protocols.openid4vp.addresses import check_https
from specs.trust.x509 import AnchorKind, CertificateError, CertificateProfile, TrustAnchor, anchors_from_pem
from verifier.ask import Procedure
from verifier.expectations import RevocationRule, Trust, TrustDomain
from verifier.relying_party import RelyingParty
from verifier.server.procedure_file import parse_procedure
from verifier.settings import VerifierSettings
from verifier.trust_lists import ListedTrust, ListForm

TENANT_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AccessFile(_Model):
    """The access certificate: key and chain as PEM files beside this one. send_chain: None is the preset's rule."""

    key: Text
    chain: Text
    prefix: Literal[ClientIdPrefix.X509_HASH, ClientIdPrefix.X509_SAN_DNS] = ClientIdPrefix.X509_HASH
    dns_name: Text | None = None
    send_chain: bool | None = None


class ReaderFile(_Model):
    """The reader certificate (ISO/IEC 18013-5 B.1.7): key and chain as PEM files beside this one."""

    key: Text
    chain: Text


class DomainFile(_Model):
    """Who may speak for some types, and for their status: PEM files beside this one. types: by format."""

    name: Text
    anchors: tuple[Text, ...] = Field(min_length=1)
    status_anchors: tuple[Text, ...] = ()
    kind: AnchorKind = AnchorKind.CA
    profile: CertificateProfile = CertificateProfile.EAA
    revocation: RevocationRule = RevocationRule.REQUIRED
    types: Mapping[Literal["dc+sd-jwt", "mso_mdoc"], tuple[Text, ...]] = Field(min_length=1)


class ListFile(_Model):
    """A list of trusted entities that is followed, and what it may speak for; members as in `ListedTrust`.

    signers: PEM files beside this one; signer_kind: whether they are the signers' own certificates or of their CA.
    """

    url: Annotated[str, StringConstraints(pattern=r"^https?://[!-~]{1,1000}$")]
    signers: tuple[Text, ...] = Field(min_length=1)
    signer_kind: Literal[AnchorKind.LISTED, AnchorKind.CA] = AnchorKind.LISTED
    list_type: Text
    issuance: Text
    revocation: Text
    types: Mapping[Literal["dc+sd-jwt", "mso_mdoc"], tuple[Text, ...]] = Field(min_length=1)
    form: ListForm = ListForm.JSON
    territory: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    profile: CertificateProfile = CertificateProfile.EAA
    revocation_rule: RevocationRule = RevocationRule.REQUIRED

    @model_validator(mode="after")
    def _xml_is_a_territorys(self) -> Self:
        if (self.form is ListForm.XML) != (self.territory is not None):
            raise ValueError("territory: a list in XML is a territory's, and no other is")
        return self


class TenantFile(_Model):
    """All but the procedures. registration_certificates: files sent with each question. wallet: opens it.

    reader: signs device requests, where a procedure offers `org-iso-mdoc`.
    """

    preset: Literal["plain-1.0", "haip-1.0", "de-2026-11", "oidf"] = "haip-1.0"
    access: AccessFile
    reader: ReaderFile | None = None
    registration_certificates: tuple[Text, ...] = ()
    wallet: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]{0,50}://[!-~]{0,500}$")] = "openid4vp://"
    trust: tuple[DomainFile, ...] = ()
    trust_lists: tuple[ListFile, ...] = ()

    @model_validator(mode="after")
    def _trusts_somebody(self) -> Self:
        if not self.trust and not self.trust_lists:
            raise ValueError("trust, trust_lists: one of them must say whom to believe")
        return self


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant, read. trust: what its file says itself. lists: whom published lists speak for besides."""

    id: str
    profile: Profile
    relying_party: RelyingParty
    trust: Trust
    lists: tuple[ListedTrust, ...]
    wallet: str
    procedures: Mapping[str, Procedure]


def load_preset(name: str) -> Profile:
    """A preset by its name."""
    folder = resources.files("specs.profiles")
    texts = {each: (folder / f"{each}.yaml").read_text(encoding="utf-8") for each in (*FULL_PROFILES, *OVERLAYS)}
    return parse_profile(texts[name], parents={each: texts[each] for each in FULL_PROFILES})


def load_tenant(folder: Path, *, settings: VerifierSettings) -> Tenant:
    """Read a tenant's folder: its name is the tenant's id.

    Raises:
        FileInvalid: a file is missing or not as it should be, a procedure asks for a type without trust, or the
            folder's name fits into no address.
    """
    if not TENANT_ID.fullmatch(folder.name):
        raise FileInvalid(f"{folder.name}: a tenant's folder is named by a-z, 0-9 and -, a letter first, 63 at most")
    file = parse_model(_text(folder / "tenant.yaml"), name=f"{folder.name}/tenant.yaml", model=TenantFile)
    trust, lists = _trust(file, folder, settings), _lists(file, folder, settings)
    believed = {*trust, *(each for followed in lists for each in followed.types)}
    procedures: dict[str, Procedure] = {}
    for path in sorted((folder / "procedures").glob("*.yaml")):
        name = f"{folder.name}/procedures/{path.name}"
        found = parse_procedure(_text(path), name=name, allow_loopback_http=settings.allow_loopback_http)
        if found.id in procedures:
            raise FileInvalid(f"{name}:1:1: the procedure {found.id} is in another file already")
        procedure = replace(
            found.procedure(allow_test_anchors=settings.allow_test_anchors),
            verifier_info=_registrations(found.registration_certificates, folder),
        )
        _check_trusted(procedure, believed, name)
        procedures[found.id] = procedure
    if not procedures:
        raise FileInvalid(f"{folder.name}/procedures: no procedure")
    return Tenant(
        folder.name, load_preset(file.preset), _relying_party(file, folder), trust, lists, file.wallet, procedures
    )


def _relying_party(file: TenantFile, folder: Path) -> RelyingParty:
    return RelyingParty(
        _identity(file.access, folder, "access"),
        file.access.prefix,
        file.access.send_chain,
        _registrations(file.registration_certificates, folder),
        identifier=file.access.dns_name,
        reader=None if file.reader is None else _identity(file.reader, folder, "reader"),
    )


def _identity(files: AccessFile | ReaderFile, folder: Path, label: str) -> SigningIdentity:
    try:
        signer = load_signer(_bytes(folder / files.key))
        chain = load_pem_x509_certificates(_bytes(folder / files.chain))
    except (JoseError, ValueError) as error:
        raise _invalid(folder, f"{label}: no key or no certificates in these files") from error
    return SigningIdentity(signer, tuple(certificate.public_bytes(Encoding.DER) for certificate in chain))


def _registrations(names: tuple[str, ...], folder: Path) -> tuple[VerifierInfo, ...]:
    return tuple(VerifierInfo("registration_cert", _text(folder / name).strip()) for name in names)


def _trust(file: TenantFile, folder: Path, settings: VerifierSettings) -> Trust:
    trust: dict[tuple[str, str], tuple[TrustDomain, ...]] = {}
    for domain in file.trust:
        if domain.kind is AnchorKind.PINNED_TEST and not settings.allow_test_anchors:
            raise _invalid(folder, f"{domain.name}: test anchors are refused by the settings")
        loaded = TrustDomain(
            name=domain.name,
            anchors=_anchors(domain.anchors, folder, domain.kind, domain.name),
            status_anchors=_anchors(domain.status_anchors, folder, AnchorKind.CA, f"{domain.name}: status"),
            profile=domain.profile,
            revocation=domain.revocation,
        )
        for credential_format, types in domain.types.items():
            for each in types:
                trust[credential_format, each] = (*trust.get((credential_format, each), ()), loaded)
    return trust


def _lists(file: TenantFile, folder: Path, settings: VerifierSettings) -> tuple[ListedTrust, ...]:
    lists: list[ListedTrust] = []
    for each in file.trust_lists:
        if each.form is ListForm.XML and find_spec("signxml") is None:
            raise _invalid(folder, "trust_lists: a list in XML needs the extra [trust]")
        try:
            check_https(each.url, name=each.url, allow_loopback_http=settings.allow_loopback_http)
        except RequestError as error:
            raise _invalid(folder, f"trust_lists: {error.description}") from None
        lists.append(
            ListedTrust(
                each.url,
                _anchors(each.signers, folder, each.signer_kind, each.url),
                each.list_type,
                tuple((credential_format, name) for credential_format, names in each.types.items() for name in names),
                each.issuance,
                each.revocation,
                profile=each.profile,
                revocation_rule=each.revocation_rule,
                form=each.form,
                territory=each.territory,
            )
        )
    if len({each.url for each in lists}) < len(lists):
        raise _invalid(folder, "trust_lists: an address is there twice")
    return tuple(lists)


def _anchors(names: tuple[str, ...], folder: Path, kind: AnchorKind, label: str) -> tuple[TrustAnchor, ...]:
    try:
        return tuple(
            anchor for name in names for anchor in anchors_from_pem(_bytes(folder / name), kind=kind, name=label)
        )
    except CertificateError as error:
        raise _invalid(folder, f"{label}: {error.detail}") from error


def _check_trusted(procedure: Procedure, believed: Collection[tuple[str, str]], name: str) -> None:
    for entry in procedure.query.credentials:
        meta = entry.meta
        types = meta.vct_values if isinstance(meta, SdJwtVcMeta) else ()
        types = (meta.doctype_value,) if isinstance(meta, MdocMeta) else types
        for each in types:
            if (entry.format, each) not in believed:
                raise FileInvalid(f"{name}:1:1: {entry.id}: nobody is trusted for {each} as {entry.format}")


def _invalid(folder: Path, what: str) -> FileInvalid:
    return FileInvalid(f"{folder.name}/tenant.yaml:1:1: {what}")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileInvalid(f"{path.parent.name}/{path.name}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise FileInvalid(f"{path.parent.name}/{path.name!r}: not a name that a file can have") from None


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise FileInvalid(f"{path.parent.name}/{path.name}: not UTF-8") from None
