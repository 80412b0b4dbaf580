"""A simulated wallet, as a library, on the command line and over HTTP: it does what a wallet under HAIP 1.0 does.

| module | what it is |
|---|---|
| `wallet` | one wallet: its file, whom it trusts, collect and present |
| `store` | the file: keys and credentials |
| `provider` | who vouches for the wallet and its keys, and the root by which issuers can trust that |
| `transport` | HTTP: no redirects, bounded answers, https |
| `issuer_session` | how it proves to an issuer who it is; metadata |
| `collect`, `credential_request`, `credential_messages`, `received` | offer → token → credentials, checked |
| `present`, `question`, `presentation`, `answer` | question → consent → answer |
| `browser` | the login on the way |
| `status` | which credentials are still good |
| `web` | pages for a phone, and addresses for a test suite |
| `conduct` | the seam through which all passes that goes out |
| `explain`, `recording_proxy` | what a thing is, and what is wrong with it; the same for live traffic |
| `misbehaviour` | wallets that do one thing wrong, by name |
| `cli` | `stadtnachweis wallet` |

Each thing that goes out is made in a function or method of its own, apart from its sending, so that a wallet that
misbehaves differs from this one in exactly that place.
"""
