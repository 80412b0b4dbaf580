"""A city in which each misbehaviour has occasion: its exchanges, which an honest wallet passes."""

import asyncio
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from fastapi import FastAPI

from issuer.app import create_app
from issuer.store.tables import Grant
from specs.protocols.openid4vp import ResponseMode, build_transaction_data
from specs.protocols.proximity import parse_engagement_link
from tests.issuer.city.types import write_types
from tests.issuer.wallet_api.world import MDOC, SD_JWT, World, build_world
from tests.wallet_sim.city import (
    ACCEPTING,
    DOC_TYPE,
    MDOC_QUERY,
    SD_JWT_QUERY,
    City,
    Counter,
    procedures,
    running_counter,
)
from tests.wallet_sim.serving import served
from verifier import Flow, Procedure, RevocationRule, TrustDomain, Verdict
from verifier.fetch import PolicedFetcher
from verifier.proximity_stream import StreamTransport
from verifier.reader import Reader
from wallet_sim.browser import FormBrowser
from wallet_sim.collect import Collector
from wallet_sim.conduct import Conduct
from wallet_sim.device import Device
from wallet_sim.device_session import StreamDevice
from wallet_sim.misbehaviour import Need, Phase, misbehaviours
from wallet_sim.present import Habits
from wallet_sim.transport import Transport
from wallet_sim.wallet import Wallet

PAYMENT = "urn:example:leipzig:fee:1"
FEE = build_transaction_data(PAYMENT, credential_ids=["pass"], members={"amount": "30.70 EUR"})
ATTESTED = "attested_pass-sd-jwt"
OTHER = ("second_pass-sd-jwt", "second_pass-mdoc")


@dataclass(frozen=True, slots=True)
class Stage:
    """Where wallets are tried. filled: a wallet's file with credentials of two types in both formats."""

    city: City
    counter: Counter
    filled: Path

    def collect(self, file: Path, conduct: Conduct, needs: frozenset[Need]) -> int:
        """One collection of what the needs say; how many credentials it gave. Failures as `Collector.collect`."""
        login = Need.LOGIN in needs
        configurations = (
            (ATTESTED,)
            if Need.KEY_ATTESTATION in needs
            else (SD_JWT, MDOC)
            if Need.TWO_CREDENTIALS in needs
            else (SD_JWT,)
        )
        link, code = self.city.offer(
            grant=Grant.AUTHORIZATION_CODE if login else Grant.PRE_AUTHORIZED_CODE,
            tx_code=Need.TX_CODE in needs,
            configurations=configurations,
        )
        holder = ACCEPTING
        if code is not None:
            holder = replace(holder, tx_code=lambda: code)
        if login:
            browser = FormBrowser(username="mila", password="einfach", allow_loopback_http=True)
            holder = replace(holder, authorize=browser)
        wallet = self._wallet(file, conduct)
        collector = Collector(
            wallet.store,
            wallet.provider,
            wallet.transport,
            anchors=self.city.anchors("iaca"),
            copies=2 if Need.TWO_COPIES in needs else 1,
        )
        return len(collector.collect(link, holder=holder))

    def present(self, file: Path, conduct: Conduct, needs: frozenset[Need], form: str) -> None:
        """One presentation of what the needs say. Failures as `Wallet.present`."""
        wallet = self._wallet(file, conduct)
        asked = "payment" if Need.TRANSACTION_DATA in needs else {"dc+sd-jwt": "sd-jwt", "mso_mdoc": "mdoc"}[form]
        for _ in range(2 if Need.EARLIER in needs else 1):
            question = self.counter.verifier.ask(asked, flow=Flow.CROSS_DEVICE)
            wallet.present(question.wallet_url, consent=lambda _question: True)

    def meet(self, file: Path, conduct: Conduct) -> Verdict:
        """One meeting with a reader; what the reader thinks of it."""
        waiting = StreamDevice(Device(Wallet(file).store, conduct=conduct))
        with ThreadPoolExecutor(1) as pool:
            answered = pool.submit(waiting.serve, consent=lambda _shown: True)
            engagement = parse_engagement_link(waiting.link)
            transport = StreamTransport(engagement, seconds=20)
            try:
                verdict = self._reader().read("pass", engagement, transport)
                answered.result()
            finally:
                transport.close()
        return verdict

    def _wallet(self, file: Path, conduct: Conduct) -> Wallet:
        return Wallet(
            file,
            issuer_anchors=self.city.anchors("iaca"),
            verifier_anchors=self.counter.anchors,
            transport=Transport(allow_loopback_http=True, conduct=conduct),
            habits=Habits([PAYMENT]),
        )

    def _reader(self) -> Reader:
        domain = TrustDomain(
            "leipzig", self.city.anchors("iaca"), self.city.anchors("status-ca"), revocation=RevocationRule.OFF
        )
        return Reader(
            procedures={"pass": Procedure(id="pass", query=MDOC_QUERY)},
            trust={("mso_mdoc", DOC_TYPE): (domain,)},
            fetcher=PolicedFetcher(allow_loopback_http=True),
        )


@contextmanager
def running_stage(folder: Path, provided: Path) -> Iterator[Stage]:
    """An issuer and a verifier. provided: a wallet's file, whose provider the issuer trusts."""
    worlds: list[World] = []

    def make(url: str) -> FastAPI:
        world = asyncio.run(build_world(folder, public_url=url, tenants={"leipzig": "haip-1.0"}))
        (folder / "providers.pem").write_bytes(Wallet(provided).provider.anchor_pem())
        types = write_types(folder / "types", {"second_pass": "", "attested_pass": ""})
        attested = types / "attested_pass.yaml"
        text = attested.read_text(encoding="utf-8")
        attested.write_text(text.replace("key_attestation: none", "key_attestation: iso_18045_moderate"))
        world.use_types(types)
        worlds.append(world)
        return create_app(world.settings.model_copy(update={"body_timeout": 1}))

    with served(make) as url:
        city = City(url, worlds[0])
        filled = folder / "filled.db"
        shutil.copy(provided, filled)
        for configurations in ((SD_JWT, MDOC), OTHER):
            city.wallet(filled).collect(city.offer(configurations=configurations)[0], holder=ACCEPTING)
        asked = procedures(mode=ResponseMode.DIRECT_POST_JWT)
        asked["payment"] = Procedure(
            id="payment",
            query=SD_JWT_QUERY,
            response_mode=ResponseMode.DIRECT_POST_JWT,
            transaction_data=(FEE,),
        )
        with running_counter(city, asked) as counter:
            yield Stage(city, counter, filled)


def cases(phase: Phase) -> list[ParameterSet]:
    """Each misbehaviour of a phase with each format; what is the same for both formats is tried with mdoc when long."""
    return [
        pytest.param(each, form, marks=[pytest.mark.long] if number else [], id=f"{each.id}-{form}")
        for each in misbehaviours(phase)
        for number, form in enumerate(each.formats)
    ]
