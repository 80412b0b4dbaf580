"""The claims of one credential at the moment they are needed: those that lie in its offer, else the register's."""

from collections.abc import Mapping

from issuer.catalog.loader import Configuration
from issuer.catalog.schema import CredentialType
from issuer.claims_source import SourceRefused, SourceUntrustworthy
from issuer.offer_claims import open_claims, open_subject
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from specs.encoding.strict_json import JsonObject

NO_SUCH_DATASET = "no_such_dataset"  # the person had it when the offer was made


async def ask_register(
    service: IssuerService,
    tenant: ActiveTenant,
    kind: CredentialType,
    *,
    subject: str,
    now: int,
    patient: bool = False,
) -> Mapping[str, JsonObject]:
    """What the register of a type says about a person, by dataset; see `ClaimsPuller.pull`.

    Raises:
        LookupError: no register was named for the type.
        SourceUnavailable, SourceRefused, SourceUntrustworthy: as there.
    """
    register = tenant.arranged.source_of(kind.type)
    if register is None:
        raise LookupError(kind.type)
    return await service.claims.pull(
        register,
        identity=tenant.keys.access,
        issuer_url=tenant.issuer_url,
        subject=subject,
        kind=kind,
        now=now,
        patient=patient,
    )


async def pulled_claims(
    service: IssuerService,
    tenant: ActiveTenant,
    *,
    offer_id: str,
    configuration: Configuration,
    dataset: str,
    now: int,
    patient: bool = False,
) -> JsonObject | None:
    """What the type's register says about the offer's person; None if the claims lie in the offer, or nobody is asked.

    patient: the wallet was told to come back, so that the register may take longer. now: seconds since the epoch.

    Raises:
        SourceUnavailable, SourceRefused, SourceUntrustworthy: as `ClaimsPuller.pull`.
    """
    kind = configuration.credential_type
    if tenant.arranged.source_of(kind.type) is None:
        return None
    async with service.store.reading() as session:
        known = await open_claims(
            session, sealer=tenant.sealer, offer_id=offer_id, configuration_id=configuration.id, dataset=dataset
        )
        subject = await open_subject(session, sealer=tenant.sealer, offer_id=offer_id)
    if known is not None:
        return None
    if subject is None:
        raise SourceUntrustworthy("subject")
    found = await ask_register(service, tenant, kind, subject=subject, now=now, patient=patient)
    if dataset not in found:
        raise SourceRefused(NO_SUCH_DATASET)
    return found[dataset]
