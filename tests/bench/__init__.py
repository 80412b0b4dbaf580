"""Speed as a ratio: what the cryptography alone costs, divided by what we cost, in one run on one core."""
