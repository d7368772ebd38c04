"""The pages as a person meets them: a real browser, a phone's width, a keyboard, no mouse tricks.

axe-core (MPL-2.0, vendored for tests only) judges accessibility; the console must stay silent, which also proves that
the content policy was never violated.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from cloud.alerts.types import Change, Outcome, State
from cloud.web.app import create_app
from tests.cloud.web.seeding import SAID, Fleet, usual_fleet
from tests.cloud.web.serving import serving

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DEADLINE_S = 10.0
PAGES = (
    "/",
    "/m/P-101",
    "/m/M-12",
    "/a/1",
    "/alerts",
    "/models",
    "/nope",
    "/?lang=de",
    "/a/2?lang=de",
    "/m/F-07?lang=de",
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


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
        """What is to be read there."""
        return str(self.find(selector).text)

    def script(self, code: str, *arguments: object) -> Any:
        """Run JavaScript in the page."""
        return self.browser.execute_script(code, *arguments)

    def press(self, keys: str) -> None:
        """Type into whatever has the focus."""
        self.browser.switch_to.active_element.send_keys(keys)

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


@pytest.fixture
def person(chromium: Chrome, tmp_path: Path) -> Iterator[Person]:
    fleet = usual_fleet(tmp_path)
    with serving(create_app(fleet.cloud)) as url:
        someone = Person(chromium, url, fleet)
        someone.see_as()
        yield someone
        chromium.get("about:blank")
    for command in ("Emulation.setEmulatedMedia", "Emulation.clearDeviceMetricsOverride"):
        chromium.execute_cdp_cmd(command, {})
    fleet.cloud.close()


def test_no_page_complains_or_asks_anybody_else_or_scrolls_sideways_or_has_small_targets(person):
    problems = []
    for scheme, width in (("light", 360), ("dark", 1280)):
        person.see_as(width=width, height=740, scheme=scheme)
        for path in PAGES:
            person.open(path)
            where = f"{path} {width} {scheme}"
            wide = person.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            problems += [f"{where}: {wide} px too wide"] if wide > 0 else []
            problems += [f"{where}: small target {t}" for t in person.script(SMALL_TARGETS)]
            problems += [f"{where}: {m}" for m in person.complaints() if "/nope" not in m]
    assert problems == []
    assert person.hosts() == {person.url.removeprefix("http://")}


# Whatever can be tapped is at least 48 px in one direction and 24 in the other; a row's link covers the whole row.
SMALL_TARGETS = """
    const found = [];
    for (const e of document.querySelectorAll("a, button, select, summary, input:not([type=hidden]), textarea")) {
        if (e.closest("p, td, dd, h1, .hidden, .skip") && !e.closest(".segments, .foot-links")) continue;
        if (!e.checkVisibility() || e.classList.contains("skip")) continue;
        const box = (e.classList.contains("row-link") ? e.closest(".row") : e.closest("label") ?? e).getBoundingClientRect();
        if (box.width && (box.height < 48 || box.width < 44)) found.push(`${e.outerHTML.slice(0, 60)} ${box.width}x${box.height}`);
    }
    return found;
"""


@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 360), ("light", 1280), ("dark", 1280)])
def test_axe_finds_nothing(person, scheme, width):
    person.see_as(width=width, height=740, scheme=scheme)
    found = []
    for path in ("/", "/m/P-101", "/a/1", "/alerts", "/models", "/nope"):
        person.open(path)
        person.script("document.querySelectorAll('details').forEach((d) => { d.open = true; });")
        person.script(AXE.read_text())
        result = person.browser.execute_async_script(
            "axe.run(document, {runOnly: arguments[0]}).then(arguments[1], (e) => arguments[1]({error: String(e)}))",
            RULES,
        )
        found += [f"{path}: {v['id']} {[n['html'][:120] for n in v['nodes'][:3]]}" for v in result["violations"]]
    assert found == []


def test_a_machine_that_gets_worse_moves_up_while_somebody_looks(person):
    person.open("/")
    assert "2\nneed action" in person.text("#summary").replace("2 need", "2\nneed")
    person.wait(lambda: person.find("#live").get_attribute("data-state") == "live")
    said = SAID.__class__(**{f: getattr(SAID, f) for f in SAID.__slots__} | {"machine": "C-3", "key": "C-3/1"})
    person.fleet.add_alert(said)
    person.wait(lambda: person.text(".tile-action b") == "3")
    assert "C-3" in [e.text for e in person.browser.find_elements(By.CSS_SELECTOR, ".row-D .name")]
    assert person.complaints() == []


def test_the_age_of_the_last_data_counts_on(person):
    person.open("/")
    first = person.text("#live-age")
    assert first.startswith("last data")
    person.wait(lambda: person.text("#live-age") != first)


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
    person.press(Keys.TAB + Keys.NULL)
    person.press(Keys.ENTER)
    person.wait(lambda: person.browser.current_url.endswith("/a/1"))
    person.press("a")
    person.wait(lambda: "Acknowledged" in person.text("#finding"))
    person.press("r")
    assert person.script("return document.activeElement.value") == "confirmed"


def test_shortcuts_can_be_turned_off_and_stay_off(person):
    person.open("/a/1")
    person.press("?")
    assert person.script("return document.getElementById('keys').open")
    person.find("#keys-on").click()
    person.find("#keys form button").click()
    person.open("/a/1")
    person.press("a")
    assert person.fleet.cloud.alerts.get(1).alert.state is State.NEW
    person.script("localStorage.clear()")


def test_what_somebody_is_writing_survives_a_live_change(person):
    person.open("/a/1")
    person.find("textarea[name=note]").send_keys("half a sentence")
    person.fleet.cloud.alerts.take(
        "works-1",
        "edge-P-101",
        1,
        9_999,
        SAID.__class__(**{f: getattr(SAID, f) for f in SAID.__slots__} | {"change": Change.RETURNED}),
    )
    person.wait(lambda: "returned to normal" in person.text("#finding"))
    assert person.find("textarea[name=note]").get_attribute("value") == "half a sentence"


def test_charts_are_drawn_and_follow_the_choice_in_the_url(person):
    person.open("/m/P-101")
    assert len(person.browser.find_elements(By.CSS_SELECTOR, ".chart canvas")) == 2
    person.script(
        "const s = document.getElementById('metric'); s.value = 'horizontal:rms@1';"
        "s.dispatchEvent(new Event('change', {bubbles: true}));"
    )
    person.wait(lambda: "metric=horizontal" in person.browser.current_url)
    assert "Vibration RMS" in person.text("#trend-summary")
    assert person.complaints() == []


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
