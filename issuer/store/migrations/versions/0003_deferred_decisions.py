"""Deferred transactions wait for a city's decision."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM deferred_transactions")  # no release before this one made any
    with op.batch_alter_table("deferred_transactions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("id", sa.String(length=32), nullable=False))
        batch_op.add_column(sa.Column("interval", sa.Integer(), nullable=False))
        batch_op.add_column(sa.Column("needs_approval", sa.Boolean(), nullable=False))
        batch_op.add_column(sa.Column("approved_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("denied_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("denial_reason", sa.String(length=200), nullable=True))
        batch_op.create_unique_constraint(batch_op.f("uq_deferred_transactions_id"), ["id"])


def downgrade() -> None:
    with op.batch_alter_table("deferred_transactions", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_deferred_transactions_id"), type_="unique")
        for name in ("denial_reason", "denied_at", "approved_at", "needs_approval", "interval", "id"):
            batch_op.drop_column(name)
