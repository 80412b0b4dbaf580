"""A city to meet: its issuer and its verifier, both over HTTP, and what a wallet must trust to deal with them."""

import asyncio
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from issuer.app import create_app
from issuer.datasets import UNNAMED
from issuer.offers import ArmedOffer
from issuer.store.tables import Delivery, Grant
from specs.keys.signer import FileSigner, SigningIdentity
from specs.protocols.credential_offer import (
    CredentialOffer,
    OfferedAuthorizationCode,
    OfferedPreAuthorizedCode,
    TxCode,
    offer_link,
    offer_reference_link,
)
from specs.protocols.dcql import DcqlQuery, parse_dcql
from specs.protocols.openid4vp import ClientIdPrefix, ResponseMode
from specs.trust.anchors import AnchorKind, TrustAnchor, anchors_from_pem
from specs.trust.certificates import (
    Authority,
    SubjectName,
    build_access_certificate,
    build_reader_certificate,
    build_root_ca,
    serial_number,
)
from tests.issuer.wallet_api.world import MDOC, SD_JWT, World, build_world
from tests.wallet_sim.serving import served
from verifier import Procedure, RelyingParty, TrustDomain, Verifier
from verifier.adapters.fastapi import wallet_router
from verifier.ask import Endpoints
from verifier.fetch import PolicedFetcher
from verifier.stores.memory import MemoryStore
from wallet_sim.collect import Holder
from wallet_sim.wallet import Wallet

VCT, DOC_TYPE = "urn:example:leipzig:leipzig_pass:1", "de.leipzig.leipzig_pass.1"
RETURN_URL = "https://city.example/back"
ACCEPTING = Holder(accept=lambda _offer: True)


def query(*entries: tuple[str, str, list[list[str]]]) -> DcqlQuery:
    """A question for credentials of the Leipzig-Pass: id, format, paths."""
    asked = [
        {
            "id": name,
            "format": form,
            "meta": {"vct_values": [VCT]} if form == "dc+sd-jwt" else {"doctype_value": DOC_TYPE},
            "claims": [{"path": list(path)} for path in paths],
        }
        for name, form, paths in entries
    ]
    return parse_dcql(json.dumps({"credentials": asked}))


SD_JWT_QUERY = query(("pass", "dc+sd-jwt", [["entitled"], ["given_name"]]))
MDOC_QUERY = query(("pass", "mso_mdoc", [[DOC_TYPE, "entitled"], [DOC_TYPE, "given_name"]]))
BOTH_QUERY = query(
    ("first", "dc+sd-jwt", [["valid_until_month"]]), ("second", "mso_mdoc", [[DOC_TYPE, "valid_until_month"]])
)
UNKNOWN_QUERY = query(("pass", "dc+sd-jwt", [["shoe_size"]]))


@dataclass(frozen=True, slots=True)
class City:
    """The issuer of a city with its test tenants. world: for offers."""

    url: str
    world: World

    def anchors(self, role: str, tenant: str = "leipzig") -> tuple[TrustAnchor, ...]:
        """A root of a tenant as a trust anchor."""
        pem = (self.world.settings.data_dir / "keys" / tenant / f"{role}.crt.pem").read_bytes()
        return anchors_from_pem(pem, kind=AnchorKind.CA, name=role)

    def offer(
        self,
        *,
        tenant: str = "leipzig",
        grant: Grant = Grant.PRE_AUTHORIZED_CODE,
        delivery: Delivery = Delivery.VALUE,
        tx_code: bool = False,
        configurations: tuple[str, ...] = (SD_JWT, MDOC),
        datasets: tuple[str, ...] = (UNNAMED,),
        scheme: str = "openid-credential-offer://",
    ) -> tuple[str, str | None]:
        """The link of a new offer, and its transaction code."""
        armed = asyncio.run(
            self.world.offer(
                tenant=tenant,
                grant=grant,
                delivery=delivery,
                tx_code=tx_code,
                configurations=configurations,
                datasets=datasets,
            )
        )
        if delivery is Delivery.REFERENCE:
            where = f"{self.world.issuer_url(tenant)}/offers/{armed.reference}"
            return offer_reference_link(where, endpoint=scheme), armed.tx_code
        return offer_link(_offer(armed, self.world.issuer_url(tenant)), endpoint=scheme), armed.tx_code

    def wallet(self, path: Path, *, verifier_anchors: tuple[TrustAnchor, ...] = (), tenant: str = "leipzig") -> Wallet:
        """The wallet of a file, which trusts this city."""
        return Wallet(
            path,
            issuer_anchors=self.anchors("iaca", tenant),
            metadata_anchors=self.anchors("access-ca", tenant),
            verifier_anchors=verifier_anchors,
            allow_loopback_http=True,
        )


def _offer(armed: ArmedOffer, issuer: str) -> CredentialOffer:
    if armed.grant is Grant.AUTHORIZATION_CODE:
        offered = OfferedAuthorizationCode(armed.issuer_state)
        return CredentialOffer(issuer, armed.configuration_ids, authorization_code=offered)
    assert armed.code is not None
    tx_code = TxCode(length=armed.tx_code_length) if armed.tx_code_length else None
    return CredentialOffer(
        issuer, armed.configuration_ids, pre_authorized_code=OfferedPreAuthorizedCode(armed.code, tx_code)
    )


