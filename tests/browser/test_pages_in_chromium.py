"""The pages as a person meets them: a real browser, a phone's width, a keyboard, no mouse tricks.

axe-core (MPL-2.0, vendored for tests only) judges accessibility; the console must stay silent, which also proves that
the content policy was never violated.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from cloud.alerts.types import Change, Outcome, State
from cloud.web.app import create_app
from tests.cloud.web.seeding import SAID, Fleet, usual_fleet
from tests.cloud.web.serving import serving

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DEADLINE_S = 10.0
ENGLISH = ("/", "/m/P-101", "/m/M-12", "/a/1", "/alerts", "/models", "/nope")
GERMAN = ("/?lang=de", "/a/2?lang=de", "/m/F-07?lang=de")
JUDGE = "axe.run(document, {runOnly: arguments[0]}).then(arguments[1])"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


# Whatever can be tapped is at least 48 px high; links inside a sentence are text. A row's link covers the whole row.
SMALL_TARGETS = """
    const found = [];
    for (const e of document.querySelectorAll("a, button, select, summary, input:not([type=hidden]), textarea")) {
        if (!e.checkVisibility() || e.closest(".hidden, .skip")) continue;
        if (e.closest("p, td, dd") && !e.closest(".segments, .foot-links")) continue;
        const box = (e.matches(".row-link") ? e.closest(".row") : e.closest("label") ?? e).getBoundingClientRect();
        if (box.height < 48 || box.width < 44) found.push(`${e.outerHTML.slice(0, 60)} ${box.width} x ${box.height}`);
    }
    return found;
