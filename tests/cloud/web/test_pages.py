"""The pages over HTTP: what they say, what they refuse, and that looking changes nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from urllib.parse import quote

import numpy as np
import pytest

from cloud.alerts.types import Outcome, State
from tests.cloud.web.seeding import BUNDLE, SAID, SITE, UNLIKE
from tests.models.making import make_parts

READS = (
    "/",
    "/?only=problems&q=p&area=Hall+2&page=7",
    "/m/P-101",
    "/m/P-101?metric=horizontal:rms@1&range=1h&channel=vertical",
    "/m/F-07",
    "/m/M-12",
    "/a/1",
    "/a/2",
    "/alerts",
    "/alerts?state=all",
    "/models",
    "/data/trend?name=P-101",
    "/data/spectrum?name=P-101&channel=horizontal",
    "/healthz",
)


def _text(html: str) -> str:
    """The words of a page, one space between them."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html))).strip()


@pytest.mark.parametrize("path", READS)
def test_every_page_answers(pages, path):
    assert pages.http.get(path).status_code == 200


def test_reading_every_page_changes_nothing(pages):
    def dump():
        with pages.fleet.cloud.engine.connect() as c:
            return list(c.connection.driver_connection.iterdump())

    before = dump()
    for path in READS:
        pages.http.get(path)
        pages.http.head(path)
    assert dump() == before


def test_the_fleet_says_how_many_need_action_and_shows_them_first(pages):
    html = pages.http.get("/").text
    assert "2 need action 1 without data 2 ok" in _text(html)
    assert re.findall(r'<b class="name">([^<]+)</b>', html) == ["P-101", "F-07", "M-12", "K-9", "C-3"]


def test_a_severity_is_always_a_shape_a_letter_and_a_word(pages):
    html = pages.http.get("/").text
    badges = re.findall(r'<span class="badge zone-(\w+)"><svg class="shape".*?</svg>(.*?)</span></span>', html)
    words = {zone: _text(rest) for zone, rest in badges}
    assert words == {"D": "D Act now", "C": "C Plan work", "stale": "No data", "B": "B Acceptable", "A": "A Good"}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("only=problems", ["P-101", "F-07", "M-12"]),
        ("only=action", ["P-101", "F-07"]),
        ("only=stale", ["M-12"]),
        ("q=roof", ["F-07"]),
        ("q=m-1", ["M-12"]),
        ("area=Hall+2", ["P-101", "M-12"]),
        ("area=Hall+2&only=stale", ["M-12"]),
        ("q=nothing", []),
    ],
)
def test_the_fleet_can_be_narrowed(pages, query, names):
    html = pages.http.get(f"/?{query}").text
    assert re.findall(r'<b class="name">([^<]+)</b>', html) == names


def test_a_large_fleet_is_shown_page_by_page(own_pages):
    for i in range(95):
        own_pages.fleet.add_machine(f"X-{i:03}")
    found = []
    for page in (1, 2, 3):
        html = own_pages.http.get(f"/?page={page}").text
        found += re.findall(r'<b class="name">([^<]+)</b>', html)
    assert found == [f"X-{i:03}" for i in range(95)]


def test_simulated_machines_and_replayed_data_say_so_wherever_they_show(pages):
    for path in ("/", "/m/F-07", "/a/2", "/alerts"):
        assert "simulated" in _text(pages.http.get(path).text), path
    for path in ("/", "/m/F-07"):
        assert "replay" in _text(pages.http.get(path).text), path
    assert "simulated" not in _text(pages.http.get("/m/P-101").text)


def test_a_machine_shows_its_interval_and_that_its_coverage_is_not_guaranteed(pages):
    text = _text(pages.http.get("/m/P-101").text)
    assert "3\N{EN DASH}9 days" in text
    assert "not guaranteed: 4 machines" in text


def test_no_estimate_is_said_with_its_reason(pages):
    assert "No estimate no model runs for this machine yet" in _text(pages.http.get("/m/M-12").text)
    text = _text(pages.http.get("/a/2").text)
    assert "No estimate of how long: no model runs for this machine yet" in text


def test_a_silent_machine_says_since_when_and_whether_its_agent_lives(pages):
    text = _text(pages.http.get("/m/M-12").text)
    assert "Nothing has come in for 26 minutes. The agent edge-M-12 was last heard of" in text


