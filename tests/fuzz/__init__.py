"""Coverage-guided fuzzing of every parser that meets hostile bytes: only our own errors, bounded time and memory."""
