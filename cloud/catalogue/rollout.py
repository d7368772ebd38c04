"""Bundles and assignments in the catalogue: an index of what the signed metadata says, for gateways and pages to read.

The signed metadata in the object store is the truth, because only that is what devices believe. These rows follow it in
`follow`, and nothing else writes them, so a crash between the two is mended by following again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, text, update

from cloud.catalogue.tables import assignment, bundle

CHAMPION = "champion"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRow:
    """One published bundle."""

    name: str
    machine_class: str
    sha256: str
    bytes: int
    manifest: str  # JSON
    published_ns: int
    state: str  # candidate | champion | retired | blocked


def lock(connection: Connection, enterprise: str) -> None:
    """Let one transaction at a time change the registry; on SQLite every writing transaction already is alone."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": f"registry/{enterprise}"})


def bundles(connection: Connection, enterprise: str) -> list[BundleRow]:
    """All published bundles, newest first."""
    query = (
        select(bundle).where(bundle.c.enterprise == enterprise).order_by(bundle.c.published_ns.desc(), bundle.c.name)
    )
    return [
        BundleRow(**{k: v for k, v in row.items() if k != "enterprise"}) for row in connection.execute(query).mappings()
    ]


def assignments(connection: Connection, enterprise: str) -> dict[str, str]:
    """What each machine class shall run, by class; an empty name is "no model"."""
    query = select(assignment.c.machine_class, assignment.c.bundle).where(assignment.c.enterprise == enterprise)
    return {row.machine_class: row.bundle for row in connection.execute(query)}


def add_bundle(connection: Connection, enterprise: str, row: BundleRow) -> None:
    """Enter a bundle that the signed metadata names."""
    values = {name: getattr(row, name) for name in BundleRow.__slots__}
    connection.execute(insert(bundle).values(enterprise=enterprise, **values))


def follow(connection: Connection, enterprise: str, states: Mapping[str, tuple[str, str]], now_ns: int) -> None:
    """Make the rows say what the signed metadata says: `states` is (machine class, state) by bundle name."""
    for row in bundles(connection, enterprise):
        _, state = states.get(row.name, ("", row.state))
        if state != row.state:
            of_name = (bundle.c.enterprise == enterprise) & (bundle.c.name == row.name)
            connection.execute(update(bundle).where(of_name).values(state=state))
    champions = {machine_class: name for name, (machine_class, state) in states.items() if state == CHAMPION}
    had = assignments(connection, enterprise)
    for machine_class in champions.keys() | had.keys():
        name = champions.get(machine_class, "")
        if machine_class not in had:
            key = {"enterprise": enterprise, "machine_class": machine_class}
            connection.execute(insert(assignment).values(**key, bundle=name, previous="", changed_ns=now_ns))
        elif had[machine_class] != name:
            of_class = (assignment.c.enterprise == enterprise) & (assignment.c.machine_class == machine_class)
            values = {"bundle": name, "previous": had[machine_class], "changed_ns": now_ns}
            connection.execute(update(assignment).where(of_class).values(**values))
