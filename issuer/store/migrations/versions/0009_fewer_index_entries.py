"""What a flow writes moves fewer index entries: none that no query uses, none for values that are not there."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# room on each page, so that a changed row stays on its own and its index entries stay as they are
_ROOM = {"offers": 60, "offer_configurations": 60, "access_tokens": 70}
_BY_TENANT = ("offer_configurations", "credential_copies")
_PARTIAL = (("offer_configurations", "credential_id"), ("access_tokens", "refresh_family"))


def upgrade() -> None:
    op.drop_index("ix_offers_tenant_id_subject_pseudonym", "offers")
    op.drop_index("ix_offers_tenant_id_state_expires_at", "offers")
    _index("ix_offers_open", "offers", "expires_at", where="ended_at IS NULL")
    for table in _BY_TENANT:
        op.drop_index(f"ix_{table}_tenant_id", table)
    for table, column in _PARTIAL:
        name = f"ix_{table}_{column}"
        op.drop_index(name, table)
        _index(name, table, column, where=f"{column} IS NOT NULL")
    _leave_room(_ROOM)


def downgrade() -> None:
    _leave_room(dict.fromkeys(_ROOM, 100))
    for table, column in _PARTIAL:
        name = f"ix_{table}_{column}"
        op.drop_index(name, table)
        op.create_index(name, table, [column])
    for table in _BY_TENANT:
        op.create_index(f"ix_{table}_tenant_id", table, ["tenant_id"])
    op.drop_index("ix_offers_open", "offers")
    op.create_index("ix_offers_tenant_id_state_expires_at", "offers", ["tenant_id", "state", "expires_at"])
    op.create_index("ix_offers_tenant_id_subject_pseudonym", "offers", ["tenant_id", "subject_pseudonym"])


def _index(name: str, table: str, column: str, *, where: str) -> None:
    predicate = sa.text(where)
    op.create_index(name, table, [column], postgresql_where=predicate, sqlite_where=predicate)


def _leave_room(percents: dict[str, int]) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, percent in percents.items():
            op.execute(f"ALTER TABLE {table} SET (fillfactor = {percent})")
