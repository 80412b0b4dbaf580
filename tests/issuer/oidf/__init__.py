"""Tests of the target that the OpenID Foundation's suite is run against."""
