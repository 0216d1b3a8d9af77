"""The one error that a user is meant to read: the thing, what was found, what is allowed."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A bad file, flag, message or number, told in one line; commands print it and exit with 1."""


class WriteError(UserError):
    """What cannot be written, as on a full disk."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known name closest to `word`, or nothing."""
    matches = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{matches[0]}'?" if matches else ''
