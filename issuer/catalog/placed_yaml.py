"""The catalogue's files are read by `specs.encoding.placed_yaml`; a finding in one of them is a `CatalogError` here."""

from specs.encoding.placed_yaml import FileInvalid as CatalogError
from specs.encoding.placed_yaml import parse_model

__all__ = ["CatalogError", "parse_model"]
