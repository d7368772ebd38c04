from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChannelKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANNEL_KIND_UNSPECIFIED: _ClassVar[ChannelKind]
    CHANNEL_KIND_WAVEFORM: _ClassVar[ChannelKind]
    CHANNEL_KIND_SCALAR: _ClassVar[ChannelKind]

class RecordKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECORD_KIND_UNSPECIFIED: _ClassVar[RecordKind]
    RECORD_KIND_FEATURES: _ClassVar[RecordKind]
    RECORD_KIND_SCALARS: _ClassVar[RecordKind]
    RECORD_KIND_SPECTRUM: _ClassVar[RecordKind]
    RECORD_KIND_WAVEFORM: _ClassVar[RecordKind]
    RECORD_KIND_ALERT: _ClassVar[RecordKind]
    RECORD_KIND_HEALTH: _ClassVar[RecordKind]
    RECORD_KIND_GAP: _ClassVar[RecordKind]
    RECORD_KIND_ASSESSMENT: _ClassVar[RecordKind]
    RECORD_KIND_STATE: _ClassVar[RecordKind]

class Dtype(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DTYPE_UNSPECIFIED: _ClassVar[Dtype]
    DTYPE_FLOAT32: _ClassVar[Dtype]
    DTYPE_INT16: _ClassVar[Dtype]
    DTYPE_UINT8: _ClassVar[Dtype]

class TimeBase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIME_BASE_UNSPECIFIED: _ClassVar[TimeBase]
    TIME_BASE_LIVE: _ClassVar[TimeBase]
    TIME_BASE_REPLAY: _ClassVar[TimeBase]

class RejectionCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REJECTION_CODE_UNSPECIFIED: _ClassVar[RejectionCode]
    REJECTION_CODE_NOT_FINITE: _ClassVar[RejectionCode]
    REJECTION_CODE_WRONG_LENGTH: _ClassVar[RejectionCode]
    REJECTION_CODE_FUTURE_TIME: _ClassVar[RejectionCode]
    REJECTION_CODE_UNKNOWN_SCHEMA: _ClassVar[RejectionCode]
    REJECTION_CODE_UNKNOWN_POINT: _ClassVar[RejectionCode]
CHANNEL_KIND_UNSPECIFIED: ChannelKind
CHANNEL_KIND_WAVEFORM: ChannelKind
CHANNEL_KIND_SCALAR: ChannelKind
RECORD_KIND_UNSPECIFIED: RecordKind
RECORD_KIND_FEATURES: RecordKind
RECORD_KIND_SCALARS: RecordKind
RECORD_KIND_SPECTRUM: RecordKind
RECORD_KIND_WAVEFORM: RecordKind
RECORD_KIND_ALERT: RecordKind
RECORD_KIND_HEALTH: RecordKind
RECORD_KIND_GAP: RecordKind
RECORD_KIND_ASSESSMENT: RecordKind
RECORD_KIND_STATE: RecordKind
DTYPE_UNSPECIFIED: Dtype
DTYPE_FLOAT32: Dtype
DTYPE_INT16: Dtype
DTYPE_UINT8: Dtype
TIME_BASE_UNSPECIFIED: TimeBase
TIME_BASE_LIVE: TimeBase
TIME_BASE_REPLAY: TimeBase
REJECTION_CODE_UNSPECIFIED: RejectionCode
REJECTION_CODE_NOT_FINITE: RejectionCode
REJECTION_CODE_WRONG_LENGTH: RejectionCode
REJECTION_CODE_FUTURE_TIME: RejectionCode
REJECTION_CODE_UNKNOWN_SCHEMA: RejectionCode
REJECTION_CODE_UNKNOWN_POINT: RejectionCode

class RecallRequest(_message.Message):
    __slots__ = ("enterprise", "site", "device", "machines")
    ENTERPRISE_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    enterprise: str
    site: str
    device: str
    machines: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, enterprise: _Optional[str] = ..., site: _Optional[str] = ..., device: _Optional[str] = ..., machines: _Optional[_Iterable[str]] = ...) -> None: ...

class RecallResponse(_message.Message):
    __slots__ = ("machine", "event_time_ns", "data", "last")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    machine: str
    event_time_ns: int
    data: bytes
    last: bool
    def __init__(self, machine: _Optional[str] = ..., event_time_ns: _Optional[int] = ..., data: _Optional[bytes] = ..., last: _Optional[bool] = ...) -> None: ...

class StreamRequest(_message.Message):
    __slots__ = ("hello", "schema", "batches", "part")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    schema: Schema
    batches: Batches
    part: Part
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., schema: _Optional[_Union[Schema, _Mapping]] = ..., batches: _Optional[_Union[Batches, _Mapping]] = ..., part: _Optional[_Union[Part, _Mapping]] = ...) -> None: ...

class StreamResponse(_message.Message):
    __slots__ = ("welcome", "ack")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    ack: Ack
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ...) -> None: ...

