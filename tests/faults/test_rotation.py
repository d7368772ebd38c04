"""Row 21: while a device's certificate is renewed, the old or the new one works at each step, and nothing is lost."""

from __future__ import annotations

import asyncio
import datetime
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from cloud.config import TlsConfig
from cloud.gateway.session import Telemetry
from cloud.wiring import Cloud
from models.certificates import CertificateFiles
from tests.certificates import Authority, Pair
from tests.cloud.running import QUICK, in_lake, play, running
from tests.edge.device_simulator import DeviceSimulator
from tests.faults.proxy import FaultProxy

Logs = list[Any]


class Site:
    """A gateway that asks for certificates, a device behind a proxy, and what the gateway saw of it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs) -> None:
        self.folder = folder
        self.authority = Authority()
        self.logs = logs
        self.hellos: list[tuple[bytes, int]] = []  # (certificate, connections open at that moment)
        self.proxy = FaultProxy(0)
        monkeypatch.setattr(Telemetry, "Stream", self._watching(Telemetry.Stream))
        (folder / "ca.pem").write_bytes(self.authority.certificate)
        certificate, key = self.authority.gateway().write(folder, "gateway")
        tls = TlsConfig(certificate=certificate, key=key, client_ca=str(folder / "ca.pem"))
        self.cloud = Cloud(folder, msgspec.structs.replace(QUICK, tls=tls))

    def _watching(self, original: Any) -> Any:
        async def stream(service: Telemetry, requests: Any, context: Any) -> None:
            self.hellos.append((context.auth_context()["x509_pem_cert"][0], len(self.proxy._writers) // 2))
            await original(service, requests, context)

        return stream

    def certificate(self, **changes: Any) -> Pair:
        return self.authority.device("dev-1", site="demo", **changes)

    def device(self, pair: Pair) -> DeviceSimulator:
        certificate, key = pair.write(self.folder, "device")
        files = CertificateFiles(ca=str(self.folder / "ca.pem"), certificate=certificate, key=key)
        return DeviceSimulator(self.folder / "edge", [self.proxy.address], certificates=files)

    def said(self, event: str) -> int:
        return sum(entry["event"] == event for entry in self.logs)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with capture_logs() as logs:
        made = Site(tmp_path, monkeypatch, logs)
        yield made
    made.proxy.close()
    made.cloud.close()


def until(true: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def with_gateway(site: Site, story: Callable[[], None]) -> None:
    """Run the story in a thread beside the gateway, and compare what is stored with what was made."""

    async def run() -> None:
        async with running(site.cloud, config=site.cloud.config) as gateway:
            site.proxy.port = int(gateway.address.rpartition(":")[2])
            await asyncio.to_thread(story)

    play(run())


@contextmanager
def delivering(site: Site, pair: Pair) -> Iterator[Callable[[], None]]:
    """A connected device; calling what is given measures a little more and waits until it is stored."""
    device = site.device(pair)
    device.connect()

    def deliver() -> None:
        device.append(5)
        until(lambda: device.outbox.kept_bytes == 0)

    try:
        yield deliver
    finally:
        device.close()
        made = {("dev-1", epoch, n): 1 for epoch, n in device.produced}
        assert in_lake(site.cloud) == made


def test_the_next_channel_is_open_before_the_old_one_closes(site: Site):
    first, second = site.certificate(), site.certificate()

    def story() -> None:
        with delivering(site, first) as deliver:
            deliver()
            (site.folder / "device.pem").write_bytes(second.certificate)  # and the renewal dies here
            until(lambda: site.said("certificate not taken, the one before stays in use") == 1)
            deliver()
            assert len(site.hellos) == 1
            (site.folder / "device.key").write_bytes(second.key)
            until(lambda: len(site.hellos) == 2)
            deliver()
            until(lambda: len(site.proxy._writers) == 2)
        assert site.hellos == [(first.certificate, 1), (second.certificate, 2)]
        assert site.said("not connected, trying again") == 0

    with_gateway(site, story)


def test_a_certificate_that_no_gateway_takes_leaves_the_old_one_in_use_also_over_a_broken_link(site: Site):
    first, bad, good = site.certificate(), Authority("another CA").device("dev-1", site="demo"), site.certificate()

    def story() -> None:
        with delivering(site, first) as deliver:
            deliver()
            bad.write(site.folder, "device")
            until(lambda: site.said("the gateway does not take the new certificate, the old one stays in use") == 1)
            deliver()
            site.proxy.reset()
            deliver()
            good.write(site.folder, "device")
            until(lambda: site.hellos[-1][0] == good.certificate)
            deliver()
        assert {certificate for certificate, _ in site.hellos} == {first.certificate, good.certificate}

    with_gateway(site, story)


def test_a_device_whose_certificate_expired_comes_back_by_itself_with_the_next_one(site: Site):
    expired, next_one = site.certificate(ends=datetime.timedelta(minutes=-1)), site.certificate()

    def story() -> None:
        device = site.device(expired)
        device.append(5)
        device.connect()
        until(lambda: site.said("not connected, trying again") >= 1)
        assert not site.hellos
        next_one.write(site.folder, "device")
        until(lambda: device.outbox.kept_bytes == 0)
        device.close()
        assert [certificate for certificate, _ in site.hellos] == [next_one.certificate]

    with_gateway(site, story)


def test_a_device_without_its_files_keeps_what_it_measures_until_they_are_there(site: Site):
    pair = site.certificate()

    def story() -> None:
        device = site.device(pair)
        os.rename(site.folder / "device.key", site.folder / "aside")
        device.append(5)
        device.connect()
        until(lambda: site.said("not connected, trying again") >= 1)
        os.rename(site.folder / "aside", site.folder / "device.key")
        until(lambda: device.outbox.kept_bytes == 0)
        device.close()
        (reason,) = {e["reason"] for e in site.logs if e["event"] == "not connected, trying again"}
        assert "device.key: cannot be read: No such file" in reason

    with_gateway(site, story)
