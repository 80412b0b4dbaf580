"""Tests of the target that the suite's verifier plans are run against."""
