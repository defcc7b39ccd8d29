"""The tables as the newest revision in migrations/ leaves them; tests/test_store.py holds the two together.

Times are milliseconds since 1970 (UTC), which both databases sort and keep exactly.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

conversations = Table(
    "conversations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("title", Text, nullable=False),
    Column("language", String(8), nullable=False),
    Column("hsk_level", Integer),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("hsk_standard", String(8), nullable=False, server_default="2025"),
    Index("conversations_by_use", "updated_at_ms", "id"),
)

turns = Table(
    "turns",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),  # in the order of their start
    Column("id", String(64), nullable=False, unique=True),
    Column("conversation_id", String(64), ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("message", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("language", String(8), nullable=False),
    Column("hsk_level", Integer),
    Column("voice", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("events", Text, nullable=False),  # a line each: name, space, JSON; behind all that a search reads
    Column("hsk_standard", String(8), nullable=False, server_default="2025"),
    Index("turns_of_conversation", "conversation_id", "number"),
)
