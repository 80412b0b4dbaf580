"""What the wallet side does to an offer, without its protocol: redeem, record, mint."""

from sqlmodel import col, select, update

from issuer.catalog.loader import Configuration
from issuer.datasets import UNNAMED
from issuer.grants.pre_authorized import open_by_reference
from issuer.minting.mint import MintOrder
from issuer.minting.window import Window
from issuer.offer_claims import claims_place
from issuer.recording import RecordedCopies, record_copies
from issuer.store.tables import AccessToken, Offer, OfferState
from issuer.tenants import ActiveTenant
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import FileSigner, generate_signer
from tests.issuer.house import House

TOKEN_LIFETIME = 600


async def tenant_of(house: House, tenant_id: str = "leipzig") -> ActiveTenant:
    """A tenant of the running service."""
    tenant = await house.service.tenants.find(tenant_id)
    assert tenant is not None
    return tenant


async def fetch(house: House, offer: JsonObject) -> None:
    """Fetch an offer by reference, as a wallet does first."""
    reference = str(offer["page"]).rsplit("/", 1)[1]
    async with house.store.transaction() as session:
        opened = await open_by_reference(
            session,
            tenant_id="leipzig",
            reference=reference,
            now=house.clock(),
            code_lifetime=3600,
            code_key=house.service.secrets.code_key,
        )
    assert opened is not None


async def authorize(house: House, offer_id: str, *, configurations: list[str]) -> None:
    """Spend an offer for a token, as redeeming its code does."""
    now = house.clock()
    async with house.store.transaction() as session:
        await session.exec(
            update(Offer).where(col(Offer.id) == offer_id).values(state=OfferState.AUTHORIZED, redeemed_at=now)
        )
        session.add(
            AccessToken(
                digest=offer_id.encode(),
                tenant_id="leipzig",
                offer_id=offer_id,
                configuration_ids=configurations,
                credential_identifiers={},
                created_at=now,
                expires_at=now + TOKEN_LIFETIME,
            )
        )


async def record(
    house: House, offer_id: str, configuration: Configuration, *, count: int = 1
) -> tuple[RecordedCopies, Window]:
    """Enter copies of one credential into the books, and move the offer on."""
    tenant = await tenant_of(house)
    window = tenant.mint.window(configuration, now=house.clock())
    async with house.store.transaction() as session:
        recorded = await record_copies(
            session,
            tenant,
            house.service.stock,
            offer_id=offer_id,
            configuration=configuration,
            dataset=UNNAMED,
            count=count,
            window=window,
            now=house.clock(),
        )
    return recorded, window


async def collect(
    house: House, offer_id: str, configuration_id: str, *, count: int = 1
) -> tuple[RecordedCopies, list[str], list[FileSigner]]:
    """Mint copies of one credential of an authorized offer: the books' entry, the credentials, the holder's keys."""
    tenant = await tenant_of(house)
    configuration = house.service.catalog.configurations[configuration_id]
    recorded, window = await record(house, offer_id, configuration, count=count)
    assert recorded.sealed_claims is not None
    claims = tenant.sealer.open_json(recorded.sealed_claims, place=claims_place(offer_id, configuration_id, UNNAMED))
    holders = [generate_signer() for _ in range(count)]
    minted = tenant.mint.mint(
        MintOrder(
            configuration=configuration,
            claims=claims,
            holder_keys=[holder.public_key for holder in holders],
            statuses=recorded.statuses,
            window=window,
        )
    )
    return recorded, minted, holders


async def stored_offer(house: House, offer_id: str) -> Offer:
    """The row of an offer."""
    async with house.store.reading() as session:
        return (await session.exec(select(Offer).where(Offer.id == offer_id))).one()
