"""The wallet that the tests of a module share, and a city for it to meet."""

from collections.abc import Iterator

import pytest

from tests.interop.foreign_wallet import ForeignWallet, running_wallet
from tests.interop.house import House, running_house
from tests.interop.javascript import node_program
from tests.services import node


@pytest.fixture(scope="package")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignWallet]:
    """A wallet made of the OpenWallet Foundation's JavaScript packages."""
    command = [node_program(), str(node.FOLDER / "wallet.mjs")]
    with running_wallet(command, log=tmp_path_factory.mktemp("javascript") / "wallet.log") as running:
        yield running


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running issuer with its tenants."""
    with running_house(tmp_path_factory.mktemp("house")) as running:
        yield running
