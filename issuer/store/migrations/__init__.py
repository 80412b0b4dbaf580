"""The history of the issuer's tables, one step a file; the same steps on SQLite and PostgreSQL."""