def test_each_chart_has_a_sentence_and_a_table(pages):
    html = pages.http.get("/m/P-101?metric=horizontal:rms@1").text
    for chart in ("trend", "spectrum"):
        box = re.search(rf'data-chart="{chart}"[^>]*aria-labelledby="([^"]+)"', html)
        assert f'id="{box[1]}"' in html
        table = re.search(rf'<details id="{chart}-table">.*?</details>', html, re.DOTALL)[0]
        assert table.count("<tr>") > 5
    assert re.search(r"Vibration RMS: 0\.4\d+ → 2\.2\d g in 8 hours", _text(html))
    assert re.search(r"Highest line [\d.]+ g at 250 Hz", _text(html))


def test_an_alert_says_what_how_sure_how_long_what_to_do_why_and_what_would_disprove_it(pages):
    text = _text(pages.http.get("/a/1").text)
    for part in (
        "D Act now",
        "The outer ring of the bearing is damaged.",
        "Quite sure",
        "likely 3\N{EN DASH}9 days left",
        "Do this",
        "Grease it as the lubrication plan says",
        "Envelope at outer-ring frequency (BPFO)",
        "31.2 1.4 6",
        f"by the model {BUNDLE}",
        "What would disprove it",
    ):
        assert part in text


def test_an_alert_of_a_device_that_doubted_its_clock_says_so_and_when_it_came(own_pages):
    numbers = [own_pages.fleet.add_alert(replace(SAID, key=f"P-101/{q}", quality=q)) for q in (2, 3)]
    sure, doubted = (_text(own_pages.http.get(f"/a/{n}").text) for n in numbers)
    assert "The device doubted its own clock, so this time may be wrong. The alert arrived" in doubted
    assert "doubted" not in sure


def test_an_alarm_without_a_model_does_not_claim_wear(pages):
    text = _text(pages.http.get("/a/2").text)
    assert "The machine behaves unlike its healthy start." in text
    assert "wearing out" not in text


def test_models_show_each_measure_beside_its_floors_and_who_runs_what(pages):
    text = _text(pages.http.get("/models").text)
    assert "Remaining life, mean error (s) 1804 2111 2153" in text
    assert "not guaranteed: 4 machines" in text
    assert "agree within 2.4 × 10⁻⁶" in text  # noqa: RUF001 - as it is printed
    assert f"edge-P-101 {BUNDLE} running" in text


def test_a_bundle_is_called_signed_only_where_the_registry_signed_these_bytes(own_pages):
    cloud = own_pages.fleet.cloud
    cloud.registry.initialise()
    cloud.registry.publish(make_parts("bearing-7").pack())
    own_pages.fleet.add_bundle()  # a row that no signature stands behind
    html = own_pages.http.get("/models").text
    found = re.findall(r'class="code">([^<]+)</h2>(.*?)</article>', html, re.DOTALL)
    cards = {name: _text(card) for name, card in found}
    assert "signed: its bytes are those the registry signed" in cards["bearing-7"]
    assert "not in the signed registry" in cards[BUNDLE]


def test_the_page_follows_the_readers_language(pages):
    html = pages.http.get("/", headers={"accept-language": "de-DE,de;q=0.9"}).text
    assert '<html lang="de">' in html
    assert "2 brauchen Handeln" in _text(html)
    assert 'lang="en"' in pages.http.get("/?lang=en", headers={"accept-language": "de"}).text


def test_a_language_that_was_asked_for_is_kept_by_the_links(pages):
    html = pages.http.get("/?lang=de").text
    links = re.findall(r'href="(/(?:m|a)/[^"]+)"', html)
    assert links
    assert all("lang=de" in link for link in links)


def test_trend_data_is_small_however_long_the_history_and_carries_the_models_limits(pages):
    data = pages.http.get("/data/trend?name=P-101&metric=:degradation@1&range=all").json()
    assert len(data["low"]) + len(data["high"]) <= 1000
    assert [limit["value"] for limit in data["limits"]] == [0.5, 0.75]
    assert [mark["id"] for mark in data["alerts"]] == [1]


def test_the_range_in_the_url_cuts_the_trend(pages):
    spans = {}
    for name in ("1h", "8h"):
        times = pages.http.get(f"/data/trend?name=P-101&metric=horizontal:rms@1&range={name}").json()["time_s"]
        spans[name] = times[-1] - times[0]
    assert 3500 <= spans["1h"] <= 3601
    assert spans["8h"] > 7 * 3600


