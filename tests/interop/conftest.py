"""The wallet that the tests of a module share, and a city for it to meet."""

from collections.abc import Iterator

import pytest

from tests.interop.house import House, running_house
from tests.interop.javascript import JavascriptWallet, running_wallet


@pytest.fixture(scope="package")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavascriptWallet]:
    """A wallet made of the OpenWallet Foundation's JavaScript packages."""
    with running_wallet(tmp_path_factory.mktemp("javascript")) as running:
        yield running


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running issuer with its tenants."""
    with running_house(tmp_path_factory.mktemp("house")) as running:
        yield running
