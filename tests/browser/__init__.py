"""Pages in a real browser: accessible, usable by keyboard alone, calling nobody."""
