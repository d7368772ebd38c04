"""Which keys a store accepts: checked in one place, before a path or a request is made of them."""

from __future__ import annotations

LONGEST = 400


def check_key(key: str) -> str:
    """Return `key`, or raise `ValueError` when it is not a safe relative key."""
    if not 0 < len(key) <= LONGEST:
        raise ValueError(f"a key has 1 to {LONGEST} characters, this one {len(key)}")
    if not (key.isascii() and key.isprintable()) or "\\" in key:
        raise ValueError(f"a key is printable ASCII without backslashes: {key!r}")
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise ValueError(f"a key has no empty part, no `.` and no `..`: {key!r}")
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix`, or raise `ValueError`; an empty prefix and a trailing slash are fine."""
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix
