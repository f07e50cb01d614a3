"""Tells by a field's name whether the field holds a credential.

The rule is for fields that no schema declares. A declared field is emitted, or its stream's declaration withholds it.

A name is split into words: `apiKey`, `api-key` and `API_KEY` are all `api key`. The words are compared in the singular.

- A name that has one of `WORDS` holds a credential, and so does one that ends in one of them without a separator.
- A name that has one of `PHRASES` holds a credential. `key` alone is not enough: most keys of this API identify
  something, for example `sort_key`, `catalog_type_key`, `deduplication_key` and `idempotency_key`.
- A webhook's address is a credential: whoever has it can call the webhook. The word can be in the name of the object
  that holds the field.
- A name that says something about a credential holds none: `token_last_issued_at`, `secret_id`, `has_password`.
"""

import re
from functools import lru_cache

WORDS = frozenset(
    {
        "authorisation", "authorization", "bearer", "cookie", "credential", "dsn", "hmac", "jwt", "otp", "passcode",
        "passphrase", "passwd", "password", "pwd", "secret", "signature", "token", "totp",
    }
)  # fmt: skip
# Endings of words that are written without separators: `accesstoken`.
ENDINGS = ("apikey", "credential", "passwd", "password", "privatekey", "secret", "secretkey", "signature", "token")
PHRASES = frozenset(
    {
        ("access", "key"), ("account", "key"), ("api", "key"), ("app", "key"), ("application", "key"),
        ("auth", "key"), ("client", "key"), ("encryption", "key"), ("ingest", "key"), ("ingestion", "key"),
        ("integration", "key"), ("license", "key"), ("master", "key"), ("private", "key"), ("routing", "key"),
        ("secret", "key"), ("service", "key"), ("session", "key"), ("shared", "key"), ("signing", "key"),
        ("ssh", "key"), ("webhook", "key"), ("write", "key"),
        ("auth", "header"), ("basic", "auth"), ("connection", "string"), ("connection", "uri"), ("connection", "url"),
        ("backup", "code"), ("pin", "code"), ("recovery", "code"), ("verification", "code"),
        ("event", "url"), ("magic", "link"), ("ping", "url"), ("presigned", "url"), ("reset", "link"),
        ("signed", "link"), ("signed", "uri"), ("signed", "url"), ("temporary", "url"),
    }
)  # fmt: skip
ADDRESSES = frozenset({"address", "endpoint", "link", "uri", "url"})
# A name that ends or begins with one of these describes a credential.
LAST_WORDS = frozenset(
    {
        "algorithm", "at", "count", "enabled", "expiration", "expiry", "id", "ids", "method", "name", "state", "status",
        "ttl", "type", "version",
    }
)  # fmt: skip
FIRST_WORDS = frozenset({"allow", "can", "has", "is", "max", "min", "need", "require", "total", "use"})

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@lru_cache(maxsize=10_000)
def names_credential(name: str, parent: str = "") -> bool:
    """Return whether a field holds a credential, by its name.

    Args:
        name: the field's name.
        parent: the name of the object that has the field; empty for a field of a record.
    """
    words = _words(name)
    if not words or words[-1] in LAST_WORDS or words[0] in FIRST_WORDS:
        return False
    return (
        not WORDS.isdisjoint(words)
        or any(word.endswith(ENDINGS) for word in words)
        or any(words[start : start + 2] in PHRASES for start in range(len(words) - 1))
        or _is_webhook_address(words, _words(parent))
    )


def _is_webhook_address(words: tuple[str, ...], parent: tuple[str, ...]) -> bool:
    if "webhook" in words:
        return words[-1] == "webhook" or words[-1] in ADDRESSES
    return "webhook" in parent and words[-1] in ADDRESSES


def _words(name: str) -> tuple[str, ...]:
    return tuple(_singular(word.lower()) for word in _WORD.findall(name))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us")) else word
