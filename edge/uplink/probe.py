"""Whether a gateway answers and would take this device, without leaving a trace in it.

The Hello has no epoch: a gateway refuses it after it has compared protocol version and enterprise, and before it opens
anything for the device. So INVALID_ARGUMENT is the good answer.
"""

from __future__ import annotations

import grpc

from edge import wire
from edge.uplink.link import credentials
from models.certificates import Material
from protos.forewarn.telemetry.v1.telemetry_pb2_grpc import TelemetryServiceStub

GOOD, VERSION, REFUSED, SILENT, STRANGER = "good", "version", "refused", "silent", "stranger"
_MEANING = {
    grpc.StatusCode.INVALID_ARGUMENT: GOOD,
    grpc.StatusCode.FAILED_PRECONDITION: VERSION,
    grpc.StatusCode.PERMISSION_DENIED: REFUSED,
    grpc.StatusCode.DEADLINE_EXCEEDED: SILENT,
}


def probe(
    address: str, *, enterprise: str, site: str, device: str, within_s: float, material: Material | None = None
) -> tuple[str, str]:
    """With `material` over TLS: (GOOD, VERSION, REFUSED, SILENT or STRANGER, what the other side said)."""
    hello = wire.hello(
        enterprise=enterprise, site=site, device=device, epoch=0, head=0, kept=(), software_version="", machines=()
    )
    with (
        grpc.insecure_channel(address)
        if material is None
        else grpc.secure_channel(address, credentials(material)) as channel
    ):
        stub = TelemetryServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        try:
            next(iter(stub.Stream(iter([hello]), timeout=within_s)))
        except grpc.RpcError as e:
            code = e.code()
            return _MEANING.get(code, STRANGER), f"{code.name}: {e.details() or ''}"
        except StopIteration:
            return STRANGER, "the stream ended without a word"
    return GOOD, ""
