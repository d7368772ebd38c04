"""The catalogues of words: complete, alike in every language, and known for all that an agent can say."""

# ruff: noqa: RUF001 - the typography is what is tested
from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from cloud.alerts.types import Change, Outcome, State
from cloud.web.site import HERE
from cloud.web.status import Zone
from cloud.web.words import choose, languages
from edge.detection import sensors
from edge.detection.detector import NO_MODEL
from edge.detection.diagnosis import FAULT_OF_LINE
from edge.inference import judge
from models.features import CATALOGUE

ENGLISH = languages()["en"]
OTHERS = [words for code, words in languages().items() if code != "en"]


def _names(text: str | list[str]) -> set[str]:
    texts = text if isinstance(text, list) else [text]
    return {name for t in texts for _, name, _, _ in string.Formatter().parse(t) if name}


@pytest.mark.parametrize("words", OTHERS, ids=lambda w: w.language)
def test_no_language_misses_a_key_or_has_one_too_many(words):
    assert set(words._table) == set(ENGLISH._table)


@pytest.mark.parametrize("words", OTHERS, ids=lambda w: w.language)
def test_a_translation_fills_the_same_names_and_as_many_lines(words):
    for key, english in ENGLISH._table.items():
        translated = words._table[key]
        assert _names(translated) == _names(english), key
        assert isinstance(translated, list) == isinstance(english, list), key
        if isinstance(english, list):
            assert len(translated) == len(english), key


def test_every_key_that_a_template_names_exists():
    for template in Path(HERE / "templates").glob("*.html"):
        for key, part in re.findall(r'\bt\("([a-z_.0-9]+)"( ~)?', template.read_text()):
            if part:
                assert any(k.startswith(key) for k in ENGLISH._table), f"{template.name}: {key}"
            else:
                assert key in ENGLISH._table, f"{template.name}: {key}"


def test_every_feature_zone_state_and_outcome_has_words():
    keys = [f"feature.{f}" for f in CATALOGUE] + [f"zone.{z}" for z in Zone] + [f"state.{s}" for s in State]
    keys += [f"{group}.{o}" for o in Outcome for group in ("outcome", "outcome_help")]
    keys += [f"event.{e}" for e in (*Change, "acknowledged", "in_work", "resolved", "note")]
    assert [k for k in keys if k not in ENGLISH._table] == []


def test_whatever_an_agent_names_has_words():
    faults = [*FAULT_OF_LINE.values(), "degradation", "deviation"]
    faults += [sensors.DROPOUT, sensors.DEAD, sensors.STUCK, sensors.CLIPPED]
    for fault in faults:
        assert {f"fault.{fault}.{part}" for part in ("short", "sentence", "advice", "disprove")} <= set(ENGLISH._table)
    for reason in (NO_MODEL, judge.LEARNING, judge.NOT_FINITE, "sensor_fault"):
        assert f"reason.{reason}" in ENGLISH._table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.48, "0.48"),
        (2.3149, "2.31"),
        (250.0, "250"),
        (1804.2, "1804"),
        (0.000475, "0.000475"),
        (2.4e-6, "2.4 × 10⁻⁶"),
        (-3.2, "−3.2"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_figures_are_short_and_keep_their_meaning(value, text):
    assert ENGLISH.number(value) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(3 * 86400, 9 * 86400, "3–9 days"), (5400, 9000, "1.5–2.5 hours"), (20, 50, "20–50 seconds"), (0, 0, "0 seconds")],
)
def test_an_interval_is_said_in_one_unit(low, high, text):
    assert ENGLISH.interval(low, high) == text


def test_numbers_follow_the_language():
    assert languages()["de"].number(2.31) == "2,31"
    assert languages()["de"].interval(5400, 9000) == "1,5–2,5 Stunden"


@pytest.mark.parametrize(
    ("asked", "accept", "language"),
    [
        (None, "", "en"),
        (None, "de-CH,de;q=0.9,en;q=0.8", "de"),
        (None, "fr,en;q=0.4,de;q=0.7", "de"),
        (None, "fr", "en"),
        ("en", "de", "en"),
        ("xx", "de", "de"),
        (None, "de;q=nonsense, ;;;", "en"),
    ],
)
def test_the_reader_gets_the_language_they_asked_for(asked, accept, language):
    assert choose(asked, accept).language == language


def test_a_value_with_markup_does_not_open_the_text_around_it():
    from markupsafe import Markup

    text = ENGLISH("models.published", time=Markup("<time>now</time>"))
    assert text == "Published <time>now</time>"
    text = ENGLISH("machine.model_refused", device="<b>x</b>", bundle=Markup("<a>b</a>"), reason="r")
    assert "&lt;b&gt;x" in text
    assert "<a>b</a>" in text
