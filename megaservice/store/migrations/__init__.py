"""Alembic's revisions of the database; store/database.py runs them."""
