from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from cloud.catalogue.engine import open_engine
from cloud.catalogue.tables import metadata
from cloud.registry import Registry
from cloud.store.local import LocalStore


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = open_engine(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    metadata.create_all(engine)
    return engine


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def open_registry(tmp_path: Path, engine: Engine, store: LocalStore) -> Callable[..., Registry]:
    """A registry over the one catalogue and store; each call is another process's view of it."""

    def open_(**options: object) -> Registry:
        return Registry(engine, store, "acme", tmp_path / "keys", **options)

    return open_


@pytest.fixture
def registry(open_registry: Callable[..., Registry]) -> Registry:
    made = open_registry()
    made.initialise()
    return made