class SequenceRange(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class Mark(_message.Message):
    __slots__ = ("sequence", "digest")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    digest: bytes
    def __init__(self, sequence: _Optional[int] = ..., digest: _Optional[bytes] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol_version", "oldest_protocol_version", "enterprise", "site", "device", "epoch", "head", "kept", "software_version", "machines")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    OLDEST_PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    ENTERPRISE_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    oldest_protocol_version: int
    enterprise: str
    site: str
    device: str
    epoch: int
    head: int
    kept: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    software_version: str
    machines: _containers.RepeatedCompositeFieldContainer[Machine]
    def __init__(self, protocol_version: _Optional[int] = ..., oldest_protocol_version: _Optional[int] = ..., enterprise: _Optional[str] = ..., site: _Optional[str] = ..., device: _Optional[str] = ..., epoch: _Optional[int] = ..., head: _Optional[int] = ..., kept: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ..., software_version: _Optional[str] = ..., machines: _Optional[_Iterable[_Union[Machine, _Mapping]]] = ...) -> None: ...

class Machine(_message.Message):
    __slots__ = ("name", "machine_class", "simulated", "channels", "speed_rpm", "line")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MACHINE_CLASS_FIELD_NUMBER: _ClassVar[int]
    SIMULATED_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    SPEED_RPM_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    name: str
    machine_class: str
    simulated: bool
    channels: _containers.RepeatedCompositeFieldContainer[Channel]
    speed_rpm: float
    line: str
    def __init__(self, name: _Optional[str] = ..., machine_class: _Optional[str] = ..., simulated: _Optional[bool] = ..., channels: _Optional[_Iterable[_Union[Channel, _Mapping]]] = ..., speed_rpm: _Optional[float] = ..., line: _Optional[str] = ...) -> None: ...

class Channel(_message.Message):
    __slots__ = ("name", "unit", "rate_hz", "kind")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    name: str
    unit: str
    rate_hz: float
    kind: ChannelKind
    def __init__(self, name: _Optional[str] = ..., unit: _Optional[str] = ..., rate_hz: _Optional[float] = ..., kind: _Optional[_Union[ChannelKind, str]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("protocol_version", "stored", "head", "credit_bytes", "largest_message_bytes", "session")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    CREDIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    LARGEST_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    stored: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    head: Mark
    credit_bytes: int
    largest_message_bytes: int
    session: int
    def __init__(self, protocol_version: _Optional[int] = ..., stored: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ..., head: _Optional[_Union[Mark, _Mapping]] = ..., credit_bytes: _Optional[int] = ..., largest_message_bytes: _Optional[int] = ..., session: _Optional[int] = ...) -> None: ...

class Schema(_message.Message):
    __slots__ = ("id", "columns", "units")
    ID_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    id: int
    columns: _containers.RepeatedScalarFieldContainer[str]
    units: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[int] = ..., columns: _Optional[_Iterable[str]] = ..., units: _Optional[_Iterable[str]] = ...) -> None: ...

class Batches(_message.Message):
    __slots__ = ("batches",)
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    batches: _containers.RepeatedCompositeFieldContainer[Batch]
    def __init__(self, batches: _Optional[_Iterable[_Union[Batch, _Mapping]]] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("first_sequence", "count", "kind", "time_base", "schema", "points", "point", "event_time", "quality", "dtype", "width", "values", "step", "scale", "source", "gaps", "digest")
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    count: int
    kind: RecordKind
    time_base: TimeBase
    schema: int
    points: _containers.RepeatedCompositeFieldContainer[Point]
    point: bytes
    event_time: bytes
    quality: bytes
    dtype: Dtype
    width: int
    values: bytes
    step: float
    scale: float
    source: str
    gaps: _containers.RepeatedCompositeFieldContainer[Gap]
    digest: bytes
    def __init__(self, first_sequence: _Optional[int] = ..., count: _Optional[int] = ..., kind: _Optional[_Union[RecordKind, str]] = ..., time_base: _Optional[_Union[TimeBase, str]] = ..., schema: _Optional[int] = ..., points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ..., point: _Optional[bytes] = ..., event_time: _Optional[bytes] = ..., quality: _Optional[bytes] = ..., dtype: _Optional[_Union[Dtype, str]] = ..., width: _Optional[int] = ..., values: _Optional[bytes] = ..., step: _Optional[float] = ..., scale: _Optional[float] = ..., source: _Optional[str] = ..., gaps: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ..., digest: _Optional[bytes] = ...) -> None: ...

class Part(_message.Message):
    __slots__ = ("first_sequence", "digest", "size", "offset", "data")
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    digest: bytes
    size: int
    offset: int
    data: bytes
    def __init__(self, first_sequence: _Optional[int] = ..., digest: _Optional[bytes] = ..., size: _Optional[int] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class Point(_message.Message):
    __slots__ = ("machine", "channel")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    machine: str
    channel: str
    def __init__(self, machine: _Optional[str] = ..., channel: _Optional[str] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("range", "reason")
    RANGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    range: SequenceRange
    reason: str
    def __init__(self, range: _Optional[_Union[SequenceRange, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("received", "stored", "rejected", "part_bytes")
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    PART_BYTES_FIELD_NUMBER: _ClassVar[int]
    received: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    stored: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    rejected: _containers.RepeatedCompositeFieldContainer[Rejection]
    part_bytes: int
    def __init__(self, received: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ..., stored: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ..., rejected: _Optional[_Iterable[_Union[Rejection, _Mapping]]] = ..., part_bytes: _Optional[int] = ...) -> None: ...

class Rejection(_message.Message):
    __slots__ = ("sequence", "code", "reason")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    code: RejectionCode
    reason: str
    def __init__(self, sequence: _Optional[int] = ..., code: _Optional[_Union[RejectionCode, str]] = ..., reason: _Optional[str] = ...) -> None: ...
