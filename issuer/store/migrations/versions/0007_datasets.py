"""A person may have several datasets of one credential type; each has a name of the city's."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ONCE, _ONCE_EACH = "uq_credentials_offer_id_configuration_id", "uq_credentials_offer_id_configuration_id_dataset"
_TABLES = ("offer_configurations", "credentials", "deferred_transactions")


def upgrade() -> None:
    for table in _TABLES:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("dataset", sa.String(length=32), nullable=False, server_default=""))
    with op.batch_alter_table("offer_configurations", schema=None) as batch_op:
        batch_op.drop_constraint("pk_offer_configurations", type_="primary")
        batch_op.create_primary_key("pk_offer_configurations", ["offer_id", "configuration_id", "dataset"])
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.drop_constraint(_ONCE, type_="unique")
        batch_op.create_unique_constraint(_ONCE_EACH, ["offer_id", "configuration_id", "dataset"])
    _rewrite(lambda granted: [granted, ""])


def downgrade() -> None:
    _rewrite(lambda granted: granted[0])
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.drop_constraint(_ONCE_EACH, type_="unique")
        batch_op.create_unique_constraint(_ONCE, ["offer_id", "configuration_id"])
    with op.batch_alter_table("offer_configurations", schema=None) as batch_op:
        batch_op.drop_constraint("pk_offer_configurations", type_="primary")
        batch_op.create_primary_key("pk_offer_configurations", ["offer_id", "configuration_id"])
    for table in reversed(_TABLES):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("dataset")


def _rewrite(form: Callable[..., object]) -> None:
    """What a live token's identifiers stand for, in another form; tokens live for minutes, so there are few."""
    tokens = sa.table(
        "access_tokens", sa.column("digest", sa.LargeBinary), sa.column("credential_identifiers", sa.JSON)
    )
    connection = op.get_bind()
    for digest, known in connection.execute(sa.select(tokens.c.digest, tokens.c.credential_identifiers)).all():
        if known:
            changed = {identifier: form(granted) for identifier, granted in known.items()}
            connection.execute(tokens.update().where(tokens.c.digest == digest).values(credential_identifiers=changed))
