"""One file a check: each takes what the one before let pass, and refuses with one reason."""
