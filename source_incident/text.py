"""Text of other programs, made safe for a terminal and for a log."""

import unicodedata

# The longest text of a message, in characters.
MAX_CHARACTERS = 10_000


def escape(text: str) -> str:
    """Escape control characters, line breaks and invisible characters, as in `\\x1b`, `\\n` and `\\u202e`.

    A terminal would obey them, and a line break would start a forged log line. Spaces of all kinds stay.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or unicodedata.category(character) == "Zs" else _escape(character)
        for character in text
    )


def shorten(text: str) -> str:
    """Cut a text that is too long for a message."""
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]} ..."


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
