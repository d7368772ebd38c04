"""The registry's signing keys: Ed25519, one for each TUF role, as PEM files that only their owner may read.

These are demo keys: they lie where the registry runs. A plant keeps `root.pem` and `targets.pem` elsewhere and lays
them here only to sign; `docs/decisions/0002` says what each key can do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

from models.errors import ConfigurationError

ROLES = ("root", "targets", "snapshot", "timestamp")
Signers = Mapping[str, CryptoSigner]


def have_keys(directory: Path) -> bool:
    """Whether any key is here."""
    return any((directory / f"{role}.pem").exists() for role in ROLES)


def create_keys(directory: Path) -> Signers:
    """Make and keep a key for each role; existing files are never replaced."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for role in ROLES:
        signer = CryptoSigner.generate_ed25519()
        descriptor = os.open(directory / f"{role}.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(signer.private_bytes)
            os.fsync(file.fileno())
    return load_keys(directory)


def load_keys(directory: Path, roles: tuple[str, ...] = ROLES) -> Signers:
    """Read the keys of `roles`; a missing or unreadable one is a `ConfigurationError` naming the file."""
    signers = {}
    for role in roles:
        file = directory / f"{role}.pem"
        try:
            key = load_pem_private_key(file.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as e:
            raise ConfigurationError(
                f"cannot read the signing key: {e}",
                where=str(file),
                mend="bring the key from where it is kept; without it nothing can be published or promoted",
            ) from e
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError("the signing key is not an Ed25519 key", where=str(file))
        signers[role] = CryptoSigner(key)
    return signers
