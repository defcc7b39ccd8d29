"""The word list that a turn's level is of."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("conversations", "turns"):
        op.add_column(table, sa.Column("hsk_standard", sa.String(8), nullable=False, server_default="2025"))
