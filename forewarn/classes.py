"""Which class of machines is meant, where nobody said."""

from __future__ import annotations

from collections.abc import Sequence

from cloud.catalogue.maintenance import Known
from models.errors import DataInsufficient, WrongUse


def only_class(known: Sequence[Known]) -> str:
    """Return the only class there is; `DataInsufficient` without a machine, `WrongUse` where there are several."""
    classes = sorted({k.machine_class for k in known})
    if not classes:
        raise DataInsufficient("no machine has ever connected", mend="start an agent: forewarn edge run")
    if len(classes) > 1:
        raise WrongUse(f"there are machines of several classes: {', '.join(classes)}", mend="choose: --machine-class")
    return classes[0]
