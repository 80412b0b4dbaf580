"""What tests need beside Python: a PostgreSQL server, a browser, a reverse proxy, a software HSM; set up here, never by hand."""
