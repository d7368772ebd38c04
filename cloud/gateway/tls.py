"""TLS at the gateway's door: its own certificate, and whose certificate may speak for which device.

The handshake refuses who has no certificate of the devices' CA, before any handler runs. What a certificate says is
compared with what each call says of itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import grpc
import grpc.aio
import structlog

from cloud.config import TlsConfig
from cloud.gateway.statuses import Refused
from models.certificates import CertificateFiles, Material, identity
from models.errors import ConfigurationError

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def server_credentials(config: TlsConfig) -> grpc.ServerCredentials:
    """Credentials that follow the files; ConfigurationError when these cannot be used now."""
    files = CertificateFiles(ca=config.client_ca, certificate=config.certificate, key=config.key)

    def changed() -> grpc.ServerCertificateConfiguration | None:
        """Asked at each handshake; None leaves what was there before."""
        try:
            newer = files.newer()
        except ConfigurationError as e:
            log.error("certificate not taken, the one before stays in use", reason=str(e))
            return None
        if newer is not None:
            log.info("certificate taken", file=config.certificate)
        return _configuration(newer) if newer else None

    return grpc.dynamic_ssl_server_credentials(
        _configuration(files.read()),
        changed,  # type: ignore[arg-type]  # the stubs forget that it may be None
        require_client_authentication=bool(config.client_ca),
    )


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(material.key, material.certificate)], material.ca or None)


class Callers:
    """Compares who calls with who they say they are."""

    def __init__(self, *, certified: bool) -> None:
        """`certified`: devices have certificates; without, a device is who it says it is."""
        self._certified = certified

    def check(self, context: grpc.aio.ServicerContext, enterprise: str, site: str, device: str) -> None:  # type: ignore[type-arg]
        """Refuse a caller whose certificate is not this device's."""
        if not self._certified:
            return
        claimed, names = identity(enterprise, site, device), _names(context)
        if claimed not in names:
            raise Refused(
                f"the certificate is of {_listed(names)}, not of {claimed[:200]}",
                mend="give the device its own certificate, or correct its enterprise, site or name",
            )

    def check_enterprise(self, context: grpc.aio.ServicerContext, enterprise: str) -> None:  # type: ignore[type-arg]
        """Refuse a caller whose certificate is of another enterprise."""
        names = _names(context) if self._certified else ()
        if self._certified and not any(name.startswith(identity(enterprise, "", "")[:-1]) for name in names):
            raise Refused(f"the certificate is of {_listed(names)}, not of the enterprise {enterprise!r}")


def _names(context: grpc.aio.ServicerContext) -> tuple[str, ...]:  # type: ignore[type-arg]
    """What the certificate of this connection says of its holder."""
    found: Iterable[bytes] = context.auth_context().get("x509_subject_alternative_name", ())
    return tuple(name.decode(errors="replace") for name in found)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)[:200] or "nobody (it has no subject alternative name)"
