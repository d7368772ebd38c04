"""The tables. `enterprise` and `site` come first in every key, so that one database can serve several companies.

Nothing here is deleted by the gateway; times are ns since 1970 (UTC) in BIGINT, because SQLite has no time type.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER

device = Table(
    "device",
    metadata,
    Column("enterprise", String(64), primary_key=True),
    Column("site", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("software_version", String(64), nullable=False, default=""),
    Column("running_bundle", String(200), nullable=False, default=""),
    Column("bundle_state", String(16), nullable=False, default=""),  # running | refused
    Column("bundle_reason", Text, nullable=False, default=""),
    Column("bundle_changed_ns", BigInteger),
    Column("last_seen_ns", BigInteger),
    Column("cloned_ns", BigInteger),  # when two holders of its identity were last seen to fight for its stream
)

machine = Table(
    "machine",
    metadata,
    Column("enterprise", String(64), primary_key=True),
    Column("site", String(64), primary_key=True),
    Column("machine", String(64), primary_key=True),
    Column("device", String(64), nullable=False),
    Column("line", String(64), nullable=False, default=""),
    Column("machine_class", String(64), nullable=False, default=""),
    Column("simulated", Boolean, nullable=False, default=False),
    Column("speed_rpm", Float),
    Column("channels", Text, nullable=False, default="[]"),  # JSON: [{name, unit, rate_hz, kind}]
)

# What is stored of each device and epoch. The row is the commit point of exactly-once: a segment and the
# ranges it adds are committed in one transaction that locks this row.
cursor = Table(
    "cursor",
    metadata,
    Column("enterprise", String(64), primary_key=True),
    Column("site", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("ranges", LargeBinary, nullable=False),  # pairs of uint64, little-endian, sorted, disjoint
    Column("head_sequence", BigInteger, nullable=False),
    Column("head_digest", LargeBinary, nullable=False),
    Column("device_head", BigInteger, nullable=False, default=0),  # the last sequence the device says it used
    Column("first_seen_ns", BigInteger, nullable=False),
    Column("session", BigInteger, nullable=False, default=0, server_default="0"),  # the newest Hello's: it alone stores
    Column("fenced", Integer, nullable=False, default=0, server_default="0"),  # open streams that a newer one ended ...
    Column("fenced_since_ns", BigInteger, nullable=False, default=0, server_default="0"),  # ... since then
    Column("expired", LargeBinary),  # ranges that retention removed
    Index("cursor_session", "enterprise", "session"),
)

gap = Table(
    "gap",
    metadata,
    Column("enterprise", String(64), primary_key=True),
    Column("site", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

schema = Table(
    "schema",
    metadata,
    Column("id", String(16), primary_key=True),  # hex of the 64-bit id
    Column("columns", Text, nullable=False),  # JSON list
    Column("units", Text, nullable=False),  # JSON list
)

# A commit numbers each change of the lake, so that `as of` names exactly what a model learned from.
lake_commit = Table(
    "lake_commit",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("time_ns", BigInteger, nullable=False),
    Column("reason", String(32), nullable=False),  # ingest | compact | gc | retain
    Column("oldest", _Id),  # gc: the oldest commit whose objects are all still there
)

segment = Table(
    "segment",
    metadata,
    Column("enterprise", String(64), primary_key=True),
    Column("site", String(64), primary_key=True),
    Column("path", String(400), primary_key=True),  # key in the object store
    Column("kind", String(16), nullable=False),
    Column("schema", String(16), nullable=False),  # empty where the kind has no columns
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("first_time_ns", BigInteger, nullable=False),
    Column("last_time_ns", BigInteger, nullable=False),
    Column("machines", Text, nullable=False),  # JSON list
    Column("added", _Id, ForeignKey("lake_commit.id"), nullable=False),
    Column("removed", _Id, ForeignKey("lake_commit.id")),  # by compaction or retention; readable `as of` before
    Column("last_received_ns", BigInteger),  # of its rows; absent in segments of the first version
    Index("segment_live", "enterprise", "site", "kind", "removed"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("enterprise", String(64), primary_key=True),
    Column("site", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("time_ns", BigInteger, nullable=False),
    Column("code", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("record", LargeBinary, nullable=False),  # the wire form, so that nothing is lost
)

latest = Table(
    "latest",
    metadata,
    Column("enterprise", String(64), primary_key=True),
    Column("site", String(64), primary_key=True),
    Column("machine", String(64), primary_key=True),
    Column("channel", String(64), primary_key=True),  # empty: the machine as a whole
    Column("metric", String(64), primary_key=True),  # a feature id
    Column("value", Float, nullable=False),
    Column("event_time_ns", BigInteger, nullable=False),
    Column("received_ns", BigInteger, nullable=False),
    Column("source", String(200), nullable=False, default=""),
    Column("replay", Boolean, nullable=False, default=False),  # event times belong to a recording or a simulation
)

alert = Table(
    "alert",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("enterprise", String(64), nullable=False),
    Column("site", String(64), nullable=False),
    Column("device", String(64), nullable=False),
    Column("key", String(100), nullable=False),
    Column("machine", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # new | acknowledged | in_work | resolved
    Column("active", Boolean, nullable=False),  # the condition still holds on the device
    Column("outcome", String(32)),  # what the crew found: the label the next model learns from
    Column("severity", String(1), nullable=False),  # A B C D, the worst so far
    Column("raised_ns", BigInteger, nullable=False),  # event time
    Column("received_ns", BigInteger, nullable=False),
    Column("content", Text, nullable=False),  # JSON: the alert as the device last said it
    Index("alert_key", "enterprise", "site", "device", "key", unique=True),
)

# Every change of an alert, by the device or by a person: who, when, what. The first three columns after `alert`
# make a raise idempotent; `idempotency_key` does the same for a person's tap.
alert_event = Table(
    "alert_event",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("alert", _Id, ForeignKey("alert.id"), nullable=False),
    Column("epoch", BigInteger),
    Column("sequence", BigInteger),
    Column("time_ns", BigInteger, nullable=False),
    Column("who", String(100), nullable=False),
    Column("what", String(32), nullable=False),  # raised | worsened | returned | acknowledged | resolved | note
    Column("note", Text, nullable=False, default=""),
    Column("idempotency_key", String(64), unique=True),
    Index("alert_event_alert", "alert"),
)

# Which alert sequences were taken: the alert path's own cursor, because alerts overtake everything.
alert_taken = Table(
    "alert_taken",
    metadata,
    Column("enterprise", String(64), primary_key=True),
    Column("site", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("alert", _Id, ForeignKey("alert.id"), nullable=False),
    Column("event_time_ns", BigInteger),  # tells another alert of the same number; absent in rows of schema 0002
)

# What happened to machines: failures, repairs, replaced parts. Labels for training.
maintenance = Table(
    "maintenance",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("enterprise", String(64), nullable=False),
    Column("site", String(64), nullable=False),
    Column("machine", String(64), nullable=False),
    Column("time_ns", BigInteger, nullable=False),
    Column("event", String(32), nullable=False),  # failed | replaced | repaired | inspected_good
    Column("part", String(64), nullable=False, default=""),
    Column("note", Text, nullable=False, default=""),
    Index("maintenance_once", "enterprise", "site", "machine", "time_ns", "event", unique=True),
)

bundle = Table(
    "bundle",
    metadata,
    Column("enterprise", String(64), primary_key=True),
    Column("name", String(200), primary_key=True),  # the TUF target's name
    Column("machine_class", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("manifest", Text, nullable=False),  # JSON
    Column("published_ns", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # candidate | champion | retired | blocked
)

# What each machine class shall run; the row changes on promote and rollback, and gateways watch it.
assignment = Table(
    "assignment",
    metadata,
    Column("enterprise", String(64), primary_key=True),
    Column("machine_class", String(64), primary_key=True),
    Column("bundle", String(200), nullable=False),
    Column("previous", String(200), nullable=False, default=""),
    Column("changed_ns", BigInteger, nullable=False),
)

command = Table(
    "command",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("enterprise", String(64), nullable=False),
    Column("site", String(64), nullable=False),
    Column("device", String(64), nullable=False),
    Column("machine", String(64), nullable=False),
    Column("kind", String(32), nullable=False),  # acknowledge | new_baseline | send_flight
    Column("alert_key", String(100), nullable=False, default=""),
    Column("created_ns", BigInteger, nullable=False),
    Column("delivered_ns", BigInteger),
)
