"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("preset", sa.String(length=40), nullable=False),
        sa.Column("locale", sa.String(length=10), nullable=False),
        sa.Column("sealed_data_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )
    op.create_table(
        "api_clients",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("secret_digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_api_clients_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_clients")),
    )
    with op.batch_alter_table("api_clients", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_clients_tenant_id"), ["tenant_id"], unique=False)

    op.create_table(
        "offers",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("origin", sa.String(length=10), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("failure_reason", sa.String(length=100), nullable=True),
        sa.Column("grant", sa.String(length=32), nullable=False),
        sa.Column("delivery", sa.String(length=16), nullable=False),
        sa.Column("locale", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("reference_digest", sa.LargeBinary(), nullable=True),
        sa.Column("issuer_state_digest", sa.LargeBinary(), nullable=True),
        sa.Column("subject_pseudonym", sa.LargeBinary(), nullable=True),
        sa.Column("tx_code_mac", sa.LargeBinary(), nullable=True),
        sa.Column("tx_code_length", sa.Integer(), nullable=False),
        sa.Column("tx_code_tries", sa.Integer(), nullable=False),
        sa.Column("redeemed_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_offers_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offers")),
        sa.UniqueConstraint("issuer_state_digest", name=op.f("uq_offers_issuer_state_digest")),
        sa.UniqueConstraint("reference_digest", name=op.f("uq_offers_reference_digest")),
    )
    with op.batch_alter_table("offers", schema=None) as batch_op:
        batch_op.create_index(
            "ix_offers_tenant_id_state_expires_at", ["tenant_id", "state", "expires_at"], unique=False
        )
        batch_op.create_index("ix_offers_tenant_id_subject_pseudonym", ["tenant_id", "subject_pseudonym"], unique=False)

    op.create_table(
        "status_lists",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("allocated", sa.Integer(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sealed_permutation_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_status_lists_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_lists")),
    )
    with op.batch_alter_table("status_lists", schema=None) as batch_op:
        batch_op.create_index("ix_status_lists_tenant_id_open", ["tenant_id", "open"], unique=False)

    op.create_table(
        "used_jtis",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_used_jtis_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "purpose", "digest", name=op.f("pk_used_jtis")),
    )
    with op.batch_alter_table("used_jtis", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_used_jtis_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "used_nonces",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_used_nonces_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name=op.f("pk_used_nonces")),
    )
    with op.batch_alter_table("used_nonces", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_used_nonces_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "access_tokens",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("offer_id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=500), nullable=True),
        sa.Column("dpop_jkt", sa.LargeBinary(), nullable=True),
        sa.Column("code_digest", sa.LargeBinary(), nullable=True),
        sa.Column("refresh_family", sa.String(length=32), nullable=True),
        sa.Column("scope", sa.String(length=2000), nullable=True),
        sa.Column("configuration_ids", sa.JSON(), nullable=False),
        sa.Column("credential_identifiers", sa.JSON(), nullable=False),
        sa.Column("detailed", sa.Boolean(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("max_uses", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name=op.f("fk_access_tokens_offer_id_offers")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_access_tokens_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_access_tokens")),
    )
    with op.batch_alter_table("access_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_tokens_code_digest"), ["code_digest"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_tokens_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_tokens_offer_id"), ["offer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_tokens_refresh_family"), ["refresh_family"], unique=False)

    op.create_table(
        "authorization_codes",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("offer_id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=500), nullable=False),
        sa.Column("redirect_uri", sa.String(length=2000), nullable=False),
        sa.Column("code_challenge", sa.String(length=128), nullable=False),
        sa.Column("configuration_ids", sa.JSON(), nullable=False),
        sa.Column("scope", sa.String(length=2000), nullable=True),
        sa.Column("detailed", sa.Boolean(), nullable=False),
        sa.Column("dpop_jkt", sa.LargeBinary(), nullable=True),
        sa.Column("instance_jkt", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("redeemed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("redeemed_jkt", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name=op.f("fk_authorization_codes_offer_id_offers")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_authorization_codes_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_authorization_codes")),
    )
    with op.batch_alter_table("authorization_codes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_authorization_codes_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_authorization_codes_offer_id"), ["offer_id"], unique=False)

    op.create_table(
        "credentials",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("offer_id", sa.String(length=32), nullable=False),
        sa.Column("configuration_id", sa.String(length=100), nullable=False),
        sa.Column("credential_type", sa.String(length=100), nullable=False),
        sa.Column("format", sa.String(length=20), nullable=False),
        sa.Column("subject_pseudonym", sa.LargeBinary(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_reason", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name=op.f("fk_credentials_offer_id_offers")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_credentials_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
        sa.UniqueConstraint("offer_id", "configuration_id", name=op.f("uq_credentials_offer_id_configuration_id")),
    )
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.create_index(
            "ix_credentials_tenant_id_subject_pseudonym", ["tenant_id", "subject_pseudonym"], unique=False
        )

    op.create_table(
        "idempotency_records",
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("path", sa.String(length=300), nullable=False),
        sa.Column("key_digest", sa.LargeBinary(), nullable=False),
        sa.Column("body_digest", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("sealed_answer", sa.LargeBinary(), nullable=True),
        sa.Column("offer_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name=op.f("fk_idempotency_records_offer_id_offers")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_idempotency_records_tenant_id_tenants")),
        sa.PrimaryKeyConstraint(
            "tenant_id", "client_id", "method", "path", "key_digest", name=op.f("pk_idempotency_records")
        ),
    )
    with op.batch_alter_table("idempotency_records", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_records_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_idempotency_records_offer_id"), ["offer_id"], unique=False)

    op.create_table(
        "offer_configurations",
        sa.Column("offer_id", sa.String(length=32), nullable=False),
        sa.Column("configuration_id", sa.String(length=100), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("credential_type", sa.String(length=100), nullable=False),
        sa.Column("format", sa.String(length=20), nullable=False),
        sa.Column("sealed_claims", sa.LargeBinary(), nullable=True),
        sa.Column("erased_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name=op.f("fk_offer_configurations_offer_id_offers")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_offer_configurations_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("offer_id", "configuration_id", name=op.f("pk_offer_configurations")),
    )
    with op.batch_alter_table("offer_configurations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_offer_configurations_tenant_id"), ["tenant_id"], unique=False)

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

    op.create_table(
        "pushed_requests",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("client_id", sa.String(length=500), nullable=False),
        sa.Column("redirect_uri", sa.String(length=2000), nullable=False),
        sa.Column("state", sa.String(length=2000), nullable=True),
        sa.Column("code_challenge", sa.String(length=128), nullable=False),
        sa.Column("configuration_ids", sa.JSON(), nullable=False),
        sa.Column("scope", sa.String(length=2000), nullable=True),
        sa.Column("detailed", sa.Boolean(), nullable=False),
        sa.Column("offer_id", sa.String(length=32), nullable=True),
        sa.Column("dpop_jkt", sa.LargeBinary(), nullable=True),
        sa.Column("instance_jkt", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name=op.f("fk_pushed_requests_offer_id_offers")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_pushed_requests_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_pushed_requests")),
    )
    with op.batch_alter_table("pushed_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pushed_requests_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("offer_id", sa.String(length=32), nullable=False),
        sa.Column("family", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=500), nullable=True),
        sa.Column("dpop_jkt", sa.LargeBinary(), nullable=True),
        sa.Column("instance_jkt", sa.LargeBinary(), nullable=True),
        sa.Column("scope", sa.String(length=2000), nullable=True),
        sa.Column("configuration_ids", sa.JSON(), nullable=False),
        sa.Column("detailed", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("successor_digest", sa.LargeBinary(), nullable=True),
        sa.Column("rotated_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name=op.f("fk_refresh_tokens_offer_id_offers")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_refresh_tokens_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_refresh_tokens")),
    )
    with op.batch_alter_table("refresh_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_refresh_tokens_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_refresh_tokens_family"), ["family"], unique=False)
        batch_op.create_index(batch_op.f("ix_refresh_tokens_offer_id"), ["offer_id"], unique=False)

    op.create_table(
        "credential_copies",
        sa.Column("status_list_id", sa.String(length=32), nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("credential_id", sa.String(length=32), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credentials.id"], name=op.f("fk_credential_copies_credential_id_credentials")
        ),
        sa.ForeignKeyConstraint(
            ["status_list_id"], ["status_lists.id"], name=op.f("fk_credential_copies_status_list_id_status_lists")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_credential_copies_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("status_list_id", "idx", name=op.f("pk_credential_copies")),
    )
    with op.batch_alter_table("credential_copies", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_credential_copies_credential_id"), ["credential_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_credential_copies_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_credential_copies_tenant_id"), ["tenant_id"], unique=False)

    op.create_table(
        "deferred_transactions",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("offer_id", sa.String(length=32), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(length=500), nullable=True),
        sa.Column("dpop_jkt", sa.LargeBinary(), nullable=True),
        sa.Column("configuration_id", sa.String(length=100), nullable=False),
        sa.Column("sealed_request", sa.LargeBinary(), nullable=False),
        sa.Column("ready_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("handed_out_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name=op.f("fk_deferred_transactions_offer_id_offers")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_deferred_transactions_tenant_id_tenants")),
        sa.ForeignKeyConstraint(
            ["token_digest"], ["access_tokens.digest"], name=op.f("fk_deferred_transactions_token_digest_access_tokens")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_deferred_transactions")),
    )
    with op.batch_alter_table("deferred_transactions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deferred_transactions_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_deferred_transactions_offer_id"), ["offer_id"], unique=False)

    op.create_table(
        "login_sessions",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("csrf_digest", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_subject", sa.LargeBinary(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_digest"],
            ["pushed_requests.digest"],
            name=op.f("fk_login_sessions_request_digest_pushed_requests"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_login_sessions_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_login_sessions")),
    )
    with op.batch_alter_table("login_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_sessions_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_login_sessions_request_digest"), ["request_digest"], unique=False)

    op.create_table(
        "notification_handles",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.String(length=63), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("credential_id", sa.String(length=32), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["credentials.id"], name=op.f("fk_notification_handles_credential_id_credentials")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_notification_handles_tenant_id_tenants")),
        sa.ForeignKeyConstraint(
            ["token_digest"], ["access_tokens.digest"], name=op.f("fk_notification_handles_token_digest_access_tokens")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_handles")),
    )
    with op.batch_alter_table("notification_handles", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_notification_handles_token_digest"), ["token_digest"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("notification_handles", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_notification_handles_token_digest"))

    op.drop_table("notification_handles")
    with op.batch_alter_table("login_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_login_sessions_request_digest"))
        batch_op.drop_index(batch_op.f("ix_login_sessions_expires_at"))

    op.drop_table("login_sessions")
    with op.batch_alter_table("deferred_transactions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deferred_transactions_offer_id"))
        batch_op.drop_index(batch_op.f("ix_deferred_transactions_expires_at"))

    op.drop_table("deferred_transactions")
    with op.batch_alter_table("credential_copies", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_credential_copies_tenant_id"))
        batch_op.drop_index(batch_op.f("ix_credential_copies_expires_at"))
        batch_op.drop_index(batch_op.f("ix_credential_copies_credential_id"))

    op.drop_table("credential_copies")
    with op.batch_alter_table("refresh_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_refresh_tokens_offer_id"))
        batch_op.drop_index(batch_op.f("ix_refresh_tokens_family"))
        batch_op.drop_index(batch_op.f("ix_refresh_tokens_expires_at"))

    op.drop_table("refresh_tokens")
    with op.batch_alter_table("pushed_requests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_pushed_requests_expires_at"))

    op.drop_table("pushed_requests")
    with op.batch_alter_table("pre_authorized_codes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_pre_authorized_codes_offer_id"))
        batch_op.drop_index(batch_op.f("ix_pre_authorized_codes_expires_at"))

    op.drop_table("pre_authorized_codes")
    with op.batch_alter_table("offer_configurations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_offer_configurations_tenant_id"))

    op.drop_table("offer_configurations")
    with op.batch_alter_table("idempotency_records", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotency_records_offer_id"))
        batch_op.drop_index(batch_op.f("ix_idempotency_records_expires_at"))

    op.drop_table("idempotency_records")
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.drop_index("ix_credentials_tenant_id_subject_pseudonym")

    op.drop_table("credentials")
    with op.batch_alter_table("authorization_codes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_authorization_codes_offer_id"))
        batch_op.drop_index(batch_op.f("ix_authorization_codes_expires_at"))

    op.drop_table("authorization_codes")
    with op.batch_alter_table("access_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_tokens_refresh_family"))
        batch_op.drop_index(batch_op.f("ix_access_tokens_offer_id"))
        batch_op.drop_index(batch_op.f("ix_access_tokens_expires_at"))
        batch_op.drop_index(batch_op.f("ix_access_tokens_code_digest"))

    op.drop_table("access_tokens")
    with op.batch_alter_table("used_nonces", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_used_nonces_expires_at"))

    op.drop_table("used_nonces")
    with op.batch_alter_table("used_jtis", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_used_jtis_expires_at"))

    op.drop_table("used_jtis")
    with op.batch_alter_table("status_lists", schema=None) as batch_op:
        batch_op.drop_index("ix_status_lists_tenant_id_open")

    op.drop_table("status_lists")
    with op.batch_alter_table("offers", schema=None) as batch_op:
        batch_op.drop_index("ix_offers_tenant_id_subject_pseudonym")
        batch_op.drop_index("ix_offers_tenant_id_state_expires_at")

    op.drop_table("offers")
    with op.batch_alter_table("api_clients", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_clients_tenant_id"))

    op.drop_table("api_clients")
    op.drop_table("tenants")
