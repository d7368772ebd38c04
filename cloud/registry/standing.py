"""The rules of promotion, apart from signatures and databases: who is champion, and who was before.

* A machine class has at most one champion.
* `promoted` numbers the promotions; a bundle keeps its number when it is rolled back, so rolling back twice goes
  further back instead of to and fro.
* A blocked bundle never runs again.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from models.errors import WrongUse

CANDIDATE, CHAMPION, RETIRED, BLOCKED = "candidate", "champion", "retired", "blocked"


class Standing(msgspec.Struct, frozen=True):
    """What the signed metadata says of one bundle, in the `custom` field of its target."""

    machine_class: str
    state: str = CANDIDATE
    promoted: int = 0  # 0: never, or rolled back


Standings = Mapping[str, Standing]  # by the bundle's name


def promote(all_: Standings, name: str) -> dict[str, Standing]:
    """Make `name` the champion of its class, as the newest promotion."""
    mine = find(all_, name)
    if mine.state == BLOCKED:
        raise WrongUse("it is blocked", where=name, mend="publish a new bundle")
    number = 1 + max(s.promoted for s in all_.values())
    return _crown({**all_, name: msgspec.structs.replace(mine, promoted=number)}, name)


def rollback(all_: Standings, machine_class: str) -> tuple[dict[str, Standing], str]:
    """Make what ran before the champion the champion again, and return its name."""
    champion = _champion(all_, machine_class)
    if champion is None:
        raise WrongUse(f"no bundle is assigned to the machine class {machine_class!r}")
    earlier = _before(all_, champion)
    if earlier is None:
        raise WrongUse(
            "nothing ran before it",
            where=champion,
            mend=f"`forewarn model block {champion}` takes it off the machines without a successor",
        )
    changed = _crown(all_, earlier)
    changed[champion] = msgspec.structs.replace(changed[champion], promoted=0)
    return changed, earlier


def block(all_: Standings, name: str) -> dict[str, Standing]:
    """Forbid `name`; if it is a champion, what ran before it takes over, or nothing."""
    changed = dict(all_)
    if find(all_, name).state == CHAMPION and (earlier := _before(all_, name)):
        changed = _crown(all_, earlier)
    changed[name] = msgspec.structs.replace(changed[name], state=BLOCKED)
    return changed


def find(all_: Standings, name: str) -> Standing:
    """The standing of `name`, or `WrongUse`."""
    if name not in all_:
        raise WrongUse(f"no bundle is named {name!r}", mend="`forewarn model list` shows them")
    return all_[name]


def _champion(all_: Standings, machine_class: str) -> str | None:
    found = (n for n, s in all_.items() if s.machine_class == machine_class and s.state == CHAMPION)
    return next(found, None)


def _before(all_: Standings, name: str) -> str | None:
    mine = all_[name]
    earlier = [
        (s.promoted, n)
        for n, s in all_.items()
        if s.machine_class == mine.machine_class and s.state != BLOCKED and 0 < s.promoted < mine.promoted
    ]
    return max(earlier)[1] if earlier else None


def _crown(all_: Standings, name: str) -> dict[str, Standing]:
    changed = dict(all_)
    champion = _champion(all_, all_[name].machine_class)
    if champion is not None:
        changed[champion] = msgspec.structs.replace(changed[champion], state=RETIRED)
    changed[name] = msgspec.structs.replace(changed[name], state=CHAMPION)
    return changed