@pytest.mark.parametrize("ahead_s", [60 * 365 * 86_400.0, -60 * 365 * 86_400.0])
def test_a_time_that_a_device_doubted_and_that_cannot_be_true_is_not_drawn(own_pages, ahead_s):
    own_pages.fleet.add_machine("P-101")
    own_pages.fleet.add_latest("P-101", {"horizontal:rms@1": 1.0})
    for doubted in ({"ahead_s": ahead_s, "quality": 1}, {"quality": 1}, {}):
        rows = {"rms@1": np.ones(10, np.float32)}
        own_pages.fleet.add_rows("features", "P-101", "horizontal", rows, every_s=10, **doubted)
    times = own_pages.http.get("/data/trend?name=P-101&metric=horizontal:rms@1&range=all").json()["time_s"]
    assert len(times) == 20
    assert times[-1] - times[0] == 90


def test_an_unknown_metric_or_range_falls_back_instead_of_failing(pages):
    assert pages.http.get("/m/P-101?metric=nonsense&range=never").status_code == 200


@pytest.mark.parametrize("path", ["/m/none", "/a/999", "/a/x", "/nope", "/data/trend?name=none", "/static/../app.py"])
def test_what_is_not_there_is_said_kindly(pages, path):
    response = pages.http.get(path)
    assert response.status_code in {404, 422}
    assert "Traceback" not in response.text


def test_a_name_on_two_sites_asks_which_one(own_pages):
    for site in ("north", "south"):
        own_pages.fleet.add_machine("P-1", site=site)
    response = own_pages.http.get("/m/P-1")
    assert response.status_code == 300
    assert "/m/P-1?at=south" in response.text
    assert own_pages.http.get("/m/P-1?at=south").status_code == 200


def test_an_empty_house_says_how_to_begin(own_pages):
    assert "No machine has reported yet" in _text(own_pages.http.get("/").text)
    assert "No model has been published yet" in _text(own_pages.http.get("/models").text)
    assert "All quiet" in _text(own_pages.http.get("/alerts").text)


