"""Says in plain words what a thing of the field is, and what is wrong with it; whatever it is given.

| module | what it is |
|---|---|
| `thing` | finds out what a text or bytes are, and has them explained |
| `explanation` | what is said: kind, facts, findings; in German and English |
| `links` | offers and questions: their links and JSON texts |
| `questions` | what a question asks for, and what its asker is registered to ask |
| `jwt` | tokens by their `typ`: what they must hold, and the clause that says so |
| `sd_jwt`, `mdoc` | credentials and presentations |
| `cwt`, `lists` | tokens in CBOR; status lists and lists of trusted entities |
| `certificates`, `trust` | X.509; whether it leads to somebody whom the asker trusts |
"""
