from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AlertChange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ALERT_CHANGE_UNSPECIFIED: _ClassVar[AlertChange]
    ALERT_CHANGE_RAISED: _ClassVar[AlertChange]
    ALERT_CHANGE_WORSENED: _ClassVar[AlertChange]
    ALERT_CHANGE_RETURNED_TO_NORMAL: _ClassVar[AlertChange]

class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEVERITY_UNSPECIFIED: _ClassVar[Severity]
    SEVERITY_A: _ClassVar[Severity]
    SEVERITY_B: _ClassVar[Severity]
    SEVERITY_C: _ClassVar[Severity]
    SEVERITY_D: _ClassVar[Severity]

class Confidence(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONFIDENCE_UNSPECIFIED: _ClassVar[Confidence]
    CONFIDENCE_UNSURE: _ClassVar[Confidence]
    CONFIDENCE_QUITE_SURE: _ClassVar[Confidence]
    CONFIDENCE_SURE: _ClassVar[Confidence]
ALERT_CHANGE_UNSPECIFIED: AlertChange
ALERT_CHANGE_RAISED: AlertChange
ALERT_CHANGE_WORSENED: AlertChange
ALERT_CHANGE_RETURNED_TO_NORMAL: AlertChange
SEVERITY_UNSPECIFIED: Severity
SEVERITY_A: Severity
SEVERITY_B: Severity
SEVERITY_C: Severity
SEVERITY_D: Severity
CONFIDENCE_UNSPECIFIED: Confidence
CONFIDENCE_UNSURE: Confidence
CONFIDENCE_QUITE_SURE: Confidence
CONFIDENCE_SURE: Confidence

class RaiseRequest(_message.Message):
    __slots__ = ("enterprise", "site", "device", "epoch", "sequence", "alert", "session")
    ENTERPRISE_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ALERT_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    enterprise: str
    site: str
    device: str
    epoch: int
    sequence: int
    alert: Alert
    session: int
    def __init__(self, enterprise: _Optional[str] = ..., site: _Optional[str] = ..., device: _Optional[str] = ..., epoch: _Optional[int] = ..., sequence: _Optional[int] = ..., alert: _Optional[_Union[Alert, _Mapping]] = ..., session: _Optional[int] = ...) -> None: ...

class RaiseResponse(_message.Message):
    __slots__ = ("alert_id",)
    ALERT_ID_FIELD_NUMBER: _ClassVar[int]
    alert_id: int
    def __init__(self, alert_id: _Optional[int] = ...) -> None: ...

class Alert(_message.Message):
    __slots__ = ("key", "change", "machine", "channel", "event_time_ns", "severity", "confidence", "part", "fault", "source", "score", "threshold", "remaining_life", "no_estimate_reason", "evidence", "replay", "simulated", "quality")
    KEY_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    REMAINING_LIFE_FIELD_NUMBER: _ClassVar[int]
    NO_ESTIMATE_REASON_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    SIMULATED_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    key: str
    change: AlertChange
    machine: str
    channel: str
    event_time_ns: int
    severity: Severity
    confidence: Confidence
    part: str
    fault: str
    source: str
    score: float
    threshold: float
    remaining_life: Interval
    no_estimate_reason: str
    evidence: _containers.RepeatedCompositeFieldContainer[Evidence]
    replay: bool
    simulated: bool
    quality: int
    def __init__(self, key: _Optional[str] = ..., change: _Optional[_Union[AlertChange, str]] = ..., machine: _Optional[str] = ..., channel: _Optional[str] = ..., event_time_ns: _Optional[int] = ..., severity: _Optional[_Union[Severity, str]] = ..., confidence: _Optional[_Union[Confidence, str]] = ..., part: _Optional[str] = ..., fault: _Optional[str] = ..., source: _Optional[str] = ..., score: _Optional[float] = ..., threshold: _Optional[float] = ..., remaining_life: _Optional[_Union[Interval, _Mapping]] = ..., no_estimate_reason: _Optional[str] = ..., evidence: _Optional[_Iterable[_Union[Evidence, _Mapping]]] = ..., replay: _Optional[bool] = ..., simulated: _Optional[bool] = ..., quality: _Optional[int] = ...) -> None: ...

class Interval(_message.Message):
    __slots__ = ("p05_s", "p50_s", "p95_s")
    P05_S_FIELD_NUMBER: _ClassVar[int]
    P50_S_FIELD_NUMBER: _ClassVar[int]
    P95_S_FIELD_NUMBER: _ClassVar[int]
    p05_s: float
    p50_s: float
    p95_s: float
    def __init__(self, p05_s: _Optional[float] = ..., p50_s: _Optional[float] = ..., p95_s: _Optional[float] = ...) -> None: ...

class Evidence(_message.Message):
    __slots__ = ("feature", "channel", "unit", "value", "baseline", "limit")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    feature: str
    channel: str
    unit: str
    value: float
    baseline: float
    limit: float
    def __init__(self, feature: _Optional[str] = ..., channel: _Optional[str] = ..., unit: _Optional[str] = ..., value: _Optional[float] = ..., baseline: _Optional[float] = ..., limit: _Optional[float] = ...) -> None: ...
