"""The demonstration's servers and wallet, running for the tests of one module."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.servers import Issuer, Server, choose_port, prepare_issuer, start_city
from demo.story import CityApi, make_wallet
from specs.protocols.dcql import FORMAT_MDOC, FORMAT_SD_JWT_VC
from wallet_sim.collect import Holder
from wallet_sim.wallet import Wallet

PASS_CLAIMS = {
    "entitled": True,
    "valid_until_month": "2027-06",
    "family_name": "Lindenau",
    "given_name": "Mila Johanna",
    "birthdate": "1991-03-07",
}
PID_CLAIMS = {
    "family_name": "LINDENAU",
    "given_name": "MILA JOHANNA",
    "birth_name": "",
    "title": "",
    "also_known_as": "",
    "birthdate": "1991-03-07",
    "place_of_birth": {"locality": "WURZEN", "no_place_info": False},
    "nationalities": ["DE"],
    "address": {
        "street_address": "BEISPIELGASSE 7",
        "postal_code": "04109",
        "locality": "LEIPZIG",
        "region": "",
        "country": "DE",
    },
    "age_equal_or_over": {"12": True, "14": True, "16": True, "18": True, "21": True, "65": False},
    "source_document_type": "ID",
    "date_of_expiry": "2031-10-27",
}


@dataclass(frozen=True)
class Running:
    """Issuer, city service, the back ends' access to the issuer, and a wallet that holds both credentials.

    provided: the wallet's file before any test.
    """

    issuer: Issuer
    issuing: Server
    city: Server
    pid_api: CityApi
    city_api: CityApi
    wallet: Wallet
    provided: Path

    def offer(self, *, grant: str = "pre-authorized_code", tx_code: bool = True) -> dict[str, object]:
        """A Leipzig-Pass on offer."""
        return self.city_api.post(
            "/api/v1/offers",
            {
                "credential_types": ["leipzig_pass"],
                "formats": [FORMAT_SD_JWT_VC],
                "grant": grant,
                "subject": {"reference": "buergeramt-0815"},
                "claims": {"leipzig_pass": PASS_CLAIMS},
                "tx_code": tx_code,
            }
            if grant == "pre-authorized_code"
            else {
                "credential_types": ["leipzig_pass"],
                "formats": [FORMAT_SD_JWT_VC],
                "grant": grant,
                "subject": {"reference": "buergeramt-0815"},
            },
        )

    def collect(self, api: CityApi, credential_type: str, claims: dict[str, object]) -> list[str]:
        """Have the wallet collect a credential in both formats; the ids of the credentials."""
        offer = api.post(
            "/api/v1/offers",
            {
                "credential_types": [credential_type],
                "formats": [FORMAT_SD_JWT_VC, FORMAT_MDOC],
                "grant": "pre-authorized_code",
                "subject": {"reference": "buergeramt-0815"},
                "claims": {credential_type: claims},
            },
        )
        self.wallet.collect(str(offer["offer_uri"]), holder=Holder(lambda _: True))
        credentials = api.get(f"/api/v1/offers/{offer['id']}")["credentials"]
        assert isinstance(credentials, list)
        return [str(credential["id"]) for credential in credentials]


@contextmanager
def running_demo() -> Iterator[Running]:
    """Everything, on free ports, in a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="stadtnachweis-browser-") as name:
        folder = Path(name)
        anchor = folder / "wallet-provider.pem"
        anchor.write_bytes(make_wallet(folder / "wallet.db").provider.anchor_pem())
        issuer = prepare_issuer(folder / "issuer", port=choose_port(0), provider_anchor=anchor)
        servers = [issuer.start(folder / "issuer.log")]
        try:
            servers.append(start_city(folder / "city", port=choose_port(0), issuer=issuer, log=folder / "city.log"))
            servers[0].wait_until_up("/healthz")
            servers[1].wait_until_up("/")
            running = Running(
                issuer,
                servers[0],
                servers[1],
                CityApi(servers[0], issuer.run("api-key", "add", "pid-provider", "--name", "tests")),
                CityApi(servers[0], issuer.run("api-key", "add", "leipzig", "--name", "tests")),
                make_wallet(folder / "wallet.db", issuer),
                folder / "provided.db",
            )
            running.collect(running.pid_api, "pid_mock", {**PID_CLAIMS})
            running.collect(running.city_api, "leipzig_pass", {**PASS_CLAIMS})
            shutil.copy(running.wallet.store.path, running.provided)
            yield running
        finally:
            for server in reversed(servers):
                server.stop()
