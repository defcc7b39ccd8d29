"""Conversations and their turns in SQLite or PostgreSQL."""

from megaservice.store.database import open_database
from megaservice.store.sql import SQLStore

__all__ = ["SQLStore", "open_database"]
