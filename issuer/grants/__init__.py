"""What lets a wallet collect: offers opened by reference, codes, tokens, client authentication.

Nothing here knows a web framework. What must have one winner is one statement, so that any number of workers may share
the database.
"""
