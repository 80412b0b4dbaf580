"""The demonstration: an issuer, a city service and a wallet on one machine, and the story that they play."""
