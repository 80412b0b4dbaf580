"""How Alembic meets the database: on the connection that `issuer.store.migrate` hands over."""

from alembic import context

from issuer.store.tables import Row

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
