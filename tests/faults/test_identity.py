"""Rows 19 to 21: who has no certificate of the devices' CA runs no handler, and a certificate speaks for one device."""

from __future__ import annotations

import asyncio
import datetime
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import msgspec
import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from cloud.catalogue import tables
from cloud.config import TlsConfig
from cloud.gateway.alerts import Alerts
from cloud.gateway.rollout import Rollout
from cloud.gateway.session import Telemetry
from cloud.wiring import Cloud
from protos.forewarn.alert.v1 import alert_pb2
from protos.forewarn.alert.v1.alert_pb2_grpc import AlertServiceStub
from protos.forewarn.rollout.v1 import rollout_pb2
from protos.forewarn.rollout.v1.rollout_pb2_grpc import RolloutServiceStub
from protos.forewarn.telemetry.v1 import telemetry_pb2
from protos.forewarn.telemetry.v1.telemetry_pb2_grpc import TelemetryServiceStub
from tests.certificates import DAY, Authority, Pair
from tests.cloud.gateway.device import Device, channel_to
from tests.cloud.running import QUICK, Running, assert_exactly, play, running

METHODS = ("Stream", "Recall", "Raise", "Watch", "Report", "Fetch")
Call = Callable[[grpc.aio.Channel], Awaitable[Any]]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path, QUICK)
    yield cloud
    cloud.close()


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each handler of the gateway ran."""
    counted: Counter[str] = Counter()

    def counting(service: type, name: str) -> None:
        original = getattr(service, name)

        async def method(self: Any, *said: Any) -> Any:
            counted[name] += 1
            return await original(self, *said)

        monkeypatch.setattr(service, name, method)

    services = {Telemetry: ("Stream", "Recall"), Alerts: ("Raise",), Rollout: ("Watch", "Report", "Fetch")}
    for service, names in services.items():
        for name in names:
            counting(service, name)
    return counted


@asynccontextmanager
async def guarded(cloud: Cloud, authority: Authority, **changes: Any) -> AsyncIterator[Running]:
    """A gateway that asks for certificates of this authority."""
    folder = cloud.data
    certificate, key = changes.pop("pair", authority.gateway()).write(folder, "gateway")
    (folder / "ca.pem").write_bytes(authority.certificate)
    tls = TlsConfig(certificate=certificate, key=key, client_ca=changes.pop("client_ca", str(folder / "ca.pem")))
    async with running(cloud, config=msgspec.structs.replace(QUICK, tls=tls), **changes) as gateway:
        yield gateway


def calls(device: str, *, enterprise: str = "demo", site: str = "hall") -> dict[str, Call]:
    """One call of each method, in a device's name."""
    me = {"enterprise": enterprise, "site": site, "device": device}

    async def stream(channel: grpc.aio.Channel) -> None:
        sender = Device(device, site=site)
        connection = sender.on(channel)
        await connection.greet(enterprise=enterprise)
        await connection.send(sender.make(3))
        await connection.until(lambda: sender.done)
        await connection.finish()

    async def recall(channel: grpc.aio.Channel) -> None:
        request = telemetry_pb2.RecallRequest(**me, machines=["P-101"])
        async for _ in TelemetryServiceStub(channel).Recall(request, timeout=10):
            pass

    async def watch(channel: grpc.aio.Channel) -> None:
        async for _ in RolloutServiceStub(channel).Watch(
            rollout_pb2.WatchRequest(**me, machine_classes=["bearing"]), timeout=10
        ):
            return

    async def fetch(channel: grpc.aio.Channel) -> None:
        async for _ in RolloutServiceStub(channel).Fetch(rollout_pb2.FetchRequest(path="metadata/1.root.json")):
            return

    alert = alert_pb2.Alert(key="k", machine="P-101", change=alert_pb2.ALERT_CHANGE_RAISED)
    raised = alert_pb2.RaiseRequest(**me, epoch=7, sequence=9, alert=alert)
    report = rollout_pb2.ReportRequest(**me, bundle="b-1", state=rollout_pb2.BUNDLE_STATE_RUNNING)
    return {
        "Stream": stream,
        "Recall": recall,
        "Raise": lambda channel: AlertServiceStub(channel).Raise(raised, timeout=10),
        "Watch": watch,
        "Report": lambda channel: RolloutServiceStub(channel).Report(report, timeout=10),
        "Fetch": fetch,
    }


async def code_of(call: Awaitable[Any]) -> tuple[grpc.StatusCode, str]:
    try:
        await call
    except grpc.aio.AioRpcError as e:
        return e.code(), e.details() or ""
    return grpc.StatusCode.OK, ""


def stored(cloud: Cloud) -> int:
    """Rows that a device's calls leave in the catalogue."""
    with cloud.engine.connect() as connection:
        touched = (tables.device, tables.cursor, tables.machine, tables.alert_taken, tables.alert)
        return sum(connection.scalar(select(func.count()).select_from(t)) or 0 for t in touched)


STRANGERS: dict[str, Callable[[Authority], Pair | None]] = {
    "no certificate": lambda authority: None,
    "self-signed": lambda authority: authority.device(self_signed=True),
    "another CA": lambda authority: Authority("another CA").device(),
    "the same CA by name only": lambda authority: Authority().device(),
    "expired": lambda authority: authority.device(ends=datetime.timedelta(minutes=-1)),
    "not yet valid": lambda authority: authority.device(begins=DAY, ends=2 * DAY),
    "for servers only": lambda authority: authority.device(server_only=True),
}


