"""Tests of certificates, paths and anchors."""
