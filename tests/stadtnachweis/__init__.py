"""Tests of the one program."""
