"""Brings the database to the tables that this program knows, and says whether it is there."""

from importlib import resources
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from issuer.store import city_tables
from issuer.store.engine import Store
from issuer.store.tables import Row

_ALL_TABLES = (Row, city_tables)  # every module that adds to the metadata is named here
_LOCK = 0x5AD7_0001  # any number that nothing else uses


async def migrate(store: Store) -> None:
    """Run all steps that are missing, in one transaction; several processes may try at once."""
    async with store.engine.begin() as connection:
        if not store.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        await connection.run_sync(_upgrade)


async def is_current(store: Store) -> bool:
    """Whether every step has been run."""
    async with store.engine.connect() as connection:
        return await connection.run_sync(_at_head)


async def differences(store: Store) -> list[str]:
    """What distinguishes the database's tables from the program's; nothing, if each step was written."""
    async with store.engine.connect() as connection:
        return await connection.run_sync(_differences)


def _upgrade(connection: Connection) -> None:
    command.upgrade(_config(connection), "head")


def _at_head(connection: Connection) -> bool:
    heads = ScriptDirectory.from_config(_config(connection)).get_heads()
    return set(MigrationContext.configure(connection).get_current_heads()) == set(heads)


def _differences(connection: Connection) -> list[str]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return [str(difference) for difference in compare_metadata(context, Row.metadata)]


def _config(connection: Connection) -> Config:
    config = Config()
    with resources.as_file(resources.files("issuer.store") / "migrations") as folder:
        config.set_main_option("script_location", str(Path(folder)))
    config.attributes["connection"] = connection
    return config
