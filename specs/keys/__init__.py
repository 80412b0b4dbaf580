"""Which key? JOSE and COSE keys, signatures and encryption, and the signer that callers hold."""
