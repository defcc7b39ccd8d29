"""Translations of sentences, and saved words, which outlive the conversation that they were met in."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "translations",
        sa.Column("turn_id", sa.String(64), sa.ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("sentence_index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
    )
    op.create_table(
        "words",
        sa.Column("word", sa.String(32), primary_key=True),
        sa.Column("standard", sa.String(8), nullable=False),
        sa.Column("pinyin", sa.Text),
        sa.Column("level", sa.Integer),
        sa.Column("gloss", sa.Text),
        sa.Column("sentence", sa.Text),
        sa.Column("turn_id", sa.String(64)),
        sa.Column("sentence_index", sa.Integer),
        sa.Column("saved_at_ms", sa.BigInteger, nullable=False),
        sa.Column("search", sa.Text, nullable=False),
    )
    op.create_index("words_by_time", "words", ["saved_at_ms", "word"])
