"""Ids and the numbers behind invented records.

An id looks as the API's do (a ULID: ten characters of time, sixteen of entropy), but carries the
index of its record, so that no list needs a table from id to record however long it is.
"""

from __future__ import annotations

MASK64 = (1 << 64) - 1
_FLAT_BITS = 52
_FLAT_MASK = (1 << _FLAT_BITS) - 1
_ODD = 0x9E3779B97F4A7  # odd, so multiplying by it is one to one modulo 2**52
_INVERSE = pow(_ODD, -1, 1 << _FLAT_BITS)
_CHECK_MASK = (1 << 28) - 1

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_VALUES = {char: value for value, char in enumerate(_ALPHABET)}


def mix(number: int) -> int:
    """Spread a number over 64 bits (splitmix64): the same number always gives the same bits."""
    x = (number + 0x9E3779B97F4A7C15) & MASK64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK64
    return x ^ (x >> 31)


def salt_of(seed: int, name: str) -> int:
    """A number that stands for one list of one company."""
    number = mix(seed)
    for byte in name.encode():
        number = mix(number ^ byte)
    return number


def make_id(salt: int, flat: int, at_ms: int) -> str:
    """The id of record `flat` of the list that `salt` stands for, created at `at_ms`."""
    scrambled = ((flat * _ODD) + salt) & _FLAT_MASK
    number = (at_ms << 80) | ((mix(salt ^ (flat * 0x10001)) & _CHECK_MASK) << _FLAT_BITS) | scrambled
    pairs = _PAIRS
    return "".join([pairs[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def flat_of(salt: int, record_id: str) -> int | None:
    """The index that `make_id` was given; None when the id is not of this list."""
    if len(record_id) != 26:
        return None
    number = 0
    for char in record_id[10:]:
        value = _VALUES.get(char)
        if value is None:
            return None
        number = (number << 5) | value
    flat = (((number & _FLAT_MASK) - salt) * _INVERSE) & _FLAT_MASK
    if number >> _FLAT_BITS != mix(salt ^ (flat * 0x10001)) & _CHECK_MASK:
        return None
    return flat
