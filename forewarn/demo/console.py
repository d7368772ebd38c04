"""Says what the demo is doing: one line as each leg of the loop begins and one when it is done, with its seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click


class Console:
    """Prints the legs and remembers how long each took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.monotonic()

    @contextmanager
    def leg(self, name: str, what: str) -> Iterator[None]:
        """Announce a leg; time it; its lines in between are indented."""
        click.secho(f"[{time.monotonic() - self._start:5.0f} s] {name:<9} {what}", bold=True)
        begin = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - begin, 2)

    def say(self, line: str) -> None:
        """Print a fact that belongs to the leg in progress."""
        click.echo(f"                    {line}")

    def warn(self, line: str) -> None:
        """Print what somebody should mend; the demo goes on."""
        click.secho(f"                    {line}", fg="yellow")
