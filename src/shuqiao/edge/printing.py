"""Showing on a terminal or in a log what a source wrote: nothing of it may pass for a line or a command."""


def printable(text: str) -> str:
    """Return the text on one line, with what can't be seen spelled out."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
