"""The configuration's reference as Markdown, made from the descriptions under the keys, so that it cannot drift."""

from __future__ import annotations

import json
import sys
import typing
from typing import Any

import msgspec

from edge.announce import AnnounceConfig
from edge.board import PageConfig
from edge.config import (
    CloudLinkConfig,
    EdgeConfig,
    MachineConfig,
    OutboxConfig,
    RecordsConfig,
    UplinkConfig,
)
from edge.detection import DetectionConfig
from edge.features import FeaturesConfig
from edge.recorder import FlightConfig
from edge.sensors.kinds import BUILT_IN, load_kind
from edge.sensors.wired import ChannelConfig

_TABLES: dict[str, type[msgspec.Struct]] = {
    "The device": EdgeConfig,
    "`[[machine]]`": MachineConfig,
    **{f'`source` with `kind = "{kind}"`': load_kind(kind) for kind in BUILT_IN},
    "`channels` of a live source": ChannelConfig,
    "`[outbox]`": OutboxConfig,
    "`[cloud]`": CloudLinkConfig,
    "`[uplink]`": UplinkConfig,
    "`[records]`": RecordsConfig,
    "`[features]`": FeaturesConfig,
    "`[detection]`": DetectionConfig,
    "`[flight]`": FlightConfig,
    "`[announce]`": AnnounceConfig,
    "`[page]`": PageConfig,
}


def reference() -> str:
    """A heading, a sentence and a list of keys for each table of the device's file."""
    return "\n".join(f"### {title}\n\n{_lead(table)}\n\n{_keys(table)}" for title, table in _TABLES.items())


def _lead(table: type[msgspec.Struct]) -> str:
    return (table.__doc__ or "").strip()


def _keys(table: type[msgspec.Struct]) -> str:
    hints = typing.get_type_hints(table, include_extras=True)
    lines = []
    for field in msgspec.structs.fields(table):
        if isinstance(field.default, msgspec.Struct):
            continue  # a table of its own
        text = _description(hints[field.name])
        lines.append(f"- `{field.encode_name}` ({_default(field)})" + (f": {text}\n" if text else "\n"))
    return "".join(lines)


def _description(hint: Any) -> str:
    metas = getattr(hint, "__metadata__", ())
    return next((m.description for m in metas if isinstance(m, msgspec.Meta) and m.description), "")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default
    if value is None or value in ("", ()):
        return "default: none"
    return f"default {json.dumps(value)}"


if __name__ == "__main__":
    sys.stdout.write(reference())