class _Inline(HTMLParser):
    """Collects whatever a strict policy forbids."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        if tag == "style" or (tag == "script" and not (names.get("src") or "").startswith("/static/")):
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name in names if name == "style" or name.startswith("on")]


SCRIPT = "<script>alert(1)</script>"


def _dangerous(fleet):
    """Names that a gateway would refuse, written past it."""
    fleet.add_machine(SCRIPT, line='"><img src=x onerror=alert(2)>')
    fleet.add_latest(SCRIPT, {":deviation@1": 9.0, f"{SCRIPT}:rms@1": 1.0})
    said = replace(
        UNLIKE, machine=SCRIPT, channel=SCRIPT, fault=SCRIPT, part=SCRIPT, source=SCRIPT, no_estimate_reason=SCRIPT
    )
    number = fleet.add_alert(said)
    fleet.cloud.alerts.acknowledge(number, SCRIPT, note=SCRIPT)
    return number


def test_a_script_in_a_name_stays_text_on_every_page(own_pages):
    number = _dangerous(own_pages.fleet)
    for path in ("/", f"/m/{quote(SCRIPT, safe='')}", f"/a/{number}", "/alerts", "/models", f"/?q={quote(SCRIPT)}"):
        response = own_pages.http.get(path)
        assert response.status_code == 200, path
        assert SCRIPT not in response.text
        parser = _Inline()
        parser.feed(response.text)
        assert parser.found == [], path
    assert "&lt;script&gt;alert(1)" in own_pages.http.get("/").text


@pytest.mark.parametrize("path", [*READS, "/nope", "/static/forewarn.css"])
def test_every_answer_carries_the_strict_policy(pages, path):
    policy = pages.http.get(path).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert pages.http.get(path).headers["x-content-type-options"] == "nosniff"


def _tap(pages, number, action="acknowledge", *, data=None, **headers):
    return pages.http.post(f"/a/{number}/{action}", data={"tap": "t"} | (data or {}), headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1.evil.example"},
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    ],
)
def test_a_change_from_another_site_is_refused_and_changes_nothing(own_pages, headers):
    own_pages.fleet.add_machine("P-101")
    number = own_pages.fleet.add_alert()
    assert _tap(own_pages, number, **headers).status_code == 403
    assert own_pages.fleet.cloud.alerts.get(number).alert.state is State.NEW


def test_a_change_that_does_not_say_where_it_comes_from_is_refused(own_pages):
    number = own_pages.fleet.add_alert()
    del own_pages.http.headers["origin"]
    assert _tap(own_pages, number).status_code == 403
    assert _tap(own_pages, number, **{"sec-fetch-site": "same-site"}).status_code == 403
    assert _tap(own_pages, number, **{"sec-fetch-site": "same-origin"}).status_code == 303


def test_a_form_of_a_megabyte_is_refused(own_pages):
    number = own_pages.fleet.add_alert()
    assert _tap(own_pages, number, data={"note": "x" * 1_000_000}).status_code == 413
    response = own_pages.http.post(f"/a/{number}/acknowledge", content=iter([b"tap=t"]))
    assert response.status_code == 411


def test_acknowledging_leads_back_to_the_alert_and_remembers_the_name(own_pages):
    number = own_pages.fleet.add_alert()
    response = _tap(own_pages, number, data={"name": "Zoë"})
    assert (response.status_code, response.headers["location"]) == (303, f"/a/{number}")
    detail = own_pages.fleet.cloud.alerts.get(number)
    assert detail.alert.state is State.ACKNOWLEDGED
    assert detail.events[-1].who == "Zoë"
    assert 'value="Zoë"' in own_pages.http.get(f"/a/{number}").text


def test_a_tap_that_arrives_twice_counts_once(own_pages):
    number = own_pages.fleet.add_alert()
    for _ in range(2):
        _tap(own_pages, number, "resolve", data={"tap": "same", "outcome": "confirmed", "note": "pitting"})
    events = own_pages.fleet.cloud.alerts.get(number).events
    assert [e.what for e in events] == ["raised", "resolved"]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_each_outcome_closes_the_alert(own_pages, outcome):
    number = own_pages.fleet.add_alert()
    assert _tap(own_pages, number, "resolve", data={"outcome": outcome.value}).status_code == 303
    alert = own_pages.fleet.cloud.alerts.get(number).alert
    assert (alert.state, alert.outcome) == (State.RESOLVED, outcome)


@pytest.mark.parametrize("data", [{}, {"outcome": "nonsense"}, {"outcome": "confirmed", "note": "x" * 3000}])
def test_a_form_that_makes_no_sense_is_refused_and_changes_nothing(own_pages, data):
    number = own_pages.fleet.add_alert()
    assert _tap(own_pages, number, "resolve", data=data).status_code == 422
    assert own_pages.fleet.cloud.alerts.get(number).alert.state is State.NEW


def test_work_on_a_resolved_alert_is_refused_in_words(own_pages):
    number = own_pages.fleet.add_alert()
    _tap(own_pages, number, "resolve", data={"outcome": "confirmed"})
    response = _tap(own_pages, number, "start", data={"tap": "other"})
    assert response.status_code == 409
    assert "the alert is resolved already" in _text(response.text)


def test_a_resolved_alert_leaves_the_list_of_open_ones_and_the_machines_zone(own_pages):
    own_pages.fleet.add_machine("P-101")
    own_pages.fleet.add_latest("P-101", {":deviation@1": 0.4})
    number = own_pages.fleet.add_alert()
    assert "1 needs action" in _text(own_pages.http.get("/").text)
    _tap(own_pages, number, "resolve", data={"outcome": "not_a_fault"})
    assert "0 need action" in _text(own_pages.http.get("/").text)
    assert "All quiet" in _text(own_pages.http.get("/alerts").text)
    assert "Not a fault" in _text(own_pages.http.get("/alerts?state=all").text)


def test_while_the_catalogue_is_away_the_pages_say_so_and_health_says_503(own_pages):
    database = own_pages.fleet.cloud.data / "catalogue.sqlite"
    own_pages.fleet.cloud.engine.dispose()
    hidden = database.rename(database.with_suffix(".away"))
    database.mkdir()
    try:
        assert own_pages.http.get("/healthz").status_code == 503
        response = own_pages.http.get("/")
        assert response.status_code == 503
        assert "The data cannot be read right now" in _text(response.text)
    finally:
        database.rmdir()
        hidden.rename(database)
    assert own_pages.http.get("/healthz").status_code == 200


def test_pages_of_the_site_are_never_kept_by_a_cache_but_fingerprinted_files_are(pages):
    html = pages.http.get("/").text
    assert pages.http.get("/").headers["cache-control"] == "no-store"
    style = re.search(r'href="(/static/forewarn.css\?v=\w+)"', html)[1]
    assert "immutable" in pages.http.get(style).headers["cache-control"]
    assert pages.http.get("/static/forewarn.css").headers["cache-control"] == "no-cache"


def test_the_site_of_the_seed_is_the_one_in_the_links(pages):
    assert f"at={SITE}" in unescape(pages.http.get("/m/P-101").text)
