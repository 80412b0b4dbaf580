"""The verifier: verdicts, and what must never become one."""
