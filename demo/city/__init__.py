"""A city service that embeds the verifier: an online application and a counter."""
