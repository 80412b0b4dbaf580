"""Status lists of a tenant: giving out entries that can't be linked, and publishing what became of them."""
