"""Our own issuer as the suite meets it: running, with offers, a person who logs in, and a wallet that it believes."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from conformance.exchange import TIMEOUT_SECONDS
from conformance.identity import SuiteIdentity
from conformance.issuer_target import IssuerTarget, Offered, OfferWish
from conformance.login import Login
from issuer.keys.tenant_pki import REGISTRATION_CERTIFICATE, load_chain, public_key_of
from issuer.store.tables import Delivery, Grant
from specs.protocols.oauth import PRE_AUTHORIZED_CODE
from specs.trust.certificates import (
    SERIAL_BYTES,
    Authority,
    SubjectName,
    build_access_certificate,
    serial_number,
)
from specs.trust.registration_claims import RegisteredCredential
from tests.conformance.registrar import IDENTIFIER, Registrar
from tests.issuer.wallet_api.world import MDOC, SD_JWT
from tests.wallet_sim.city import City, running_city

DELIVERIES = {"value": Delivery.VALUE, "reference": Delivery.REFERENCE}


@dataclass(frozen=True, slots=True)
class OurIssuer:
    """The city's issuer, and who the suite is to it."""

    city: City
    identity: SuiteIdentity
    registrar: Registrar

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
                metadata_anchors=self.city.anchors("access-ca", tenant),
                registrar_anchors=(self.registrar.anchor,),
            )


@contextmanager
def running_issuer(folder: Path) -> Iterator[OurIssuer]:
    """Start it."""
    identity, registrar = SuiteIdentity.fresh(), Registrar.fresh()
    with running_city(folder, identity.provider.root_pem) as city:
        _register(city, registrar, "bund")
        yield OurIssuer(city, identity, registrar)


def _register(city: City, registrar: Registrar, tenant: str) -> None:
    """Give a tenant what it will get: an access certificate with its identifier, and a registration of its types."""
    folder = city.world.settings.data_dir / "keys" / tenant
    [root], [old] = load_chain(folder / "access-ca.crt.pem"), load_chain(folder / "access.crt.pem")
    key = load_pem_private_key((folder / "access-ca.key.pem").read_bytes(), password=None)
    access = build_access_certificate(
        authority=Authority(root.public_bytes(Encoding.DER), key),  # type: ignore[arg-type]  # a key of P-256
        public_key=public_key_of(old),
        subject=SubjectName("Stadt Bund", "DE", organization_identifier=IDENTIFIER),
        serial=serial_number(secrets.token_bytes(SERIAL_BYTES)),
        now=int(time.time()),
        dns_names=[],
        uris=["https://city.example"],
    )
    pem = x509.load_der_x509_certificate(access).public_bytes(Encoding.PEM)
    (folder / "access.crt.pem").write_bytes(pem)
    provides = [
        RegisteredCredential("dc+sd-jwt", ("urn:example:leipzig:leipzig_pass:1",)),
        RegisteredCredential("mso_mdoc", ("de.leipzig.leipzig_pass.1",)),
        RegisteredCredential("dc+sd-jwt", ("urn:eudi:pid:de:1",)),
        RegisteredCredential("mso_mdoc", ("eu.europa.ec.eudi.pid.1",)),
    ]
    (folder / REGISTRATION_CERTIFICATE).write_text(registrar.certificate(provides=provides), encoding="ascii")
