"""A file of maintenance history, line by line: a wrong line is said and left out, the others count."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from cloud.catalogue.maintenance import EVENTS, MaintenanceRow
from models.errors import WrongUse

_COLUMNS = ("machine", "time", "event")  # needed; site, part and note may follow
_SHORTEST_NS = 16  # digits; a shorter number would be a date or seconds
_LONGEST = {"part": 64, "note": 10_000}


def read_labels(file: Path, sites: Mapping[str, set[str]]) -> Iterator[MaintenanceRow | WrongUse]:
    """Yield each line as a row, or as what is wrong with it; `sites` maps each known machine to the sites that have it.

    Raises `WrongUse` where the whole file cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise WrongUse(f"the labels cannot be read: {e}", where=str(file)) from e
    yield from _parse(text.splitlines(), str(file), sites)


def _parse(lines: Iterable[str], where: str, sites: Mapping[str, set[str]]) -> Iterator[MaintenanceRow | WrongUse]:
    reader = csv.DictReader(lines, restval="")
    if missing := [c for c in _COLUMNS if c not in (reader.fieldnames or ())]:
        raise WrongUse(
            f"the columns {', '.join(missing)} are missing",
            where=where,
            mend="the first line names the columns: machine,time,event[,site,part,note]",
        )
    rows = iter(reader)
    while True:
        try:
            fields = next(rows, None)
        except csv.Error as e:
            yield WrongUse(f"not CSV: {e}", where=f"{where}:{reader.line_num}")
            return
        if fields is None:
            return
        try:
            yield _row({k: v.strip() for k, v in fields.items() if k is not None and isinstance(v, str)}, sites)
        except ValueError as e:
            yield WrongUse(str(e), where=f"{where}:{reader.line_num}")


def _row(fields: Mapping[str, str], sites: Mapping[str, set[str]]) -> MaintenanceRow:
    machine, event = fields["machine"], fields["event"]
    if not machine:
        raise ValueError("the machine is empty")
    if event not in EVENTS:
        raise ValueError(f"the event is {event!r}, it must be one of {', '.join(EVENTS)}")
    for name, longest in _LONGEST.items():
        if len(fields.get(name, "")) > longest:
            raise ValueError(f"the {name} has more than {longest} characters")
    site = fields.get("site", "") or _only_site(machine, sites)
    if site not in sites.get(machine, ()):
        raise ValueError(f"no machine {machine!r} is known at the site {site!r}")
    return MaintenanceRow(
        site=site,
        machine=machine,
        time_ns=time_ns(fields["time"]),
        event=event,
        part=fields.get("part", ""),
        note=fields.get("note", ""),
    )


def _only_site(machine: str, sites: Mapping[str, set[str]]) -> str:
    found = sites.get(machine, set())
    if not found:
        raise ValueError(f"no machine {machine!r} has ever connected")
    if len(found) > 1:
        raise ValueError(
            f"{machine!r} is at several sites ({', '.join(sorted(found))}): a column `site` must say which"
        )
    return next(iter(found))


def time_ns(text: str) -> int:
    """Nanoseconds since 1970, or ISO 8601; a time without a zone is UTC."""
    if text.isascii() and text.isdigit() and len(text) >= _SHORTEST_NS:
        if int(text) >= 2**63:
            raise ValueError(f"the time {text} is too large for ns since 1970")
        return int(text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError as e:
        raise ValueError(f"the time is {text!r}, neither ISO 8601 nor ns since 1970") from e
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
