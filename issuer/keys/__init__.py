"""The keys a tenant signs with, and the certificates that say whose they are."""
