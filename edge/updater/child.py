"""The trial: a short-lived process that downloads, verifies and tries one bundle, so that the agent never dies of one.

`python -m edge.updater.child FD DEADLINE_S`, started by `edge.updater.trial`; FD is a socket to the agent, and the only
thing that this process can reach of the network is what the agent answers there. python-tuf decides what is trusted;
its metadata stays in a folder between trials, which is what makes an older signed state recognisable as an attack.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import resource
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edge.updater.examine import examine
from edge.updater.messages import (
    Ask,
    Chunk,
    Failed,
    Job,
    Missing,
    Outcome,
    Pipe,
    Verdict,
    decode_to_trial,
    encode,
)
from models.bundle import LARGEST_BUNDLE
from models.errors import BundleRejected

CPU_SECONDS = 60
FILE_BYTES = LARGEST_BUNDLE + 1_000_000
MEMORY_BYTES = 384 << 20  # address space on top of what the imports take; a 5 MB model takes about 40 MB of it
CHAMPION = "champion"  # the state that the signed metadata gives to the one bundle a machine class shall run


class Untrusted(Exception):
    """The metadata is signed, but does not say what the agent was told."""


# the first kind that fits says what an error means for the device
_OUTCOMES: dict[type[Exception], tuple[Outcome, str]] = {
    BundleRejected: (Outcome.REFUSED, ""),
    MemoryError: (Outcome.REFUSED, f"it needs more than {MEMORY_BYTES >> 20} MB"),
    Untrusted: (Outcome.UNTRUSTED, ""),
    UnsignedMetadataError: (Outcome.UNTRUSTED, "not signed by enough of the trusted keys"),
    ExpiredMetadataError: (Outcome.UNTRUSTED, "the signed state is out of date (is it being withheld?)"),
    BadVersionNumberError: (Outcome.UNTRUSTED, "an older signed state than this device has already seen"),
    LengthOrHashMismatchError: (Outcome.UNTRUSTED, "not the bytes that were signed"),
    RepositoryError: (Outcome.UNTRUSTED, "the signed state is not usable"),
    DownloadLengthMismatchError: (Outcome.UNTRUSTED, "longer than what was signed"),
    DownloadHTTPError: (Outcome.UNTRUSTED, "the repository is not whole"),
    DownloadError: (Outcome.UNAVAILABLE, ""),
    OSError: (Outcome.UNAVAILABLE, "the device's files"),
}


class AgentFetcher(FetcherInterface):
    """Files of the repository, by way of the agent."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def _fetch(self, url: str) -> Iterator[bytes]:
        self._pipe.send(encode(Ask(url)))
        while True:
            match decode_to_trial(self._pipe.receive()):
                case Chunk(data) if data:
                    yield data
                case Chunk():
                    return
                case Missing():
                    raise DownloadHTTPError(f"{url} is not in the repository", 404)
                case Failed(reason):
                    raise DownloadError(reason)
                case Job():
                    raise DownloadError("a second job came in the middle of the first")


def limit_this_process(deadline_s: int) -> None:
    """From here on this process cannot harm the device: memory, CPU, file size and time end it."""
    now = _status_kb("VmSize") << 10
    for limit, value in (
        (resource.RLIMIT_AS, now + MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value + 1 if limit == resource.RLIMIT_CPU else value))
    signal.alarm(deadline_s)  # also when the agent is gone and no longer ends this process


def locate(job: Job, fetcher: FetcherInterface) -> TargetFile | None:
    """Refresh the signed metadata, check what it says of the assignment, and bring the file; None: no bundle."""
    config = UpdaterConfig(targets_max_length=2_000_000)
    staging = str(Path(job.file).parent)
    tuf = Updater(
        job.metadata_dir, "metadata/", staging, "targets/", fetcher=fetcher, config=config, bootstrap=job.trusted_root
    )
    tuf.refresh()
    if not job.bundle:
        assigned = _assigned(Path(job.metadata_dir), job.machine_class)
        if assigned:
            raise Untrusted(f"told to run without a model, but {assigned} is assigned by the signed metadata")
        return None
    target = tuf.get_targetinfo(job.bundle)
    if target is None:
        raise Untrusted(f"{job.bundle} is not in the signed metadata")
    custom = target.custom or {}
    if custom.get("machine_class") != job.machine_class or custom.get("state") != CHAMPION:
        raise Untrusted(
            f"the signed metadata does not assign {job.bundle} to {job.machine_class}: it says "
            f"{custom.get('state')} for {custom.get('machine_class')}"
        )
    if target.length > LARGEST_BUNDLE:
        raise BundleRejected(f"{job.bundle} has {target.length} bytes, more than {LARGEST_BUNDLE}")
    known = next((f for f in job.known_files if tuf.find_cached_target(target, f)), None)
    if known:
        shutil.copyfile(known, job.file)
    else:
        tuf.download_target(target, job.file)
    return target


def work(job: Job, fetcher: FetcherInterface) -> Verdict:
    """Do the job; every failure that has a name becomes a verdict."""
    try:
        if job.trusted_root and locate(job, fetcher) is None:
            return Verdict(Outcome.ACCEPTED)
        data = Path(job.file).read_bytes()
        bundle, features, outputs = examine(data, job.machine_class)
        if job.bundle and bundle.manifest.name != job.bundle:
            raise BundleRejected(f"the bundle calls itself {bundle.manifest.name}", where=job.bundle)
    except tuple(_OUTCOMES) as e:
        outcome, meaning = next(found for kind, found in _OUTCOMES.items() if isinstance(e, kind))
        return Verdict(outcome, f"{meaning}: {e}" if meaning else str(e))
    return Verdict(
        Outcome.ACCEPTED,
        name=bundle.manifest.name,
        sha256=hashlib.sha256(data).hexdigest(),
        feature_difference=features,
        output_difference=outputs,
        peak_rss_mb=_status_kb("VmHWM") / 1024,
    )


def _assigned(metadata_dir: Path, machine_class: str) -> str:
    """The champion of a class, from the metadata that `refresh` has just verified and kept."""
    targets = Metadata[Targets].from_file(str(metadata_dir / "targets.json")).signed.targets
    customs = {name: target.custom or {} for name, target in targets.items()}
    found = [n for n, c in customs.items() if (c.get("machine_class"), c.get("state")) == (machine_class, CHAMPION)]
    return found[0] if found else ""


def _status_kb(field: str) -> int:
    """A figure of this process's memory (proc(5)); `getrusage` would count the agent's from before the exec."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def main() -> None:
    """Take one job, answer with one verdict."""
    descriptor, deadline_s = int(sys.argv[1]), int(sys.argv[2])
    limit_this_process(deadline_s)
    with Pipe(socket.socket(fileno=descriptor)) as pipe:
        job = decode_to_trial(pipe.receive())
        assert isinstance(job, Job)
        lock = os.open(job.metadata_dir, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)  # a trial that outlived its agent may still be at work here
        verdict = work(job, AgentFetcher(pipe))
        os.fsync(lock)
        pipe.send(encode(verdict))


if __name__ == "__main__":
    main()