"""


class Person:
    """Somebody with a browser in front of the pages of a fleet."""

    def __init__(self, browser: Chrome, url: str, fleet: Fleet) -> None:
        self.browser = browser
        self.url = url
        self.fleet = fleet

    def open(self, path: str) -> None:
        """Go to a page and wait until its charts are drawn."""
        self.browser.get(self.url + path)
        charts = "document.querySelectorAll('[data-chart]:not([data-drawn]):not(.empty-chart)').length"
        self.wait(lambda: self.script(f"return {charts}") == 0)

    def see_as(self, *, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Hold another device, in light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def find(self, selector: str) -> Any:
        """The first element of a CSS selector."""
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str = "main") -> str:
        """What is to be read there now; the page may swap the element at any moment."""
        return str(self.script("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def script(self, code: str, *arguments: object) -> Any:
        """Run JavaScript in the page."""
        return self.browser.execute_script(code, *arguments)

    def press(self, keys: str) -> None:
        """Type into whatever has the focus when the keys arrive; the page may swap that element at any moment."""
        ActionChains(self.browser).send_keys(keys).perform()

    def wait(self, holds: Callable[[], object]) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < deadline, f"still not so after {DEADLINE_S:.0f} s on {self.browser.current_url}"

    def complaints(self) -> list[str]:
        """What the console holds against the pages: errors, policy violations, failed requests."""
        return [e["message"] for e in self.browser.get_log("browser") if e["level"] in {"SEVERE", "WARNING"}]

    def hosts(self) -> set[str]:
        """Every host that the pages asked for anything."""
        messages = [json.loads(e["message"])["message"] for e in self.browser.get_log("performance")]
        urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return {u.split("/")[2] for u in urls if u.startswith(("http", "ws"))}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Fleet]]:
    """The usual fleet, for tests that only look."""
    fleet = usual_fleet(tmp_path_factory.mktemp("cloud"))
    with serving(create_app(fleet.cloud)) as url:
        yield url, fleet
    fleet.cloud.close()


@pytest.fixture
def device(chromium: Chrome) -> Iterator[Chrome]:
    """The browser; whatever it was made to look like, it is itself again afterwards."""
    yield chromium
    chromium.get("about:blank")
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.fixture
def reader(device: Chrome, shown: tuple[str, Fleet]) -> Person:
    """Somebody who only looks."""
    return Person(device, *shown)


@pytest.fixture
def person(device: Chrome, tmp_path: Path) -> Iterator[Person]:
    """Somebody who acts, on a fleet of their own."""
    fleet = usual_fleet(tmp_path)
    with serving(create_app(fleet.cloud)) as url:
        yield Person(device, url, fleet)
        device.get("about:blank")
    fleet.cloud.close()


def test_no_page_complains_or_asks_anybody_else_or_scrolls_sideways_or_has_small_targets(reader):
    problems = []
    for scheme, width in (("light", 360), ("dark", 1280)):
        reader.see_as(width=width, height=740, scheme=scheme)
        for path in (*ENGLISH, *GERMAN):
            reader.open(path)
            where = f"{path} {width} {scheme}"
            wide = reader.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            problems += [f"{where}: {wide} px too wide"] if wide > 0 else []
            problems += [f"{where}: small target {t}" for t in reader.script(SMALL_TARGETS)]
            problems += [f"{where}: {m}" for m in reader.complaints() if "/nope" not in m]
    assert problems == []
    assert reader.hosts() == {reader.url.removeprefix("http://")}


@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 1280)])
def test_axe_finds_nothing(reader, scheme, width):
    reader.see_as(width=width, height=740, scheme=scheme)
    found = []
    for path in ENGLISH if width == 360 else ("/", "/m/P-101", "/a/1", "/models"):
        reader.open(path)
        reader.script("document.querySelectorAll('details').forEach((d) => { d.open = true; });")
        reader.script(AXE.read_text())
        result = reader.browser.execute_async_script(JUDGE, RULES)
        found += [f"{path}: {v['id']} {[n['html'][:120] for n in v['nodes'][:3]]}" for v in result["violations"]]
    assert found == []


def test_a_machine_that_gets_worse_moves_up_while_somebody_looks(person):
    person.open("/")
    assert person.text(".tile-action b") == "2"
    person.wait(lambda: person.find("#live").get_attribute("data-state") == "live")
    person.fleet.add_alert(replace(SAID, machine="C-3", key="C-3/1"))
    person.wait(lambda: person.text(".tile-action b") == "3")
    names = "return [...document.querySelectorAll('.row-D .name')].map((e) => e.innerText)"
    assert person.script(names) == ["C-3", "P-101"]
    assert person.complaints() == []


def test_the_age_of_the_last_data_counts_on(reader):
    reader.open("/")
    first = reader.text("#live-age")
    assert first.startswith("last data")
    reader.wait(lambda: reader.text("#live-age") != first)


def test_a_server_that_goes_away_is_said(chromium, tmp_path):
    fleet = usual_fleet(tmp_path)
    with serving(create_app(fleet.cloud)) as url:
        someone = Person(chromium, url, fleet)
        someone.open("/")
        someone.wait(lambda: someone.find("#live").get_attribute("data-state") == "live")
    someone.wait(lambda: "No connection" in someone.text("#live"))
    fleet.cloud.close()


def test_acknowledge_by_button_then_resolve_by_one_tap(person):
    person.see_as(width=360, height=740)
    person.open("/a/1")
    assert "New" in person.text("#finding")
    person.find("#ack-button").click()
    person.wait(lambda: "Acknowledged" in person.text("#finding"))
    assert person.fleet.cloud.alerts.get(1).alert.state is State.ACKNOWLEDGED
    person.find("textarea[name=note]").send_keys("pitting seen")
    button = person.find("button[value=confirmed]")
    person.script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    person.wait(lambda: "Resolved: Confirmed" in person.text("#finding"))
    alert = person.fleet.cloud.alerts.get(1)
    assert (alert.alert.state, alert.alert.outcome) == (State.RESOLVED, Outcome.CONFIRMED)
    assert "pitting seen" in person.text("#timeline")
    assert person.complaints() == []


def test_the_whole_way_to_an_acknowledgement_with_the_keyboard_alone(person):
    person.open("/")
    person.press("/")
    assert person.script("return document.activeElement.id") == "q"
    person.press("P-1")
    person.wait(lambda: len(person.browser.find_elements(By.CSS_SELECTOR, ".machine-row")) == 1)
    assert person.browser.current_url.endswith("q=P-1") or "q=P-1&" in person.browser.current_url
    person.find("#live").click()
    person.press("j")
    assert "P-101" in person.script("return document.activeElement.textContent")
    person.press(Keys.TAB)
    person.press(Keys.ENTER)
    person.wait(lambda: person.browser.current_url.endswith("/a/1"))
    person.press("a")
    person.wait(lambda: "Acknowledged" in person.text("#finding"))
    person.press("r")
    assert person.script("return document.activeElement.value") == "confirmed"


def test_shortcuts_can_be_turned_off_and_stay_off(reader):
    reader.open("/a/1")
    reader.press("?")
    assert reader.script("return document.getElementById('keys').open")
    reader.find("#keys-on").click()
    reader.find("#keys form button").click()
    reader.open("/a/1")
    reader.press("a")
    assert reader.fleet.cloud.alerts.get(1).alert.state is State.NEW
    reader.script("localStorage.clear()")


def test_what_somebody_is_writing_survives_a_live_change(person):
    person.open("/a/1")
    person.find("textarea[name=note]").send_keys("half a sentence")
    person.fleet.add_alert(replace(SAID, change=Change.RETURNED))
    person.wait(lambda: "returned to normal" in person.text("#finding"))
    assert person.find("textarea[name=note]").get_attribute("value") == "half a sentence"


def test_charts_are_drawn_and_follow_the_choice_in_the_url(reader):
    reader.open("/m/P-101")
    assert len(reader.browser.find_elements(By.CSS_SELECTOR, ".chart canvas")) == 2
    reader.script(
        "const s = document.getElementById('metric'); s.value = 'horizontal:rms@1';"
        "s.dispatchEvent(new Event('change', {bubbles: true}));"
    )
    reader.wait(lambda: "metric=horizontal" in reader.browser.current_url)
    assert "Vibration RMS" in reader.text("#trend-summary")
    assert reader.complaints() == []


def test_a_script_in_a_name_does_not_run(person):
    name = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    person.fleet.add_machine(name, line=name)
    person.fleet.add_latest(name, {":deviation@1": 9.0})
    for path in ("/", "/?q=" + "%22%3E%3Cscript%3Edocument.title%3D%27owned%27%3C%2Fscript%3E"):
        person.open(path)
        assert person.browser.title == "Fleet · Forewarn"
    assert person.complaints() == []


def test_without_javascript_the_alert_can_still_be_answered(person):
    person.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        person.browser.get(person.url + "/a/1")
        person.find("#ack-button").click()
        person.wait(lambda: person.fleet.cloud.alerts.get(1).alert.state is State.ACKNOWLEDGED)
    finally:
        person.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
