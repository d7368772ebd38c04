"""Alerts up, and models and the crew's answers down."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import grpc.aio
import pytest
from sqlalchemy import insert, select, update

from cloud.catalogue import tables as t
from cloud.gateway.alerts import read_alert
from cloud.wiring import Cloud
from models.errors import WrongUse
from protos.forewarn.alert.v1 import alert_pb2, alert_pb2_grpc
from protos.forewarn.rollout.v1 import rollout_pb2 as pb
from protos.forewarn.rollout.v1 import rollout_pb2_grpc
from tests.cloud.running import Running, eventually, play, running

ME = {"enterprise": "demo", "site": "hall", "device": "edge-1"}


def change(cloud: Cloud, statement: Any, **values: Any) -> None:
    with cloud.engine.begin() as connection:
        connection.execute(statement.values(**values))


def assign(cloud: Cloud, bundle: str) -> None:
    values = {"enterprise": "demo", "machine_class": "bearing", "bundle": bundle, "previous": "", "changed_ns": 1}
    change(cloud, insert(t.assignment), **values)


def watch(channel: grpc.aio.Channel, classes: tuple[str, ...] = ("bearing",)) -> Any:
    return rollout_pb2_grpc.RolloutServiceStub(channel).Watch(
        pb.WatchRequest(**ME, machine_classes=classes), timeout=20
    )


async def next_assignment(call: Any) -> str:
    return (await call.read()).assignment.bundle


def test_a_device_hears_at_once_what_is_assigned_and_then_each_change(opened: Cloud):
    assign(opened, "bearing-1")

    async def story() -> None:
        async with running(opened) as gateway, grpc.aio.insecure_channel(gateway.address) as channel:
            call = watch(channel)
            assert await next_assignment(call) == "bearing-1"
            begin = time.monotonic()
            change(opened, update(t.assignment), bundle="bearing-2")
            assert await next_assignment(call) == "bearing-2"
            assert time.monotonic() - begin < 2
            await gateway.gateway.stop(within_s=2)
            assert await call.read() is grpc.aio.EOF

    play(story())


def test_a_device_without_an_assignment_hears_that_it_has_none_until_there_is_one(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway, grpc.aio.insecure_channel(gateway.address) as channel:
            call = watch(channel)
            assert await next_assignment(call) == ""
            assign(opened, "bearing-1")
            assert await next_assignment(call) == "bearing-1"

    play(story())


def test_a_command_reaches_its_device_once_and_no_other(opened: Cloud):
    order = {**ME, "machine": "P-101", "kind": "acknowledge", "alert_key": "k1", "created_ns": 1}

    async def story() -> None:
        async with running(opened) as gateway, grpc.aio.insecure_channel(gateway.address) as channel:
            change(opened, insert(t.command), **{**order, "device": "edge-2", "alert_key": "other"})
            change(opened, insert(t.command), **order)
            first = await watch(channel, ()).read()
            said = first.command
            assert (said.machine, said.kind, said.alert_key) == ("P-101", pb.COMMAND_KIND_ACKNOWLEDGE, "k1")

            def delivered() -> bool:
                with opened.engine.connect() as connection:
                    rows = connection.execute(select(t.command)).all()
                return {r.device: r.delivered_ns is not None for r in rows} == {"edge-1": True, "edge-2": False}

            await eventually(delivered)
            again = asyncio.create_task(watch(channel, ()).read())
            await asyncio.wait({again}, timeout=0.6)
            assert not again.done()
            again.cancel()

    play(story())


async def fetch(gateway: Running, path: str) -> bytes:
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        call = rollout_pb2_grpc.RolloutServiceStub(channel).Fetch(pb.FetchRequest(path=path), timeout=10)
        return b"".join([response.chunk async for response in call])


def test_a_file_of_the_registry_comes_whole(opened: Cloud):
    data = bytes(range(256)) * 1000
    opened.store.put("registry/demo/targets/bearing-1.fwb", data)

    async def story() -> None:
        async with running(opened) as gateway:
            assert await fetch(gateway, "targets/bearing-1.fwb") == data

    play(story())


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("targets/none", grpc.StatusCode.NOT_FOUND),
        ("lake/secret", grpc.StatusCode.PERMISSION_DENIED),
        ("targets/../../other/targets/x", grpc.StatusCode.INVALID_ARGUMENT),
        ("/etc/passwd", grpc.StatusCode.INVALID_ARGUMENT),
        ("", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_no_file_outside_the_registry_can_be_fetched(opened: Cloud, path, code):
    opened.store.put("lake/secret", b"x")
    opened.store.put("registry/other/targets/x", b"x")

    async def story() -> None:
        async with running(opened) as gateway:
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await fetch(gateway, path)
            assert refusal.value.code() is code

    play(story())


def test_a_report_says_what_runs_and_a_refusal_leaves_what_ran(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway, grpc.aio.insecure_channel(gateway.address) as channel:
            stub = rollout_pb2_grpc.RolloutServiceStub(channel)
            await stub.Report(pb.ReportRequest(**ME, bundle="bearing-1", state=pb.BUNDLE_STATE_RUNNING), timeout=10)
            refused = {"bundle": "bearing-2", "state": pb.BUNDLE_STATE_REFUSED, "reason": "golden vectors differ"}
            await stub.Report(pb.ReportRequest(**ME, **refused), timeout=10)
            with pytest.raises(grpc.aio.AioRpcError) as unknown:
                await stub.Report(pb.ReportRequest(**ME, bundle="bearing-3"), timeout=10)
            assert unknown.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with opened.engine.connect() as connection:
            row = connection.execute(select(t.device)).one()
        assert (row.running_bundle, row.bundle_state) == ("bearing-1", "refused")
        assert row.bundle_reason == "bearing-2: golden vectors differ"

    play(story())


def alert(**changes: Any) -> alert_pb2.Alert:
    fields = {
        "key": "k1",
        "change": alert_pb2.ALERT_CHANGE_RAISED,
        "machine": "P-101",
        "channel": "x",
        "severity": alert_pb2.SEVERITY_C,
        "confidence": alert_pb2.CONFIDENCE_SURE,
        "score": 4.5,
    }
    return alert_pb2.Alert(**{**fields, **changes})


def test_an_alert_is_answered_with_its_number_and_the_number_is_the_same_again(opened: Cloud):
    async def story() -> None:
        call = {"epoch": 7, "sequence": 5, "alert": alert()}
        take = opened.alerts.take
        async with running(opened, take_alert=take) as gateway, grpc.aio.insecure_channel(gateway.address) as channel:
            stub = alert_pb2_grpc.AlertServiceStub(channel)
            request = alert_pb2.RaiseRequest(**ME, **call)
            first = await stub.Raise(request, timeout=10)
            assert (await stub.Raise(request, timeout=10)).alert_id == first.alert_id
            other = alert_pb2.RaiseRequest(**{**ME, "enterprise": "x"}, **call)
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await stub.Raise(other, timeout=10)
            assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
        with opened.engine.connect() as connection:
            taken = connection.execute(select(t.alert_taken)).all()
            assert [(r.sequence, r.alert) for r in taken] == [(5, first.alert_id)]
            assert len(connection.execute(select(t.alert)).all()) == 1

    play(story())


def test_another_alert_under_a_number_that_was_taken_is_refused_and_never_answered_for_the_first(opened: Cloud):
    async def story() -> None:
        take = opened.alerts.take
        async with running(opened, take_alert=take) as gateway, grpc.aio.insecure_channel(gateway.address) as channel:
            stub = alert_pb2_grpc.AlertServiceStub(channel)
            await stub.Raise(
                alert_pb2.RaiseRequest(**ME, epoch=7, sequence=5, alert=alert(event_time_ns=1)), timeout=10
            )
            for other in (alert(event_time_ns=2), alert(event_time_ns=1, key="k-2")):
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await stub.Raise(alert_pb2.RaiseRequest(**ME, epoch=7, sequence=5, alert=other), timeout=10)
                assert refusal.value.code() is grpc.StatusCode.ALREADY_EXISTS
                assert "alert 5 is another one here" in (refusal.value.details() or "")
        with opened.engine.connect() as connection:
            assert len(connection.execute(select(t.alert_event)).all()) == 1

    play(story())


def test_an_alert_of_a_session_that_a_newer_hello_replaced_is_refused_also_over_epochs(opened: Cloud):
    from tests.cloud.gateway.device import Device

    async def story() -> None:
        async with running(opened, take_alert=opened.alerts.take) as gateway:
            async with Device().connect(gateway.address) as one, Device(epoch=8).connect(gateway.address) as two:
                older, newer = (await one.greet()).session, (await two.greet()).session
            assert 0 < older < newer
            async with grpc.aio.insecure_channel(gateway.address) as channel:
                stub = alert_pb2_grpc.AlertServiceStub(channel)

                async def raised(sequence: int, session: int) -> grpc.StatusCode:
                    request = alert_pb2.RaiseRequest(**ME, epoch=7, sequence=sequence, session=session, alert=alert())
                    try:
                        await stub.Raise(request, timeout=10)
                    except grpc.aio.AioRpcError as e:
                        return e.code()
                    return grpc.StatusCode.OK

                assert await raised(1, older) is grpc.StatusCode.ABORTED
                assert await raised(2, newer) is grpc.StatusCode.OK
                assert await raised(3, 0) is grpc.StatusCode.OK  # a device of version 1 has no number
        with opened.engine.connect() as connection:
            assert [r.sequence for r in connection.execute(select(t.alert_taken))] == [2, 3]

    play(story())


def test_an_alert_that_the_device_still_has_is_not_said_to_be_stored_so_that_it_is_compared(opened: Cloud):
    from tests.cloud.gateway.device import Device, pb

    async def story() -> None:
        async with running(opened, take_alert=opened.alerts.take) as gateway:
            async with grpc.aio.insecure_channel(gateway.address) as channel:
                for sequence in (3, 4):
                    request = alert_pb2.RaiseRequest(**ME, epoch=7, sequence=sequence, alert=alert())
                    await alert_pb2_grpc.AlertServiceStub(channel).Raise(request, timeout=10)
            async with Device().connect(gateway.address) as connection:
                welcome = await connection.greet(head=4, kept=[pb.SequenceRange(first=4, last=4)])
            assert [(r.first, r.last) for r in welcome.stored] == [(3, 3)]

    play(story())


def test_a_sequence_that_the_alert_call_took_counts_as_stored_when_the_device_asks(opened: Cloud):
    from tests.cloud.gateway.device import Device

    async def story() -> None:
        async with running(opened, take_alert=opened.alerts.take) as gateway:
            async with grpc.aio.insecure_channel(gateway.address) as channel:
                request = alert_pb2.RaiseRequest(**ME, epoch=7, sequence=3, alert=alert())
                await alert_pb2_grpc.AlertServiceStub(channel).Raise(request, timeout=10)
            async with Device().connect(gateway.address) as connection:
                welcome = await connection.greet()
            assert [(r.first, r.last) for r in welcome.stored] == [(3, 3)]
            assert not welcome.HasField("head")

    play(story())


def test_an_enum_of_a_newer_device_reads_as_the_graver_word():
    read = read_alert(alert(change=9, severity=9, confidence=9))
    assert (read.change, read.severity, read.confidence) == ("raised", "D", "unsure")


def test_figures_that_are_not_finite_are_left_out_of_an_alert():
    life = alert_pb2.Interval(p05_s=1, p50_s=float("nan"), p95_s=3)
    read = read_alert(alert(score=float("inf"), remaining_life=life))
    assert (read.score, read.remaining_life_s) == (None, None)


@pytest.mark.parametrize("broken", [{"key": ""}, {"key": "k" * 101}, {"machine": "../x"}, {"channel": "a/b"}])
def test_an_alert_with_a_dangerous_name_is_refused(broken):
    with pytest.raises(WrongUse):
        read_alert(alert(**broken))
