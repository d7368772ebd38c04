"""An alarm as an event that other systems understand: CloudEvents 1.0 as JSON. Rules without I/O."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from edge import words
from edge.detection.detector import BASELINE
from edge.types import Alarm, AlarmChange, Machine

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose alarms these are."""

    enterprise: str
    site: str
    device: str


@dataclass(frozen=True, slots=True)
class Event:
    """One change of an alarm, ready to be sent; `id` is the same whenever it is sent again."""

    id: str
    body: bytes


def event_of(alarm: Alarm, machine: Machine, sender: Sender) -> Event:
    """The event of one change; its `source` and `id` name it in the world."""
    change = alarm.change.name.lower()
    name = f"{alarm.key}/{change}/{alarm.time_ns}"
    source = "/".join(quote(part, safe="") for part in ("forewarn", sender.enterprise, sender.site, sender.device))
    body = {
        "specversion": "1.0",
        "id": name,
        "source": f"/{source}",
        "type": f"forewarn.alarm.{change}.v1",
        "subject": alarm.machine,
        "time": _time(alarm.time_ns),
        "datacontenttype": "application/json",
        "data": _data(alarm, machine),
    }
    return Event(name, msgspec.json.encode(body))


def _data(alarm: Alarm, machine: Machine) -> dict[str, object]:
    life = alarm.remaining_life_s
    told = words.told(alarm.fault, by_baseline=alarm.source == BASELINE)
    if alarm.change is AlarmChange.RETURNED_TO_NORMAL:
        told = words.RETURNED
    return {
        "key": alarm.key,
        "change": alarm.change.name.lower(),
        "machine": alarm.machine,
        "line": machine.line,
        "channel": alarm.channel,
        "severity": alarm.severity,
        "severity_words": words.ZONES[alarm.severity].word,
        "text": told.sentence,
        "do": told.do,
        "disprove": told.disprove,
        "confidence": alarm.confidence,
        "part": alarm.part,
        "fault": alarm.fault,
        "judged_by": alarm.source,
        "score": _number(alarm.score),
        "threshold": _number(alarm.threshold),
        "remaining_life_s": dict(zip(("p05", "p50", "p95"), life, strict=True)) if life else None,
        "no_estimate_reason": alarm.no_estimate_reason,
        "evidence": [msgspec.to_builtins(e) for e in alarm.evidence],
        "event_time_ns": alarm.time_ns,
        "simulated": machine.simulated,
    }


def _number(value: float) -> float | None:
    """JSON knows no infinity and no NaN: None."""
    return value if abs(value) < float("inf") else None


def _time(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns * 1e-9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def signature(secret: bytes, event: Event, timestamp_s: int) -> dict[str, str]:
    """The headers of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`; the id is a digest of the event's."""
    name = hashlib.blake2b(event.id.encode(), digest_size=16).hexdigest()
    signed = b".".join((name.encode(), str(timestamp_s).encode(), event.body))
    mac = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": name, "webhook-timestamp": str(timestamp_s), "webhook-signature": f"v1,{mac}"}
