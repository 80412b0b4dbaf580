"""Drives a running conformance suite of the OpenID Foundation through its plans and writes down what it says.

The suite itself is started elsewhere; nothing here knows how. A target (`stadtnachweis issuer --profile oidf`,
`stadtnachweis verifier --profile oidf`) says in the document that it prints what plans need to know of it.
"""
