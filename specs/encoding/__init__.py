"""How bytes become values: strict readers and compact writers for base64url, JSON and CBOR."""


class Malformed(ValueError):
    """The bytes are not an encoding of what they should be. The message names the rule, never the content."""
