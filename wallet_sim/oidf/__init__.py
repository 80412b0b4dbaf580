"""A wallet that the conformance suite of the OpenID Foundation can test without a person: `wallet --profile oidf`.

`identities` makes who issues and who asks, for the suite to play; `plan` what a plan's configuration says of them;
`target` starts it all.
"""
