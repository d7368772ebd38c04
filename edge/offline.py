"""What the device does by itself, for as long as there is no cloud or for ever: records, announces, shows.

Built from the configuration; `edge.agent` starts and closes it, and gives each machine's loop its witness.
"""

# ruff: noqa: PLC0415 - a device without a page does not carry a server
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from edge.announce import Announcer
from edge.announce.event import Sender
from edge.board import Board, MachineBoard
from edge.config import EdgeConfig
from edge.machine.witness import Heard
from edge.recorder import FlightRecorder, Snapshots
from edge.types import Machine

if TYPE_CHECKING:
    from edge.board.server import PageServer

_log = structlog.get_logger()


class Offline:
    """The device's own recorder, announcer and page."""

    def __init__(self, config: EdgeConfig, store: Path, machines: int) -> None:
        """ConfigurationError when the page's port is taken or the webhook's secret cannot be read."""
        self._config = config
        self._store = store
        self._share = 1.0 / max(machines, 1)
        self._board = Board(config.device, config.site)
        self._page = self._open_page() if config.page.listen else None
        self._announcer = Announcer.of(config.announce, Sender(config.enterprise, config.site, config.device))
        self._recorders: list[FlightRecorder] = []
        self._machines: list[str] = []

    def _open_page(self) -> PageServer:
        from edge.board.server import PageServer

        return PageServer(self._board, self._config.page.listen)

    @property
    def page_address(self) -> str:
        """The page's URL; empty without one."""
        return self._page.address if self._page else ""

    def start(self) -> None:
        """Serve the page."""
        if self._page:
            self._page.start()

    def witness(self, machine: Machine, every_s: float | None) -> MachineWitness:
        """What stands beside one machine's loop."""
        self._machines.append(machine.name)
        page = self._config.page
        board = MachineBoard(machine, days=page.days if page.listen else 0, every_s=every_s or 10.0)
        if page.listen:
            self._board.add(board)
        return MachineWitness(
            machine,
            announcer=self._announcer,
            board=board if page.listen else None,
            recorder=self._recorder(machine),
            snapshots=Snapshots(self._config.records.snapshot_every_hours),
        )

    def _recorder(self, machine: Machine) -> FlightRecorder | None:
        if not self._config.flight.quota_bytes:
            return None
        folder = self._store / "flight" / machine.name
        try:
            recorder = FlightRecorder(folder, machine, self._config.flight, share=self._share)
        except OSError as e:
            _log.error("flight recorder: cannot be used, listening without it", folder=str(folder), reason=str(e))
            return None
        self._recorders.append(recorder)
        return recorder

    def close(self) -> None:
        """Tell what waits within a deadline, close the page and the files; `untold` names the rest."""
        self._announcer.close()
        if self._page:
            self._page.close()
        for recorder in self._recorders:
            recorder.close()

    def untold(self) -> dict[str, bytes]:
        """The state of the announcements after `close`, for the store."""
        return {k: v for name in self._machines for k, v in self._announcer.state(name).items()}


class MachineWitness:
    """One machine's witness; see `edge.machine.witness.Witness`."""

    def __init__(
        self,
        machine: Machine,
        *,
        announcer: Announcer,
        board: MachineBoard | None,
        recorder: FlightRecorder | None,
        snapshots: Snapshots,
    ) -> None:
        self._machine = machine
        self._announcer = announcer
        self._board = board
        self._recorder = recorder
        self._snapshots = snapshots

    def take(self, heard: Heard) -> bool:
        """Announce first, before any disk is waited for; then show and record. True when a snapshot is due."""
        for alarm in heard.alarms:
            self._announcer.announce(alarm, self._machine)
        if self._board:
            self._board.take(heard.window, heard.assessment, heard.deviation, heard.alarms, heard.limit)
        if self._recorder:
            self._recorder.take(heard.window, heard.alarms)
        return self._snapshots.due(heard.window)

    def state(self) -> dict[str, bytes]:
        """Open alarms and trend, what is to be told and kept apart, and when the last snapshot was due."""
        name = self._machine.name
        return {
            **(self._board.state() if self._board else {}),
            **({f"flight/{name}": self._recorder.state()} if self._recorder else {}),
            **self._announcer.state(name),
            f"snapshot/{name}": self._snapshots.dump(),
        }

    def restore(self, state: Callable[[str], bytes | None]) -> None:
        """Continue, each part by itself; what is not understood begins anew."""
        name = self._machine.name
        parts: dict[str, Callable[[], None]] = {"announcements": lambda: self._announcer.restore(name, state)}
        if self._board:
            parts["page"] = partial(self._board.restore, state)
        if self._recorder and (data := state(f"flight/{name}")):
            parts["flight recorder"] = partial(self._recorder.restore, data)
        if (data := state(f"snapshot/{name}")) is not None:
            parts["snapshots"] = partial(self._snapshots.load, data)
        for part, restore in parts.items():
            try:
                restore()
            except (ValueError, TypeError) as e:  # msgspec's errors are ValueErrors
                _log.error("state not understood, beginning anew", part=part, machine=name, reason=str(e))
