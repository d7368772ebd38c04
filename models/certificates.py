"""How a device and a gateway know each other: the name in a device's certificate, and certificate files read whole.

Both sides read their files again and again, because certificates are short-lived and whoever renews them does not ask:
a moment in which a new certificate lies beside the old key is passed over, and what was read before stays in use.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from models.errors import ConfigurationError

_TRIES = 3  # to find the files at rest
_Signs = tuple[tuple[int, int, int], ...]


def identity(enterprise: str, site: str, device: str) -> str:
    """The URI that a device's certificate has as subject alternative name (docs/decisions/0012)."""
    return "forewarn://" + "/".join(quote(part, safe="") for part in (enterprise, site, device))


@dataclass(frozen=True, slots=True)
class Material:
    """What TLS needs of one side, as PEM; empty where no file is named."""

    ca: bytes
    certificate: bytes
    key: bytes


class CertificateFiles:
    """A CA's certificates, a certificate chain and its key; an empty path is a part that is not used."""

    def __init__(self, *, ca: str, certificate: str, key: str) -> None:
        self._ca, self._certificate, self._key = ca, certificate, key
        self._seen: _Signs = ()

    def read(self) -> Material:
        """What the files say; ConfigurationError names the file that is missing, no PEM, or does not fit the others."""
        for _ in range(_TRIES):
            self._seen = before = self._signs()
            found = Material(*map(_bytes, (self._ca, self._certificate, self._key)))
            self._check()
            if self._signs() == before:
                return found
        raise ConfigurationError("it changes while it is read", where=self._certificate or self._ca)

    def newer(self) -> Material | None:
        """What the files say, if they changed since they were last looked at; errors as `read` has them, once each."""
        return None if self._signs() == self._seen else self.read()

    def _signs(self) -> _Signs:
        found = [Path(path) for path in (self._ca, self._certificate, self._key) if path]
        return tuple(_sign(path) for path in found)

    def _check(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._ca:
            try:
                context.load_verify_locations(self._ca)
            except OSError as e:  # ssl.SSLError is one
                raise ConfigurationError("no certificate of a CA in it", where=self._ca, mend="give a PEM file") from e
        if self._certificate:
            _check_pair(context, self._certificate, self._key)


def _check_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    try:
        context.load_cert_chain(
            certificate, key, password=lambda: b"-"
        )  # without it, an encrypted key asks the terminal
    except ssl.SSLError as e:
        if e.reason == "KEY_VALUES_MISMATCH":
            what, mend = f"its key is not the one in {key}", "put both files of one pair in place"
        else:
            what, mend = f"no certificate, or no plain key in {key}", "give PEM files; the key without a passphrase"
        raise ConfigurationError(what, where=certificate, mend=mend) from e


def _sign(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)  # `read` says why
    return found.st_mtime_ns, found.st_size, found.st_ino


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes() if path else b""
    except OSError as e:
        raise ConfigurationError(f"cannot be read: {e.strerror}", where=path) from e
