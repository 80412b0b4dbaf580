"""The library that checks presentations."""