def test_whoever_is_not_of_our_ca_gets_no_handshake_and_runs_no_handler(
    opened: Cloud, authority: Authority, handled: Counter[str]
):
    """Row 19, each of them at each method."""

    async def story() -> None:
        async with guarded(opened, authority) as gateway:
            for name, make in STRANGERS.items():
                async with channel_to(gateway.address, authority.material(make(authority))) as channel:
                    for method, call in calls("edge-1").items():
                        code, _ = await code_of(call(channel))
                        assert code is grpc.StatusCode.UNAVAILABLE, (name, method)
            async with channel_to(gateway.address) as channel:  # plain text at a TLS port
                assert (await code_of(calls("edge-1")["Raise"](channel)))[0] is grpc.StatusCode.UNAVAILABLE
        assert not handled
        assert stored(opened) == 0

    play(story())


def test_a_device_does_not_speak_to_a_gateway_that_another_ca_signed(opened: Cloud, authority: Authority):
    async def story() -> None:
        pair = authority.device()
        for bad in (Authority("another CA").gateway(), authority.gateway(ends=datetime.timedelta(minutes=-1))):
            async with guarded(opened, authority, pair=bad) as gateway:
                async with channel_to(gateway.address, authority.material(pair)) as channel:
                    code, said = await code_of(calls("edge-1")["Raise"](channel))
                assert (code, "CERTIFICATE_VERIFY_FAILED" in said) == (grpc.StatusCode.UNAVAILABLE, True)
        assert stored(opened) == 0

    play(story())


ANOTHERS = {
    "device": ({"device": "edge-2"}, METHODS[:5]),
    "site": ({"site": "hall 2"}, METHODS[:5]),
    "enterprise": ({"enterprise": "acme"}, METHODS),
    "enterprise that begins alike": ({"enterprise": "dem"}, METHODS),
    "nobody": ({"named": False}, METHODS),
}


@pytest.mark.parametrize("whose", ANOTHERS)
def test_a_certificate_speaks_for_no_other_device_at_any_method(opened: Cloud, authority: Authority, whose: str):
    """Row 20: every cell of certificate and method; a file of the registry is any device's of the enterprise."""
    changes, refused = ANOTHERS[whose]

    async def story() -> None:
        async with guarded(opened, authority) as gateway:
            material = authority.material(authority.device(**changes))
            async with channel_to(gateway.address, material) as channel:
                for method, call in calls("edge-1").items():
                    code, said = await code_of(call(channel))
                    if method not in refused:
                        assert code is grpc.StatusCode.NOT_FOUND, (method, said)
                        continue
                    assert code is grpc.StatusCode.PERMISSION_DENIED, (method, said)
                    assert "the certificate is of" in said
        assert stored(opened) == 0

    with capture_logs() as logs:
        play(story())
    assert sum("refused" in entry["event"] for entry in logs) == len(refused)


def test_its_own_certificate_opens_every_method_to_a_device(opened: Cloud, authority: Authority, handled: Counter[str]):
    async def story() -> None:
        async with guarded(opened, authority) as gateway:
            material = authority.material(authority.device(site="hall 1"))  # a blank needs its %20
            async with channel_to(gateway.address, material) as channel:
                codes = {m: (await code_of(c(channel)))[0] for m, c in calls("edge-1", site="hall 1").items()}
        assert codes.pop("Fetch") is grpc.StatusCode.NOT_FOUND  # there is no registry here
        assert set(codes.values()) == {grpc.StatusCode.OK}
        assert handled == dict.fromkeys(METHODS, 1)

    play(story())
    assert_exactly(opened, "edge-1", 7, range(1, 4))


def test_without_a_ca_for_devices_tls_asks_for_no_certificate(opened: Cloud, authority: Authority):
    async def story() -> None:
        async with (
            guarded(opened, authority, client_ca="") as gateway,
            channel_to(gateway.address, authority.material(None)) as channel,
        ):
            await calls("edge-1")["Stream"](channel)

    play(story())
    assert_exactly(opened, "edge-1", 7, range(1, 4))


def test_a_gateway_takes_its_renewed_certificate_without_a_restart_and_half_of_one_never(
    opened: Cloud, authority: Authority
):
    """Row 21, the gateway's side: the old pair serves while only one of the new files is there."""
    second = authority.gateway()

    async def served(gateway: Running) -> bytes:
        host, _, port = gateway.address.rpartition(":")
        return (await asyncio.to_thread(_certificate_of, host, int(port))).encode()

    async def story() -> None:
        first = authority.gateway()
        async with guarded(opened, authority, client_ca="", pair=first) as gateway:
            assert await served(gateway) == first.certificate
            (opened.data / "gateway.pem").write_bytes(second.certificate)
            assert await served(gateway) == first.certificate
            (opened.data / "gateway.key").write_bytes(second.key)
            assert await served(gateway) == second.certificate

    with capture_logs() as logs:
        play(story())
    assert [e["event"] for e in logs if "certificate" in e["event"]] == [
        "certificate not taken, the one before stays in use",
        "certificate taken",
    ]


def _certificate_of(host: str, port: int) -> str:
    import ssl

    return ssl.get_server_certificate((host, port), timeout=10)


@pytest.mark.parametrize(("address", "warned"), [("127.0.0.1:0", 0), ("localhost:0", 0), ("0.0.0.0:0", 1)])
def test_plain_text_beyond_the_loopback_is_said_once(opened: Cloud, address: str, warned: int):
    async def story() -> None:
        from cloud.gateway.server import Gateway

        gateway = Gateway(QUICK, engine=opened.engine, store=opened.store, take_alert=lambda *_: 0)
        await gateway.start(address)
        await gateway.kill()

    with capture_logs() as logs:
        play(story())
    assert sum(entry["event"] == "plain text" for entry in logs) == warned
