"""Times as people write them: ISO 8601, or seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from models.errors import RecordingRejected

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(texts: Sequence[str | None], where: Callable[[int], str]) -> NDArray[np.int64]:
    """(n,) nanoseconds; a date without a zone is UTC, a plain number is seconds. RecordingRejected names the row."""
    return np.array([_one(text, where, i) for i, text in enumerate(texts)], dtype=np.int64)


def _one(text: str | None, where: Callable[[int], str], i: int) -> int:
    try:
        return round(float(text or "") * 1e9)
    except (ValueError, OverflowError):
        pass  # no plain number: a date, or nothing that we know
    try:
        moment = datetime.fromisoformat((text or "").strip())
    except ValueError as e:
        raise RecordingRejected(
            f"{text!r} is no time", where=where(i), mend="write ISO 8601 (2026-01-31 12:00:00) or seconds"
        ) from e
    past = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return (past.days * 86_400 + past.seconds) * 1_000_000_000 + past.microseconds * 1000
