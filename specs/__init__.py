"""The standards in code: one module per standard, pure, no input or output."""
