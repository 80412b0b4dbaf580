"""The city that these wallets deal with, started once for a module; every test has a wallet of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wallet_sim.city import City, running_city
from wallet_sim.wallet import Wallet


@pytest.fixture(scope="module")
def provided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wallet's file in which nothing is but its provider, whom the city trusts."""
    path = tmp_path_factory.mktemp("provided") / "wallet.db"
    Wallet(path)
    return path


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory, provided: Path) -> Iterator[City]:
    """The running issuer."""
    with running_city(tmp_path_factory.mktemp("city"), Wallet(provided).provider.anchor_pem()) as running:
        yield running


@pytest.fixture
def wallet_file(provided: Path, tmp_path: Path) -> Path:
    """A fresh wallet's file."""
    path = tmp_path / "wallet.db"
    shutil.copy(provided, path)
    return path


@pytest.fixture
def wallet(city: City, wallet_file: Path) -> Wallet:
    """A fresh wallet."""
    return city.wallet(wallet_file)