@contextmanager
def running_city(folder: Path, provider_anchor: bytes) -> Iterator[City]:
    """An issuer that trusts a wallet provider."""
    worlds: list[World] = []

    def make(url: str) -> FastAPI:
        world = asyncio.run(build_world(folder, public_url=url))
        (folder / "providers.pem").write_bytes(provider_anchor)
        worlds.append(world)
        return create_app(world.settings)

    with served(make) as url:
        yield City(url, worlds[0])


@dataclass(frozen=True, slots=True)
class Counter:
    """A verifier that the city runs, and the roots of its access and reader certificates."""

    verifier: Verifier
    anchors: tuple[TrustAnchor, ...]


@contextmanager
def running_counter(
    city: City, procedures: dict[str, Procedure], *, prefix: ClientIdPrefix = ClientIdPrefix.X509_HASH
) -> Iterator[Counter]:
    """A verifier that trusts the city's credentials, and asks by an access certificate of a root of its own."""
    asker, anchor = relying_party(prefix=prefix)
    reader, readers = reader_identity()
    asker, anchors = replace(asker, reader=reader), (anchor, readers)
    counters: list[Counter] = []

    def make(url: str) -> FastAPI:
        url = url.replace("127.0.0.1", "localhost")  # a name that an access certificate can carry
        verifier = verifier_at(city, url, relying_party=asker, procedures=procedures)
        counters.append(Counter(verifier, anchors))
        app = FastAPI()
        app.include_router(wallet_router(verifier))
        return app

    with served(make):
        yield counters[0]


def verifier_at(city: City, url: str, *, relying_party: RelyingParty, procedures: dict[str, Procedure]) -> Verifier:
    """A verifier whose wallets come to an address of this machine, and which trusts the city's credentials."""
    domain = TrustDomain("leipzig", city.anchors("iaca"), city.anchors("status-ca"))
    return Verifier(
        relying_party,
        procedures=procedures,
        trust={("dc+sd-jwt", VCT): (domain,), ("mso_mdoc", DOC_TYPE): (domain,)},
        store=MemoryStore(),
        sealing_key=secrets.token_bytes(32),
        endpoints=Endpoints(f"{url}/request", f"{url}/response"),
        fetcher=PolicedFetcher(allow_loopback_http=True),
        allow_loopback_http=True,
    )


def relying_party(*, prefix: ClientIdPrefix = ClientIdPrefix.X509_HASH) -> tuple[RelyingParty, TrustAnchor]:
    """Who asks, by an access certificate, and the root of it for wallets to trust."""
    root, identity = _access_identity()
    return RelyingParty(identity, prefix=prefix), TrustAnchor(AnchorKind.CA, root, "access")


def reader_identity() -> tuple[SigningIdentity, TrustAnchor]:
    """A reader's certificate of a root of its own."""
    now, key = int(time.time()), ec.generate_private_key(ec.SECP256R1())
    root = build_root_ca(
        key=key,
        subject=SubjectName(common_name="Reader Root", country="DE"),
        serial=serial_number(secrets.token_bytes(20)),
        now=now,
    )
    signer = FileSigner(ec.generate_private_key(ec.SECP256R1()))
    certificate = build_reader_certificate(
        authority=Authority(root, key),
        public_key=signer.public_key,
        subject=SubjectName(common_name="Ordnungsamt Leipzig", country="DE"),
        serial=serial_number(secrets.token_bytes(20)),
        now=now,
        issuer_uri="https://readers.example",
        crl_url="https://readers.example/crl",
    )
    return SigningIdentity(signer, (certificate,)), TrustAnchor(AnchorKind.CA, root, "readers")


def procedures(
    *, mode: ResponseMode, transaction_data: tuple[str, ...] = (), return_url: str = RETURN_URL
) -> dict[str, Procedure]:
    """A procedure for each question, answered in a mode."""
    asked = {"sd-jwt": SD_JWT_QUERY, "mdoc": MDOC_QUERY, "both": BOTH_QUERY, "unknown": UNKNOWN_QUERY}
    return {
        name: Procedure(
            id=name,
            query=question,
            response_mode=mode,
            return_url=return_url,
            transaction_data=transaction_data if name == "sd-jwt" else (),
        )
        for name, question in asked.items()
    }


def _access_identity() -> tuple[bytes, SigningIdentity]:
    now, root_key = int(time.time()), ec.generate_private_key(ec.SECP256R1())
    root = build_root_ca(
        key=root_key,
        subject=SubjectName(common_name="Access Root", country="DE"),
        serial=serial_number(secrets.token_bytes(20)),
        now=now,
    )
    signer = FileSigner(ec.generate_private_key(ec.SECP256R1()))
    leaf = build_access_certificate(
        authority=Authority(root, root_key),
        public_key=signer.public_key,
        subject=SubjectName(common_name="Counter", country="DE", organization="Stadt Leipzig"),
        serial=serial_number(secrets.token_bytes(20)),
        now=now,
        dns_names=["localhost"],
        uris=["https://city.example"],
    )
    return root, SigningIdentity(signer, (leaf,))
