"""What tests need beside Python: PostgreSQL, a browser, a reverse proxy, a software HSM; set up here, never by hand."""
