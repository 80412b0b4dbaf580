"""Tests of the suite that judges targets by their address."""
