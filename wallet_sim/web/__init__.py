"""The simulated wallet over HTTP: pages for a phone, or addresses that a test suite calls.

| module | what it is |
|---|---|
| `settings` | the YAML file: wallets, whom they trust, what is in them |
| `app` | the application, on 127.0.0.1 |
| `attended`, `flows` | pages for a person; an offer or a question while that person decides |
| `page_questions` | what web pages ask through the browser, by the page script |
| `forms` | what pages send back |
| `unattended` | pages for a phone, or addresses that a test suite calls instead of a person |
| `pages` | how pages look and what headers they have |
"""
