"""Metrics of each leg, a dashboard that asks for nothing that is not there, one screen that says what is wrong."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, update

from cloud.catalogue import tables as t
from cloud.catalogue.access import writing
from cloud.gateway.metrics import Metrics, MetricsServer
from cloud.health import Device as Known
from cloud.health import Facts, judge
from cloud.wiring import Cloud
from forewarn.commands.status import status
from models.errors import ConfigurationError
from tests.cloud.gateway.device import Device
from tests.cloud.lake.filling import fill
from tests.cloud.running import FailingStore, eventually, play, running

HOUR = 3600 * 10**9


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """What Prometheus reads, by name and label values."""
    server = MetricsServer(metrics, "127.0.0.1:0")
    try:
        said = urllib.request.urlopen(server.address, timeout=10).read().decode()
    finally:
        server.close()
    families = text_string_to_metric_families(said)
    return {(s.name, *s.labels.values()): s.value for f in families for s in f.samples}


def test_every_leg_of_a_records_way_is_counted(opened: Cloud):
    store = FailingStore(opened.store)

    async def story() -> None:
        async with running(opened, store=store) as gateway:
            metrics = gateway.gateway.metrics
            sender = Device()
            values = np.ones((8, 3), "<f4")
            values[3, 0] = np.nan
            async with sender.connect(gateway.address) as connection:
                await connection.greet()
                store.away = True
                made = sender.make(8, values=values.tobytes())
                await connection.send(made, made)
                await connection.until(lambda: sender.received.contains(1, 8))
                await eventually(lambda: metrics.retries._value.get() > 0)
                waiting = samples(metrics)
                store.away = False
                await connection.until(lambda: sender.done)
                await eventually(lambda: metrics.sent._value.get() >= 2)  # counted just after the device has it
                done = samples(metrics)
        assert waiting["forewarn_memory_bytes",] > 0
        assert (waiting["forewarn_sessions",], waiting["forewarn_memory_limit_bytes",]) == (1, 64_000_000)
        assert ("forewarn_records_stored_total", "features") not in waiting
        assert done["forewarn_memory_bytes",] == 0
        assert done["forewarn_records_received_total", "features"] == 16
        assert done["forewarn_records_known_total",] == 8
        assert done["forewarn_records_rejected_total", "not_finite"] == 1
        assert done["forewarn_records_stored_total", "features"] == 7
        assert done["forewarn_segment_bytes_count", "features"] == 1
        assert done["forewarn_segment_bytes_sum", "features"] == sum(s.bytes for s in opened.lake.segments())
        assert done["forewarn_commit_seconds_count",] == 1
        assert done["forewarn_acknowledgements_sent_total",] >= 2
        assert done["forewarn_received_bytes_total",] > 100

    play(story())


def test_the_dashboard_asks_for_nothing_that_does_not_exist(repository: Path):
    metrics = Metrics()
    for labelled in (metrics.received, metrics.rejected, metrics.stored, metrics.segment_bytes):
        labelled.labels("x")
    there = {name for name, *_ in samples(metrics)}
    dashboard = json.loads((repository / "docs" / "grafana" / "gateways.json").read_text())
    asked = {n for p in dashboard["panels"] for q in p["targets"] for n in re.findall(r"forewarn_\w+", q["expr"])}
    assert asked - there == set()
    shown = {re.sub("_(total|bucket|sum|count)$", "", n) for n in asked}
    assert {m.name for m in metrics.registry.collect()} - shown == set()  # and what is counted is shown


def test_an_address_that_cannot_be_is_told():
    with pytest.raises(ConfigurationError, match="cannot answer"):
        MetricsServer(Metrics(), "127.0.0.1:no")


WELL = Facts(
    now_ns=HOUR,
    devices=(Known(name="hall/edge-1", last_seen_ns=HOUR, cloned_ns=None, bundle_state="running", bundle_reason=""),),
    machines=1,
    open_alerts={"D": 1},
    rows=1,
    segments=1,
    bytes=1,
    newest_commit_ns=HOUR,
    on_their_way=5,
    lost=0,
    quarantined=0,
    store="",
)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"store": "the object is missing"}, "object store: the object is missing"),
        ({"devices": (replace(WELL.devices[0], cloned_ns=1),)}, "cloned: hall/edge-1"),
        ({"devices": (replace(WELL.devices[0], last_seen_ns=None),) * 7}, "and 2 more"),
        ({"devices": (replace(WELL.devices[0], bundle_state="refused", bundle_reason="golden"),)}, "edge-1 (golden)"),
        ({"quarantined": 3}, "3 records put into quarantine"),
        ({"lost": 4}, "4 records will not come"),
    ],
)
def test_what_is_not_well_is_named(wrong, says):
    assert judge(WELL) == []
    (problem,) = judge(replace(WELL, **wrong))
    assert says in problem.what
    assert problem.mend


def test_the_screen_says_that_all_is_well_and_later_what_is_not(opened: Cloud):
    path = fill(opened, 1, 10)
    owner = {"enterprise": "demo", "site": "hall", "device": "edge-1"}
    with writing(opened.engine) as connection:
        connection.execute(insert(t.device).values(**owner, last_seen_ns=time.time_ns()))
    call = ["--data", str(opened.data)]
    said = CliRunner().invoke(status, call, catch_exceptions=False)
    assert (said.exit_code, said.output.splitlines()[-1]) == (0, "all is well")
    assert "10 rows in 1 segments" in said.output
    opened.store.delete(path)
    with writing(opened.engine) as connection:
        connection.execute(update(t.device).values(cloned_ns=time.time_ns()))
    said = CliRunner().invoke(status, [*call, "--json"], catch_exceptions=False)
    told = json.loads(said.output.splitlines()[-1])
    assert (said.exit_code, told["well"], len(told["problems"])) == (1, False, 2)
    assert [d["name"] for d in told["devices"]] == ["hall/edge-1"]
