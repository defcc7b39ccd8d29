"""Conversations and their turns in SQLite or PostgreSQL."""

from megaservice.store.database import database_url, open_database
from megaservice.store.sql import SQLStore

__all__ = ["SQLStore", "database_url", "open_database"]
