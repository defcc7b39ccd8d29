"""Alembic's entry: runs the revisions on the connection it is handed, within that connection's transaction."""

from alembic import context

from megaservice.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite's too, as database.py begins the transaction itself
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
