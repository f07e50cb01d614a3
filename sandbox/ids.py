"""Ids of invented records, and the pseudo-random numbers that decide their values.

An id looks like the API's (a ULID: ten characters of time, sixteen of entropy). It contains the
number of its record, so no list needs a table from id to record.
"""

from __future__ import annotations

MASK64 = (1 << 64) - 1
_NUMBER_BITS = 52
_NUMBER_MASK = (1 << _NUMBER_BITS) - 1
_ODD = 0x9E3779B97F4A7  # odd, so multiplication by it is a bijection modulo 2**52
_INVERSE = pow(_ODD, -1, 1 << _NUMBER_BITS)
_CHECK_MASK = (1 << 28) - 1

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_VALUES = {char: value for value, char in enumerate(_ALPHABET)}


def mix(number: int) -> int:
    """Hash a number to 64 bits (splitmix64)."""
    x = (number + 0x9E3779B97F4A7C15) & MASK64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK64
    return x ^ (x >> 31)


def make_salt(seed: int, name: str) -> int:
    """A 64-bit number for a seed and the name of a list."""
    number = mix(seed)
    for byte in name.encode():
        number = mix(number ^ byte)
    return number


def hash_text(text: str) -> int:
    """Hash a text to 64 bits, the same in every process."""
    return make_salt(7, text)


def make_id(salt: int, number: int, at_ms: int) -> str:
    """The id of a list's record `number`, created at `at_ms`. `salt` belongs to the list."""
    scrambled = ((number * _ODD) + salt) & _NUMBER_MASK
    bits = (at_ms << 80) | ((mix(salt ^ (number * 0x10001)) & _CHECK_MASK) << _NUMBER_BITS) | scrambled
    pairs = _PAIRS
    return "".join([pairs[(bits >> shift) & 1023] for shift in range(120, -1, -10)])


def number_from_id(salt: int, record_id: str) -> int | None:
    """The number that `make_id` was given; None if the id does not belong to this list."""
    if len(record_id) != 26:
        return None
    bits = 0
    for char in record_id[10:]:
        value = _VALUES.get(char)
        if value is None:
            return None
        bits = (bits << 5) | value
    number = (((bits & _NUMBER_MASK) - salt) * _INVERSE) & _NUMBER_MASK
    if bits >> _NUMBER_BITS != mix(salt ^ (number * 0x10001)) & _CHECK_MASK:
        return None
    return number
