"""Persons have places for live credentials; an offer may renew a credential that there is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "person_slots",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("subject_pseudonym", sa.LargeBinary(), nullable=False),
        sa.Column("configuration_id", sa.String(length=100), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("credential_id", sa.String(length=32), nullable=False),
        sa.Column("live_until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credentials.id"], name=op.f("fk_person_slots_credential_id_credentials")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_person_slots_tenant_id_tenants")),
        sa.PrimaryKeyConstraint(
            "tenant_id", "subject_pseudonym", "configuration_id", "slot", name=op.f("pk_person_slots")
        ),
    )
    with op.batch_alter_table("person_slots", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_person_slots_credential_id"), ["credential_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_person_slots_live_until"), ["live_until"], unique=False)
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.add_column(sa.Column("expires_at", sa.BigInteger(), nullable=False, server_default="0"))
        batch_op.create_index("ix_credentials_tenant_id_expires_at", ["tenant_id", "expires_at"], unique=False)
    with op.batch_alter_table("offer_configurations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("credential_id", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("issued_at", sa.BigInteger(), nullable=True))
        batch_op.create_index(batch_op.f("ix_offer_configurations_credential_id"), ["credential_id"], unique=False)
    op.execute(
        "UPDATE credentials SET expires_at = COALESCE((SELECT MAX(copies.expires_at) FROM credential_copies AS copies "
        "WHERE copies.credential_id = credentials.id), 0)"
    )
    for column, value in (("credential_id", "id"), ("issued_at", "created_at")):
        op.execute(
            f"UPDATE offer_configurations SET {column} = (SELECT {value} FROM credentials "  # noqa: S608 fixed words
            "WHERE credentials.offer_id = offer_configurations.offer_id "
            "AND credentials.configuration_id = offer_configurations.configuration_id)"
        )


def downgrade() -> None:
    with op.batch_alter_table("offer_configurations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_offer_configurations_credential_id"))
        batch_op.drop_column("issued_at")
        batch_op.drop_column("credential_id")
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.drop_index("ix_credentials_tenant_id_expires_at")
        batch_op.drop_column("expires_at")
    op.drop_table("person_slots")
