"""Stores for transactions that outlive a process; each behind its own extra."""
