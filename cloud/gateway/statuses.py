"""Which gRPC status an error of ours becomes: one table, because devices decide by it whether trying again can help."""

from __future__ import annotations

from typing import NoReturn

import grpc
import grpc.aio

from cloud.alerts.types import NumberReused
from models.errors import ForewarnError, Unavailable, WrongUse


class Refused(WrongUse):
    """The caller may not do this here."""


class Replaced(ForewarnError):
    """A newer session of the same device and epoch holds the stream: this one is ended, and nothing of it is stored."""


class VersionMismatch(WrongUse):
    """The two sides speak no common version of the protocol."""


class Overloaded(Unavailable):
    """The gateway's memory is full, because what is behind it is slow or away."""


_STATUS: dict[type[ForewarnError], grpc.StatusCode] = {
    Refused: grpc.StatusCode.PERMISSION_DENIED,
    Replaced: grpc.StatusCode.ABORTED,
    NumberReused: grpc.StatusCode.ALREADY_EXISTS,
    VersionMismatch: grpc.StatusCode.FAILED_PRECONDITION,
    WrongUse: grpc.StatusCode.INVALID_ARGUMENT,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
}


def status_of(error: ForewarnError) -> grpc.StatusCode:
    """Return the status of the nearest class in the table."""
    return next((_STATUS[c] for c in type(error).__mro__ if c in _STATUS), grpc.StatusCode.INTERNAL)


async def abort(context: grpc.aio.ServicerContext, error: ForewarnError) -> NoReturn:  # type: ignore[type-arg]
    """End the call with the error's status and its sentence."""
    await context.abort(status_of(error), str(error))
    raise AssertionError("abort raises")
