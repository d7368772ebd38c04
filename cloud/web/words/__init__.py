"""Every word the crew reads comes from a catalogue, one TOML file a language; English is complete by definition.

A key is a path (`fault.outer_race.sentence`); a text may hold `{names}`; a counted text has `.one` and `.other`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup, escape

DEFAULT = "en"
_DASH, _MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
_RAISED = str.maketrans(
    "-0123456789",
    "\N{SUPERSCRIPT MINUS}\N{SUPERSCRIPT ZERO}\N{SUPERSCRIPT ONE}\N{SUPERSCRIPT TWO}\N{SUPERSCRIPT THREE}"
    "\N{SUPERSCRIPT FOUR}\N{SUPERSCRIPT FIVE}\N{SUPERSCRIPT SIX}\N{SUPERSCRIPT SEVEN}\N{SUPERSCRIPT EIGHT}"
    "\N{SUPERSCRIPT NINE}",
)
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


class Words:
    """The words of one language, and its way to write numbers and durations."""

    def __init__(self, language: str, table: Mapping[str, str | list[str]]) -> None:
        self.language = language
        self._table = table

    def __call__(self, key: str, **values: object) -> str:
        """Return the text under `key`; a missing key is a bug and raises `KeyError`."""
        text = self._table[key]
        assert isinstance(text, str), key
        if any(isinstance(v, Markup) for v in values.values()):
            return escape(text).format(**values)
        return text.format(**values)

    def count(self, key: str, n: int) -> str:
        """Return the text for `n` things."""
        return self(f"{key}.{'one' if n == 1 else 'other'}", n=n)

    def either(self, key: str, fallback: str) -> str:
        """Return the text under `key`, or `fallback` where devices may be newer than this catalogue."""
        text = self._table.get(key, fallback)
        return text if isinstance(text, str) else fallback

    def lines(self, key: str) -> list[str]:
        """Return the list under `key`; empty where there is none."""
        found = self._table.get(key, [])
        return found if isinstance(found, list) else [found]

    def number(self, value: float | None, digits: int = 3) -> str:
        """Write a figure with `digits` significant digits."""
        if value is None or math.isnan(value):
            return _DASH
        size = abs(value)
        if size != 0 and (size >= 1e6 or size < 1e-4):
            mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
            text = f"{_trimmed(mantissa)} \N{MULTIPLICATION SIGN} 10{str(int(exponent)).translate(_RAISED)}"
        else:
            whole = len(str(int(size))) if size >= 1 else 0
            text = _trimmed(f"{value:.{max(0, digits - whole)}f}" if size >= 0.1 else f"{value:.{digits}g}")
        return text.replace("-", _MINUS).replace(".", self("format.decimal"))

    def duration(self, seconds: float) -> str:
        """Write how long, in the largest unit that leaves a figure of at least one."""
        unit, size = _unit(max(seconds, 0.0))
        return self.count(f"format.{unit}", max(round(seconds / size), 0))

    def interval(self, low_s: float, high_s: float) -> str:
        """Write an interval in one unit: 3 to 9 days, with a dash."""
        unit, size = _unit(high_s)
        low, high = low_s / size, high_s / size
        if high >= 10:
            texts = [f"{low:.0f}", f"{high:.0f}"]
        else:
            texts = [f"{v:.1f}".removesuffix(".0").replace(".", self("format.decimal")) for v in (low, high)]
        if texts[0] == texts[1]:
            return f"{texts[0]} {self(f'format.{unit}_name')}"
        return f"{texts[0]}{_DASH}{texts[1]} {self(f'format.{unit}_name')}"


@cache
def languages() -> dict[str, Words]:
    """Read all catalogues, once."""
    found = {}
    for file in files(__package__).iterdir():
        if file.name.endswith(".toml"):
            language = file.name.removesuffix(".toml")
            found[language] = Words(language, _flat(tomllib.loads(file.read_text(encoding="utf-8"))))
    return found


def choose(wanted: str | None, accept_language: str) -> Words:
    """Return the words for `?lang`, else for the browser's Accept-Language, else English."""
    known = languages()
    if wanted in known:
        return known[wanted]
    ranked: list[tuple[float, int, str]] = []
    for position, part in enumerate(accept_language[:500].split(",")):
        tag, _, quality = part.strip().partition(";q=")
        try:
            ranked.append((-float(quality or 1), position, tag.split("-")[0].lower()))
        except ValueError:
            continue
    return next((known[tag] for _, _, tag in sorted(ranked) if tag in known), known[DEFAULT])


def _trimmed(figure: str) -> str:
    return figure.rstrip("0").rstrip(".") if "." in figure else figure


def _unit(seconds: float) -> tuple[str, float]:
    for unit, size in (("day", _DAY), ("hour", _HOUR), ("minute", _MINUTE)):
        if seconds >= 2 * size or (unit == "minute" and seconds >= size):
            return unit, size
    return "second", 1.0


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str | list[str]]:
    flat: dict[str, str | list[str]] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
