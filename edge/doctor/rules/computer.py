"""The computer: processor, memory, Python and its libraries."""

from __future__ import annotations

from collections.abc import Iterator

from edge.doctor.types import Facts, Finding, Level

LEAST_MEMORY_BYTES = 128 << 20  # the agent takes at most 95 MB, a model's trial has a process of its own
ARCHITECTURES = frozenset({"x86_64", "aarch64"})
_F, _H = Level.FAULT, Level.HINT


def log_level(facts: Facts) -> Iterator[Finding]:
    """Debugging logs wear a flash out."""
    if facts.host.log_level == "debug":
        yield Finding("log-level", _H, "the log level is debug", "--log-level", "use info, for the flash's sake")


def python_too_old(facts: Facts) -> Iterator[Finding]:
    """What we are written for."""
    if facts.host.python < (3, 11):
        found = ".".join(map(str, facts.host.python))
        yield Finding("python-too-old", _F, f"this is Python {found}", "python", "install Python 3.11 or later")


def sqlite_too_old(facts: Facts) -> Iterator[Finding]:
    """Before 3.37 the outbox cannot be relied on."""
    if facts.host.sqlite < (3, 37, 0):
        found = ".".join(map(str, facts.host.sqlite))
        yield Finding("sqlite-too-old", _F, f"this is SQLite {found}", "python's sqlite3", "install 3.37 or later")


def architecture(facts: Facts) -> Iterator[Finding]:
    """There are wheels of ONNX Runtime for 64 bits only."""
    if facts.host.architecture not in ARCHITECTURES:
        yield Finding(
            "architecture",
            _F,
            f"{facts.host.architecture} has no ONNX Runtime",
            "cpu",
            "use x86_64 or aarch64 in 64 bits",
        )


def cpu_without_vectors(facts: Facts) -> Iterator[Finding]:
    """Numpy's and ONNX Runtime's wheels end with an illegal instruction below these."""
    host = facts.host
    needed = {"x86_64": "sse4_2", "aarch64": "asimd"}.get(host.architecture)
    if needed and host.cpu_flags is not None and needed not in host.cpu_flags:
        yield Finding("cpu-capability", _F, f"the processor has no {needed}", "cpu", "use a processor that has it")


def onnxruntime_does_not_load(facts: Facts) -> Iterator[Finding]:
    """Without it, a device only has its day-zero alarms."""
    if facts.host.onnxruntime_fault:
        yield Finding(
            "onnxruntime",
            _F,
            f"ONNX Runtime does not load: {facts.host.onnxruntime_fault}",
            "onnxruntime",
            "install the pinned wheels: pip install --require-hashes -r constraints/edge.txt",
        )


def too_little_memory(facts: Facts) -> Iterator[Finding]:
    """The kernel would end the agent."""
    free = facts.host.memory_available_bytes
    if free is not None and free < LEAST_MEMORY_BYTES:
        yield Finding(
            "memory",
            _F,
            f"{free >> 20} MiB of memory are available, {LEAST_MEMORY_BYTES >> 20} needed",
            "memory",
            "stop others",
        )
