"""Tests of who can log in."""
