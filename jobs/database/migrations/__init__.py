"""The store's schema, step by step: one file a version, run by Alembic when a store is opened."""
