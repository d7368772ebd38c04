"""The error tree, grouped by who must act.

ForewarnError               every error that a person reads: what, where, what to do
├── WrongUse                the caller: a wrong option, file or key (exit code 2)
│   ├── ConfigurationError  the integrator: a key of the site's file
│   └── RecordingRejected   whoever made the recording: one file is unusable, the others go on
├── BundleRejected          the data scientist: a model is refused, the old one keeps serving
├── Unavailable             nobody: it mends itself, the caller tries again
└── DataInsufficient        the data scientist: training has too little to learn from; no model is made
"""

from __future__ import annotations


class ForewarnError(Exception):
    """What went wrong, where, and what to do about it: one sentence each, `where` and `mend` may be empty."""

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what = what
        self.where = where
        self.mend = mend
        super().__init__(": ".join(part for part in (where, what) if part) + (f" ({mend})" if mend else ""))


class WrongUse(ForewarnError):
    """The command or its input is wrong; nothing was changed."""


class ConfigurationError(WrongUse):
    """A configuration file is wrong; `where` is the file and the key's path."""


class RecordingRejected(WrongUse):
    """A recording cannot be used; `where` is the file (and row)."""


class BundleRejected(ForewarnError):
    """A bundle is refused; what served before keeps serving."""


class Unavailable(ForewarnError):
    """The other side is away for now; trying again later mends it."""


class DataInsufficient(ForewarnError):
    """Training refuses: what is missing is said in `what`."""
