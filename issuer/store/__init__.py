"""Where the issuer keeps its rows: tables, engine and migrations, on SQLite or PostgreSQL."""
