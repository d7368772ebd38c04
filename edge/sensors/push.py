"""A site's own program pushes measurements over a local socket, one line of JSON each.

A refused line is answered with one line `{"refused": "..."}`; a good one with nothing. One program at a time: the
newest connection takes the place of the one before, so that a program which hangs does not keep its successor out.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import selectors
import socket
import stat
from pathlib import Path
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from edge.sensors.kinds import Source, Wiring
from edge.sensors.live import LiveSensor
from edge.sensors.measurement import BadData, decode
from edge.sensors.wired import LiveConfig
from models.errors import ConfigurationError

_LOOK_S = 0.2
_READ_BYTES = 1 << 16


class PushSource(LiveConfig, frozen=True, kw_only=True, tag="push"):
    """A program of the site's own pushes measurements over a socket of this device, one line of JSON each."""

    listen: Annotated[
        str, Meta(description='loopback "127.0.0.1:7070", or "unix:machine.sock", a path relative to this file')
    ]
    longest_line_bytes: Annotated[int, Meta(ge=1024, le=1 << 26, description="a longer line is refused")] = 1 << 22

    def placed(self, folder: Path) -> Self:
        """The same with an absolute path."""
        kind, _, path = self.listen.partition(":")
        return msgspec.structs.replace(self, listen=f"unix:{folder / path}") if kind == "unix" else self

    def open(self, wiring: Wiring) -> Source:
        """The sensor; nothing is bound before `windows`. ConfigurationError when others could reach the address."""
        return Push(self, wiring, _address(self.listen)).source()


class Push(LiveSensor):
    """Listens on one socket."""

    def __init__(self, config: PushSource, wiring: Wiring, address: str | tuple[str, int]) -> None:
        super().__init__(config, wiring)
        self._address = address
        self._longest = config.longest_line_bytes
        self._rest = bytearray()
        self._skipping = False  # the rest of a line that was too long

    def listen(self) -> None:
        """Serve one program after the other."""
        with _bound(self._address) as server, selectors.DefaultSelector() as selector:
            selector.register(server, selectors.EVENT_READ)
            program: socket.socket | None = None
            try:
                while not self.closed.is_set():
                    for key, _ in selector.select(_LOOK_S):
                        if key.fileobj is server:
                            self._part(selector, program)
                            program = self._welcome(selector, server)
                        elif key.fileobj is program and not self._hear(program):
                            self._part(selector, program)
                            program = None
                            self.lost("the program closed its connection")
            finally:
                self._part(selector, program)

    def _welcome(self, selector: selectors.BaseSelector, server: socket.socket) -> socket.socket:
        program, _ = server.accept()
        program.setblocking(False)
        selector.register(program, selectors.EVENT_READ)
        self._rest.clear()
        self._skipping = False
        self.connected()
        return program

    def _part(self, selector: selectors.BaseSelector, program: socket.socket | None) -> None:
        if program is not None:
            selector.unregister(program)
            program.close()

    def _hear(self, program: socket.socket) -> bool:
        """Take what has arrived; False at the end."""
        try:
            data = program.recv(_READ_BYTES)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._rest += line
            if not self._skipping and self._rest.strip():
                self._line(program, bytes(self._rest))
            self._rest.clear()
            self._skipping = False
        self._rest += b"" if self._skipping else rest
        if len(self._rest) > self._longest:
            self._answer(program, self._too_long())
            self._rest.clear()
            self._skipping = True
        return bool(data)

    def _line(self, program: socket.socket, line: bytes) -> None:
        try:
            if len(line) > self._longest:
                raise self._too_long()
            self.take(*decode(line))
        except BadData as e:
            self._answer(program, e)

    def _too_long(self) -> BadData:
        return BadData(f"a line is longer than {self._longest} bytes", mend="send shorter windows, or pack them")

    def _answer(self, program: socket.socket, why: BadData) -> None:
        self.refuse(why)
        with contextlib.suppress(OSError):  # a program that does not read its answers loses them
            program.send(msgspec.json.encode({"refused": str(why)}) + b"\n")


def _address(said: str) -> str | tuple[str, int]:
    kind, _, path = said.partition(":")
    if kind == "unix" and path:
        return path
    host, _, port = said.rpartition(":")
    try:
        if not ipaddress.ip_address(host.strip("[]")).is_loopback:
            raise ValueError(host)
        return host.strip("[]"), int(port)
    except ValueError as e:
        raise ConfigurationError(
            f"listen is {said!r}", mend='give a loopback address "127.0.0.1:PORT", or "unix:PATH"; others have no login'
        ) from e


def _bound(address: str | tuple[str, int]) -> socket.socket:
    if isinstance(address, tuple):
        return socket.create_server(address, family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET, backlog=4)
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(address).st_mode) and not _is_served(address):
            os.unlink(address)  # left behind by an agent that was killed
    server = socket.socket(socket.AF_UNIX)
    try:
        server.bind(address)
        os.chmod(address, 0o660)  # this user and its group, before anybody can connect
        server.listen(4)
    except OSError:
        server.close()
        raise
    return server


def _is_served(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(path) == 0
