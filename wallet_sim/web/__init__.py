"""The simulated wallet over HTTP: addresses that a test suite calls.

| module | what it is |
|---|---|
| `settings` | the YAML file: wallets, whom they trust, what is in them |
| `app` | the application, on 127.0.0.1 |
| `unattended` | addresses that a test suite calls instead of a person |
| `pages` | how pages look and what headers they have |
"""
