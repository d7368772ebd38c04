"""The alert call: one change of one alarm, committed to the catalogue before the answer."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc.aio
import structlog

from cloud.alerts.types import Change, Evidence, IncomingAlert
from cloud.gateway import rules
from cloud.gateway.metrics import Metrics
from cloud.gateway.statuses import Refused, Replaced, abort
from cloud.gateway.tls import Callers
from models.errors import ForewarnError, WrongUse
from protos.forewarn.alert.v1 import alert_pb2 as pb
from protos.forewarn.alert.v1 import alert_pb2_grpc

log: structlog.stdlib.BoundLogger = structlog.get_logger()
T = TypeVar("T")
InThread = Callable[[Callable[[], T]], Awaitable[T]]
Take = Callable[[str, str, int, int, IncomingAlert], int]  # site, device, epoch, sequence, alert -> its number
NewestSession = Callable[[str, str], int]  # site, device
_EVIDENCE = 64

_CHANGES = {
    pb.ALERT_CHANGE_RAISED: Change.RAISED,
    pb.ALERT_CHANGE_WORSENED: Change.WORSENED,
    pb.ALERT_CHANGE_RETURNED_TO_NORMAL: Change.RETURNED,
}
_SEVERITIES = {pb.SEVERITY_A: "A", pb.SEVERITY_B: "B", pb.SEVERITY_C: "C", pb.SEVERITY_D: "D"}
_CONFIDENCES = {
    pb.CONFIDENCE_UNSURE: "unsure",
    pb.CONFIDENCE_QUITE_SURE: "quite_sure",
    pb.CONFIDENCE_SURE: "sure",
}

Context = grpc.aio.ServicerContext[pb.RaiseRequest, pb.RaiseResponse]


class Alerts(alert_pb2_grpc.AlertServiceServicer):
    """The alert service."""

    def __init__(
        self,
        enterprise: str,
        callers: Callers,
        newest_session: NewestSession,
        take: Take,
        in_thread: InThread[int],
        metrics: Metrics,
    ) -> None:
        """`take` and `newest_session` are called in a thread and may raise `Unavailable`."""
        self._enterprise = enterprise
        self._newest_session = newest_session
        self._callers = callers
        self._take = take
        self._in_thread = in_thread
        self._metrics = metrics

    async def Raise(self, request: pb.RaiseRequest, context: Context) -> pb.RaiseResponse:
        """Take one change of one alarm; taking it again answers the same number."""
        try:
            self._callers.check(context, request.enterprise, request.site, request.device)
            if request.enterprise != self._enterprise:
                raise Refused(f"this gateway serves the enterprise {self._enterprise!r}")
            site, device = rules.check_id("site", request.site), rules.check_id("device", request.device)
            if not 0 < request.epoch <= rules.LARGEST_SEQUENCE:
                raise WrongUse(f"epoch {request.epoch}")
            rules.check_range(request.sequence, 1)
            alert = read_alert(request.alert)
            epoch, sequence = int(request.epoch), int(request.sequence)

            def take() -> int:
                self._check_session(site, device, int(request.session))
                return self._take(site, device, epoch, sequence, alert)

            number = await self._in_thread(take)
        except ForewarnError as e:
            log.warning("alert refused", peer=context.peer(), device=request.device[:64], reason=str(e))
            await abort(context, e)
        self._metrics.alerts.inc()
        log.info("alert taken", alert=number, machine=alert.machine, change=str(alert.change), severity=alert.severity)
        return pb.RaiseResponse(alert_id=number)

    def _check_session(self, site: str, device: str, session: int) -> None:
        """Refuse a holder of this identity whom a newer Hello replaced; a device of the first version has no number."""
        if session and session < self._newest_session(site, device):
            raise Replaced(
                "a newer session of this device has taken over",
                where=f"{site}/{device}",
                mend="is there a copy of this device? Give each a name and a store of its own",
            )


def read_alert(message: pb.Alert) -> IncomingAlert:
    """Return the plain alert. An enum that is not known here never hides an alarm: it reads as the graver word."""
    if not message.key or len(message.key) > 100:
        raise WrongUse("an alert has a key of 1 to 100 characters")
    life = message.remaining_life
    return IncomingAlert(
        key=message.key,
        change=_CHANGES.get(message.change, Change.RAISED),
        machine=rules.check_id("machine", message.machine),
        channel=rules.check_id("channel", message.channel) if message.channel else "",
        event_time_ns=message.event_time_ns,
        severity=_SEVERITIES.get(message.severity, "D"),
        confidence=_CONFIDENCES.get(message.confidence, "unsure"),
        part=message.part[:64],
        fault=message.fault[:64],
        source=message.source[:200],
        score=_finite(message.score),
        threshold=_finite(message.threshold),
        remaining_life_s=_life(life) if message.HasField("remaining_life") else None,
        no_estimate_reason=message.no_estimate_reason[:500],
        evidence=tuple(_evidence(e) for e in message.evidence[:_EVIDENCE]),
        replay=message.replay,
        simulated=message.simulated,
        quality=message.quality & 0xFF,
    )


def _life(message: pb.Interval) -> tuple[float, float, float] | None:
    values = (message.p05_s, message.p50_s, message.p95_s)
    return values if all(map(math.isfinite, values)) else None


def _evidence(message: pb.Evidence) -> Evidence:
    return Evidence(
        feature=message.feature[:64],
        channel=message.channel[:64],
        unit=message.unit[:32],
        value=_finite(message.value),
        baseline=_finite(message.baseline),
        limit=_finite(message.limit),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
