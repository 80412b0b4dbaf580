"""What all of the issuer's HTTP faces share: limits, security headers, errors, and the way to the running service."""
