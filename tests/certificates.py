"""A certificate authority for tests: makes what a plant's CA makes, and what it should not have made."""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from models.certificates import Material, identity

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path, name: str) -> tuple[str, str]:
        """Put both files in place, each at once; return their paths."""
        for suffix, data in ((".pem", self.certificate), (".key", self.key)):
            beside = folder / f".{name}{suffix}"
            beside.write_bytes(data)
            beside.chmod(0o600)
            os.replace(beside, folder / f"{name}{suffix}")
        return str(folder / f"{name}.pem"), str(folder / f"{name}.key")


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Authority:
    """Signs; without one (`None` as a signer below) a certificate signs itself."""

    def __init__(self, name: str = "plant CA") -> None:
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = _builder(self._name, self._name, self._key, -DAY, 10 * DAY)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = _pem(own.sign(self._key, hashes.SHA256()))

    def device(
        self,
        device: str = "edge-1",
        *,
        enterprise: str = "demo",
        site: str = "hall",
        begins: datetime.timedelta = -DAY,
        ends: datetime.timedelta = DAY,
        server_only: bool = False,
        self_signed: bool = False,
        named: bool = True,
    ) -> Pair:
        """A device's certificate, as good or bad as is asked for."""
        key = ec.generate_private_key(ec.SECP256R1())
        mine = _name(device)
        made = _builder(mine, mine if self_signed else self._name, key, begins, ends)
        if named:
            uri = x509.UniformResourceIdentifier(identity(enterprise, site, device))
            made = made.add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server_only else ExtendedKeyUsageOID.CLIENT_AUTH
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return Pair(_pem(made.sign(key if self_signed else self._key, hashes.SHA256())), _key_pem(key))

    def gateway(self, address: str = "127.0.0.1", *, ends: datetime.timedelta = DAY) -> Pair:
        """A gateway's certificate, for one IP address."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _builder(_name("gateway"), self._name, key, -DAY, ends)
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        made = made.add_extension(names, critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return Pair(_pem(made.sign(self._key, hashes.SHA256())), _key_pem(key))

    def material(self, pair: Pair | None) -> Material:
        """What a client that trusts this authority needs; None: it has no certificate of its own."""
        return Material(self.certificate, pair.certificate if pair else b"", pair.key if pair else b"")


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begins: datetime.timedelta,
    ends: datetime.timedelta,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    return made.not_valid_before(min(now + begins, now + ends - DAY)).not_valid_after(now + ends)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
