"""Builds the cloud's parts and wires them: the only file of the cloud that does.

Each part is built on first use, so that a command that needs the catalogue alone imports no Parquet and no S3 client.
"""

# ruff: noqa: PLC0415 - each part is imported when it is first used
from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cloud.catalogue.engine import open_engine
from cloud.catalogue.migrate import migrate
from cloud.config import CloudConfig, load_config
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cloud.alerts.book import AlertBook
    from cloud.lake.reader import Lake
    from cloud.registry import Registry
    from cloud.store import ObjectStore

_SECRET = "FOREWARN_S3_SECRET"  # noqa: S105 - the variable's name


class Cloud:
    """The parts over one data folder and configuration."""

    def __init__(self, data: Path, config: CloudConfig) -> None:
        self.data = data
        self.config = config

    @property
    def enterprise(self) -> str:
        """The company whose data this is."""
        return self.config.enterprise

    @property
    def trust_root(self) -> Path:
        """The file that devices are given to trust this cloud's bundles; the registry writes it."""
        return self.data / "trust" / "root.json"

    @cached_property
    def engine(self) -> Engine:
        """The catalogue, migrated to the newest schema."""
        engine = open_engine(self.config.database or f"sqlite:///{self.data / 'catalogue.sqlite'}")
        migrate(engine)
        return engine

    @cached_property
    def store(self) -> ObjectStore:
        """The object store: a folder, or the S3 server that the configuration names."""
        if self.config.s3 is None:
            from cloud.store.local import LocalStore

            return LocalStore(self.data / "store")
        from cloud.store.s3 import S3Store

        return S3Store(self.config.s3, self._s3_secret())

    @cached_property
    def lake(self) -> Lake:
        """What devices measured."""
        from cloud.lake.reader import Lake

        return Lake(self.engine, self.store, self.enterprise)

    @cached_property
    def registry(self) -> Registry:
        """The signed bundles."""
        from cloud.registry import Registry

        return Registry(self.engine, self.store, self.enterprise, self.data / "keys")

    @cached_property
    def alerts(self) -> AlertBook:
        """What devices warned of, and what the crew did about it."""
        from cloud.alerts.book import AlertBook

        return AlertBook(self.engine, self.enterprise)

    def _s3_secret(self) -> str:
        assert self.config.s3 is not None
        if self.config.s3.secret_file:
            file = self.data / self.config.s3.secret_file
            try:
                return file.read_text().strip()
            except OSError as e:
                raise ConfigurationError(
                    f"cannot read the secret: {e.strerror}", where=str(file), mend="see s3.secret_file in cloud.toml"
                ) from e
        if _SECRET not in os.environ:
            raise ConfigurationError(
                "no secret for the object store",
                where=str(self.data / "cloud.toml"),
                mend=f"set s3.secret_file or the environment variable {_SECRET}",
            )
        return os.environ[_SECRET]

    def close(self) -> None:
        """Give the catalogue's connections back."""
        if "engine" in self.__dict__:
            self.engine.dispose()


def open_cloud(data: Path) -> Cloud:
    """Open the cloud over the folder `data`, which is made when absent; `cloud.toml` in it is optional."""
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise ConfigurationError(f"cannot make the data folder: {e.strerror}", where=str(data)) from e
    return Cloud(data, load_config(data))
