"""A cloud to update from: the real registry over a local store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cloud.catalogue.engine import open_engine
from cloud.catalogue.tables import metadata
from cloud.registry import Registry
from cloud.store.local import LocalStore
from tests.edge.updater.device import Device, Link
from tests.models.making import make_parts

PARTS = make_parts()


def data_of(name: str, machine_class: str = "bearing") -> bytes:
    return PARTS.with_manifest(name=name, machine_class=machine_class).pack()


class Site:
    """A registry of its own keys in a folder of its own."""

    def __init__(self, folder: Path, **options: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.engine = open_engine(f"sqlite:///{folder / 'catalogue.sqlite'}")
        metadata.create_all(self.engine)
        self.store = LocalStore(folder / "store")
        self.registry = Registry(self.engine, self.store, "acme", folder / "keys", **options)
        self.registry.initialise()

    @property
    def root(self) -> bytes:
        return self.registry.trust_root.read_bytes()

    @property
    def files(self) -> Path:
        """The folder that holds `metadata` and `targets`."""
        return self.folder / "store" / "registry" / "acme"

    def champion(self, name: str, data: bytes | None = None) -> str:
        self.registry.publish(data or data_of(name))
        self.registry.promote(name)
        return name

    def copy_files(self, to: Path) -> Path:
        shutil.copytree(self.files, to)
        return to


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "cloud")


@pytest.fixture
def open_device(tmp_path: Path, site: Site) -> Callable[..., Device]:
    """A device with its slots; opened again, it is the same device after a restart."""

    def open_(
        files: Path | None = None, *, slots: str = "slots", root: bytes | None = None, **options: object
    ) -> Device:
        return Device(tmp_path / slots, root or site.root, Link(files or site.files), **options)

    return open_
