"""Limits of JSON documents: how much memory a document takes when it is parsed, and how deep it is nested."""

from typing import Any

import orjson

# Deeper documents are rejected. orjson writes up to ORJSON_DEPTH levels, and a message adds some around a record.
MAX_DEPTH = 200
ORJSON_DEPTH = 254
# The bytes that an element takes at most, by the character that it needs. Measured with orjson 3.13 and Python 3.11:
# 190 for an object with one key, 82 for a list with one number, 108 for a short string after a comma.
OBJECT_BYTES, LIST_BYTES, ELEMENT_BYTES = 208, 96, 120
# The text, and its copy while it is parsed or written. A character takes four bytes if its string has an emoji.
COPIES = 2
ASCII_WIDTH, LARGEST_WIDTH = 1, 4

_STRUCTURE = b"{}[],"
_NO_STRUCTURE = bytes(set(range(256)) - set(_STRUCTURE))
# Levels of brackets that are removed before the depth is measured exactly. Real documents have fewer.
_USUAL_DEPTH = 16


class JsonSize:
    """The size of a JSON document that is read in chunks.

    Attributes:
        length: the bytes so far.
    """

    def __init__(self) -> None:
        self.length = 0
        self._width = ASCII_WIDTH
        self._last = b""
        self._elements = 0
        self._structure = bytearray()

    def add(self, chunk: bytes) -> None:
        structure = chunk.translate(None, _NO_STRUCTURE)
        self.length += len(chunk)
        self._structure += structure
        self._elements += OBJECT_BYTES * structure.count(b"{")
        self._elements += LIST_BYTES * structure.count(b"[")
        self._elements += ELEMENT_BYTES * structure.count(b",")
        if self._width == ASCII_WIDTH and (
            not chunk.isascii() or b"\\u" in chunk or (self._last == b"\\" and chunk[:1] == b"u")
        ):
            self._width = LARGEST_WIDTH
        self._last = chunk[-1:]

    @property
    def memory(self) -> int:
        """The bytes that the document takes at most: its text, its parsed values, and its values as text again.

        Brackets and commas inside strings count too.
        """
        return self.length * (COPIES + self._width) + self._elements

    @property
    def is_shallow(self) -> bool:
        """Whether the document is certainly nested less than `MAX_DEPTH` levels. It is cheap; False decides nothing."""
        brackets = bytes(self._structure).replace(b",", b"")
        for _ in range(_USUAL_DEPTH):
            if len(brackets) < 2 * MAX_DEPTH:
                return True
            brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
        return len(brackets) < 2 * MAX_DEPTH


def is_too_deep(document: Any) -> bool:
    """Whether a parsed document is nested more than `MAX_DEPTH` levels."""
    for _ in range(ORJSON_DEPTH - MAX_DEPTH):
        document = [document]
    try:
        orjson.dumps(document)
    except orjson.JSONEncodeError:
        return True
    return False
