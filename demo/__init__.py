"""The demo city service and the story that `make demo` plays."""
