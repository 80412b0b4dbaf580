"""Pre-authorized codes are stored nowhere any more; offers that were delivered by value are armed anew."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("pre_authorized_codes")


def downgrade() -> None:
    op.create_table(
        "pre_authorized_codes",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("offer_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name=op.f("fk_pre_authorized_codes_offer_id_offers")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_pre_authorized_codes_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_pre_authorized_codes")),
    )
    with op.batch_alter_table("pre_authorized_codes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pre_authorized_codes_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_pre_authorized_codes_offer_id"), ["offer_id"], unique=False)
