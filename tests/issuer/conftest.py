"""The issuer for its tests: on SQLite always, on PostgreSQL where there is one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.issuer.house import House, open_house, settings_for


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'issuer.db'}"
    url: str = request.getfixturevalue("fresh_postgres_url")
    return url


@pytest.fixture
async def house(tmp_path: Path, database_url: str) -> AsyncIterator[House]:
    """A furnished issuer with two tenants."""
    opened = await open_house(settings_for(tmp_path, database_url=database_url))
    yield opened
    await opened.http.aclose()
    await opened.store.close()
