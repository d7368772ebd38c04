"""The device's own page in a real browser, on a phone of 360 px and on a desk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from edge.board import Board, MachineBoard
from edge.board.server import PageServer
from edge.types import Alarm, AlarmChange, Evidence, Machine, Window

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
JUDGE = "axe.run(document, {runOnly: arguments[0]}).then(arguments[1])"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LONG = "P-101 " + "x" * 58
ALARM = Alarm(
    key="P/1",
    change=AlarmChange.RAISED,
    machine=LONG,
    channel="vertical",
    time_ns=0,
    severity="D",
    confidence="sure",
    part="bearing",
    fault="outer_race",
    source="baseline",
    score=9.0,
    threshold=4.0,
    evidence=(Evidence(feature="envelope_bpfo@1", channel="vertical", unit="g", value=2.0, baseline=1.0, limit=1.5),),
)


@pytest.fixture
def page() -> Iterator[str]:
    board = Board("edge-7", "Werk 2")
    one = board.add(MachineBoard(Machine(name=LONG, machine_class="pump", channels=(), line="Hall 2"), days=7))
    for i in range(300):
        window = Window(machine=LONG, time_ns=i * 60_000_000_000, samples={})
        one.take(window, None, float(i % 50), [ALARM] if i == 200 else [])
    server = PageServer(board, "127.0.0.1:0")
    server.start()
    yield server.address
    server.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 360), ("light", 1280)])
def test_the_page_fits_and_axe_and_the_console_find_nothing(
    chromium: Chrome, page: str, scheme: str, width: int
) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 600}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        chromium.get(page)
        chromium.execute_script("document.querySelector('details').open = true")
        wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert chromium.execute_script(wide) <= 0
        assert "D Act now" in chromium.execute_script("return document.body.innerText")
        chromium.execute_script(AXE.read_text())
        found = chromium.execute_async_script(JUDGE, RULES)["violations"]
        assert [(v["id"], [n["html"][:120] for n in v["nodes"][:3]]) for v in found] == []
        said = [e["message"] for e in chromium.get_log("browser") if e["level"] in {"SEVERE", "WARNING"}]
        assert [m for m in said if "favicon" not in m] == []
    finally:
        chromium.get("about:blank")
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_renews_itself_without_folding_what_is_open(chromium: Chrome, page: str) -> None:
    chromium.get(page)
    chromium.execute_script(
        "document.querySelector('details').open = true; document.querySelector('main').dataset.old = '1'; refresh()"
    )
    deadline = time.monotonic() + 10
    while chromium.execute_script("return document.querySelector('main').dataset.old") == "1":
        assert time.monotonic() < deadline, "it did not renew itself"
    assert chromium.execute_script("return document.querySelector('details').open") is True
    chromium.get("about:blank")
