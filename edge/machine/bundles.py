"""The models in use, handed from the network's thread to the sampling threads."""

from __future__ import annotations

import threading
from pathlib import Path

from edge.inference import LoadedBundle


class Bundles:
    """One loaded bundle for each machine class; sampling threads look before each window."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bundles: dict[str, LoadedBundle] = {}

    def load(self, path: Path) -> None:
        """Use this verified bundle from the next window on; BundleRejected when it does not load."""
        bundle = LoadedBundle.open(path)
        with self._changed:
            self._bundles[bundle.manifest.machine_class] = bundle
            self._changed.notify_all()

    def withdraw(self, machine_class: str) -> None:
        """Go on without a model."""
        with self._changed:
            self._bundles.pop(machine_class, None)

    def get(self, machine_class: str) -> LoadedBundle | None:
        """What to use for the next window."""
        return self._bundles.get(machine_class)

    def names(self) -> dict[str, str]:
        """The bundle in use of each machine class that has one."""
        with self._changed:
            return {machine_class: bundle.name for machine_class, bundle in self._bundles.items()}

    def wait(self, machine_class: str, stopping: threading.Event) -> None:
        """Wait until there is a model for this class, or the agent stops."""
        with self._changed:
            while machine_class not in self._bundles and not stopping.is_set():
                self._changed.wait(0.5)
