"""What others say, fit for a terminal."""


def plain(text: str) -> str:
    """One line of text, without anything that a terminal would obey: it could rewrite what a person is asked."""
    return "".join(each if each.isprintable() else "�" for each in text)
