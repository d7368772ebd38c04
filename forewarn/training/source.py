"""What the lake and the catalogue give to learn from: one class of machines, as of one commit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloud.catalogue import maintenance
from cloud.catalogue.access import reading
from cloud.catalogue.maintenance import Known
from forewarn.classes import only_class
from forewarn.findings import read_labels
from models.errors import DataInsufficient
from training.labels import Labels

if TYPE_CHECKING:
    from cloud.wiring import Cloud


@dataclass(frozen=True, slots=True)
class Source:
    """The machines of a class, and what the crews found of them."""

    cloud: Cloud
    machine_class: str
    machines: Sequence[Known]
    labels: Labels
    commit: int  # the lake's head when this was read: what is stored afterwards is not seen

    def rows(self, kind: str, features: Sequence[str]) -> Any:
        """Return a `pyarrow.Table` of the class's rows with these features."""
        import pyarrow as pa  # noqa: PLC0415 - with the lake, after the quick refusals
        import pyarrow.compute as pc  # noqa: PLC0415

        names = {k.machine for k in self.machines}
        table = self.cloud.lake.rows(kind, machines=names, columns=features, as_of=self.commit)
        keys = pc.binary_join_element_wise(table["site"], table["machine"], "/")
        mine = [f"{k.site}/{k.machine}" for k in self.machines]
        return table.filter(pc.is_in(keys, pa.array(mine, pa.string())))

    def simulated(self, machines: Iterable[str]) -> bool:
        """Whether any of these (site/machine) is."""
        wanted = set(machines)
        return any(k.simulated for k in self.machines if f"{k.site}/{k.machine}" in wanted)


def read_source(cloud: Cloud, machine_class: str) -> Source:
    """Read what is known of a class; an empty class is the only one there is.

    Raises `DataInsufficient` or `WrongUse`.
    """
    with reading(cloud.engine) as c:
        known = maintenance.machines(c, cloud.enterprise)
    machine_class = machine_class or only_class(known)
    chosen = [k for k in known if k.machine_class == machine_class]
    if not chosen:
        raise DataInsufficient(f"no machine of the class {machine_class} has ever connected")
    labels = read_labels(cloud).only({(k.site, k.machine) for k in chosen})
    return Source(cloud, machine_class, chosen, labels, cloud.lake.head())
