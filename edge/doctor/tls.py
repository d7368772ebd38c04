"""What the doctor finds out about TLS: the files of the `[cloud]` table, and a handshake with each gateway.

The handshake is Python's own, because its errors say what is wrong with a certificate and gRPC's do not.
"""

# ruff: noqa: PLC0415 - what a fact needs is imported for it: the doctor must run where the agent does not
from __future__ import annotations

import socket
import ssl
import stat
from pathlib import Path

from edge.config import CloudLinkConfig, EdgeConfig, certificates_of
from edge.doctor.types import CertificateFacts
from models.certificates import Material, identity
from models.errors import ConfigurationError


def material_of(config: EdgeConfig) -> Material | None:
    """What the files say; None where none are named, or they cannot be used."""
    files = certificates_of(config)
    try:
        return files.read() if files else None
    except ConfigurationError:
        return None


def certificate_facts(config: EdgeConfig) -> CertificateFacts | None:
    """The files as they lie here; None where none are named."""
    files = certificates_of(config)
    if files is None:
        return None
    try:
        found = files.read()
    except ConfigurationError as e:
        return CertificateFacts(path=e.where, fault=e.what)
    if not found.certificate:
        return CertificateFacts(path=config.cloud.ca)
    from cryptography import x509

    certificate = x509.load_pem_x509_certificates(found.certificate)[0]
    names: list[str] = []
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        pass  # then it has no name
    return CertificateFacts(
        path=config.cloud.certificate,
        begins_s=certificate.not_valid_before_utc.timestamp(),
        ends_s=certificate.not_valid_after_utc.timestamp(),
        names=tuple(names),
        wanted=identity(config.enterprise, config.site, config.device),
        key_mode=stat.S_IMODE(Path(config.cloud.key).stat().st_mode),
    )


def handshake_fault(host: str, port: int, cloud: CloudLinkConfig, within_s: float) -> str:
    """Why no TLS comes about with a gateway; empty if it does. The files can be used."""
    context = ssl.create_default_context(cafile=cloud.ca)
    context.set_alpn_protocols(["h2"])
    if cloud.certificate:
        context.load_cert_chain(cloud.certificate, cloud.key)
    try:
        with (
            socket.create_connection((host, port), within_s) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            if not secure.recv(1):  # TLS 1.3: what the gateway thinks of our certificate shows after the handshake
                return (
                    "it does not take this device's certificate" if cloud.certificate else "it asks for a certificate"
                )
    except ssl.SSLCertVerificationError as e:
        return f"its certificate: {e.verify_message}"
    except ssl.SSLError as e:
        return (e.reason or str(e)).lower().replace("_", " ")
    except OSError as e:
        return e.strerror or str(e)
    return ""
