from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CommandKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMMAND_KIND_UNSPECIFIED: _ClassVar[CommandKind]
    COMMAND_KIND_ACKNOWLEDGE: _ClassVar[CommandKind]
    COMMAND_KIND_NEW_BASELINE: _ClassVar[CommandKind]
    COMMAND_KIND_SEND_FLIGHT: _ClassVar[CommandKind]

class BundleState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BUNDLE_STATE_UNSPECIFIED: _ClassVar[BundleState]
    BUNDLE_STATE_RUNNING: _ClassVar[BundleState]
    BUNDLE_STATE_REFUSED: _ClassVar[BundleState]
COMMAND_KIND_UNSPECIFIED: CommandKind
COMMAND_KIND_ACKNOWLEDGE: CommandKind
COMMAND_KIND_NEW_BASELINE: CommandKind
COMMAND_KIND_SEND_FLIGHT: CommandKind
BUNDLE_STATE_UNSPECIFIED: BundleState
BUNDLE_STATE_RUNNING: BundleState
BUNDLE_STATE_REFUSED: BundleState

class WatchRequest(_message.Message):
    __slots__ = ("enterprise", "site", "device", "machine_classes", "running_bundle")
    ENTERPRISE_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    MACHINE_CLASSES_FIELD_NUMBER: _ClassVar[int]
    RUNNING_BUNDLE_FIELD_NUMBER: _ClassVar[int]
    enterprise: str
    site: str
    device: str
    machine_classes: _containers.RepeatedScalarFieldContainer[str]
    running_bundle: str
    def __init__(self, enterprise: _Optional[str] = ..., site: _Optional[str] = ..., device: _Optional[str] = ..., machine_classes: _Optional[_Iterable[str]] = ..., running_bundle: _Optional[str] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("assignment", "command")
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    assignment: Assignment
    command: Command
    def __init__(self, assignment: _Optional[_Union[Assignment, _Mapping]] = ..., command: _Optional[_Union[Command, _Mapping]] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("bundle", "machine_class")
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    MACHINE_CLASS_FIELD_NUMBER: _ClassVar[int]
    bundle: str
    machine_class: str
    def __init__(self, bundle: _Optional[str] = ..., machine_class: _Optional[str] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("id", "machine", "kind", "alert_key", "from_ns", "to_ns")
    ID_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ALERT_KEY_FIELD_NUMBER: _ClassVar[int]
    FROM_NS_FIELD_NUMBER: _ClassVar[int]
    TO_NS_FIELD_NUMBER: _ClassVar[int]
    id: str
    machine: str
    kind: CommandKind
    alert_key: str
    from_ns: int
    to_ns: int
    def __init__(self, id: _Optional[str] = ..., machine: _Optional[str] = ..., kind: _Optional[_Union[CommandKind, str]] = ..., alert_key: _Optional[str] = ..., from_ns: _Optional[int] = ..., to_ns: _Optional[int] = ...) -> None: ...

class FetchRequest(_message.Message):
    __slots__ = ("path",)
    PATH_FIELD_NUMBER: _ClassVar[int]
    path: str
    def __init__(self, path: _Optional[str] = ...) -> None: ...

class FetchResponse(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    def __init__(self, chunk: _Optional[bytes] = ...) -> None: ...

class ReportRequest(_message.Message):
    __slots__ = ("enterprise", "site", "device", "bundle", "state", "reason")
    ENTERPRISE_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    enterprise: str
    site: str
    device: str
    bundle: str
    state: BundleState
    reason: str
    def __init__(self, enterprise: _Optional[str] = ..., site: _Optional[str] = ..., device: _Optional[str] = ..., bundle: _Optional[str] = ..., state: _Optional[_Union[BundleState, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class ReportResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
