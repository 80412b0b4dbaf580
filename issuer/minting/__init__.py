"""Claims and holder keys become signed credentials; one module a format, batches signed in one call."""
