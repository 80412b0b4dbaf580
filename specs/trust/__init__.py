"""Whom to believe? Certificates, their profiles and the paths to an anchor."""
