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

translations = Table(
    "translations",
    metadata,
    Column("turn_id", String(64), ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    Column("sentence_index", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    Column("model", Text, nullable=False),
)

words = Table(
    "words",
    metadata,
    Column("word", String(32), primary_key=True),
    Column("standard", String(8), nullable=False),
    Column("pinyin", Text),
    Column("level", Integer),
    Column("gloss", Text),
    Column("sentence", Text),
    Column("turn_id", String(64)),  # no foreign key: a word outlives its conversation
    Column("sentence_index", Integer),
    Column("saved_at_ms", BigInteger, nullable=False),
    Column("search", Text, nullable=False),  # all that a search looks into
    Index("words_by_time", "saved_at_ms", "word"),
)
