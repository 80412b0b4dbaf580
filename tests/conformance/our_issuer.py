"""Our own issuer as the suite meets it: running, with offers, a person who logs in, and a wallet that it believes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from conformance.exchange import TIMEOUT_SECONDS
from conformance.identity import SuiteIdentity
from conformance.issuer_target import IssuerTarget, Offered, OfferWish
from conformance.login import Login
from issuer.store.tables import Delivery, Grant
from specs.protocols.oauth import PRE_AUTHORIZED_CODE
from tests.issuer.wallet_api.world import MDOC, SD_JWT
from tests.wallet_sim.city import City, running_city

DELIVERIES = {"value": Delivery.VALUE, "reference": Delivery.REFERENCE}


@dataclass(frozen=True, slots=True)
class OurIssuer:
    """The city's issuer, and who the suite is to it."""

    city: City
    identity: SuiteIdentity

    def offers(self, tenant: str) -> Callable[[OfferWish], Offered]:
        """Fresh offers of a tenant; each pre-authorized one has a transaction code."""

        def offer(wish: OfferWish) -> Offered:
            is_code = wish.grant == PRE_AUTHORIZED_CODE
            link, tx_code = self.city.offer(
                tenant=tenant,
                grant=Grant.PRE_AUTHORIZED_CODE if is_code else Grant.AUTHORIZATION_CODE,
                delivery=DELIVERIES[wish.by],
                tx_code=is_code,
                configurations=(wish.configuration,),
            )
            return Offered(link, tx_code)

        return offer

    @contextmanager
    def target(self, tenant: str = "leipzig") -> Iterator[IssuerTarget]:
        """A tenant, as a target of the suite."""
        with httpx.Client(timeout=TIMEOUT_SECONDS) as client:
            yield IssuerTarget(
                f"{self.city.url}/t/{tenant}",
                client,
                allow_loopback_http=True,
                offers=self.offers(tenant),
                login=Login("mila", "einfach"),
                identity=self.identity,
                wanted={"dc+sd-jwt": SD_JWT, "mso_mdoc": MDOC},
                anchors=self.city.anchors("iaca", tenant),
                status_anchors=self.city.anchors("status-ca", tenant),
            )


@contextmanager
def running_issuer(folder: Path) -> Iterator[OurIssuer]:
    """Start it."""
    identity = SuiteIdentity.fresh()
    with running_city(folder, identity.provider.root_pem) as city:
        yield OurIssuer(city, identity)
