"""Stores of each kind for the verifier's transactions."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from verifier import MemoryStore
from verifier.stores.postgresql import DirectConnections, PostgresStore
from verifier.stores.sql import SqlStore
from verifier.transaction import TransactionStore


@pytest.fixture(
    params=["memory", "sqlite", *(pytest.param(name, marks=pytest.mark.postgres) for name in ("postgres", "direct"))]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TransactionStore]:
    """An empty store."""
    if request.param == "memory":
        yield MemoryStore()
        return
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path / 'verifier.db'}", connect_args={"timeout": 30})
    else:
        engine = create_engine(str(request.getfixturevalue("fresh_postgres_url")))
    made = SqlStore(engine)
    made.create_tables()
    if request.param == "direct":
        connections = DirectConnections(engine)
        yield PostgresStore(connections, tenant="default")
        connections.close()
    else:
        yield made
    engine.dispose()
