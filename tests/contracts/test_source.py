"""What every source promises, run over all kinds: a new kind adds a case to `sources.py` and its name to CASES."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from edge.features import Extractor
from edge.sensors.kinds import Source
from edge.sources import find
from edge.types import Quality, Window
from models.errors import ConfigurationError
from tests.contracts import sources as cases
from tests.contracts.opcua_server import OpcUaServer
from tests.contracts.sources import Case, LiveCase, RecordingCase, until

RECORDINGS = {
    "wav": cases.WavCase,
    "csv": cases.CsvCase,
    "parquet": cases.ParquetCase,
    "npy": cases.NpyCase,
    "npz": cases.NpzCase,
}
LIVE = ["push", "push over tcp", "mqtt", "mqtt by topic", "opcua", "plug-in"]
WAITING = ["mqtt", "mqtt by topic"]  # whose other side is not answered before a window is kept
CASES = ["simulator", *RECORDINGS, *LIVE]
live = pytest.mark.parametrize("case", LIVE, indirect=True)
every = pytest.mark.parametrize("case", CASES, indirect=True)


@pytest.fixture(scope="session")
def opcua() -> Iterator[OpcUaServer]:
    server = OpcUaServer()
    yield server
    server.kill()


def documented(repository: Path, mark: str) -> str:
    """The program in docs/sources.md below a mark."""
    text = (repository / "docs" / "sources.md").read_text()
    return text.partition(f"<!-- {mark} -->\n```python\n")[2].partition("\n```")[0] + "\n"


def install_the_documented_plug_in(request: pytest.FixtureRequest, site: Path) -> None:
    """As pip leaves it: a module, and its entry point."""
    program = documented(request.getfixturevalue("repository"), "file: forewarn_spool.py")
    info = site / "forewarn_spool-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "forewarn_spool.py").write_text(program)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: forewarn-spool\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[forewarn.sources]\nspool = forewarn_spool:SpoolSource\n")
    request.getfixturevalue("monkeypatch").syspath_prepend(site)


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    folder = tmp_path / "site"
    folder.mkdir()
    made: Case
    match request.param:
        case "simulator":
            made = cases.SimulatorCase(folder)
        case "push":
            made = cases.PushCase(folder)
        case "push over tcp":
            made = cases.TcpPushCase(folder, request.getfixturevalue("free_port"))
        case "mqtt":
            made = cases.MqttCase(folder, request.getfixturevalue("mosquitto"))
        case "mqtt by topic":
            made = cases.MqttTopicsCase(folder, request.getfixturevalue("mosquitto"))
        case "opcua":
            made = cases.OpcUaCase(folder, request.getfixturevalue("opcua"))
        case "plug-in":
            install_the_documented_plug_in(request, tmp_path / "installed")
            made = cases.PlugInCase(folder)
        case kind:
            made = RECORDINGS[kind](folder)
    yield made
    made.close()


class Listening:
    """A source whose windows another thread takes, as the agent's loop does; `holding` stops taking."""

    def __init__(self, source: Source, logs: list[Any]) -> None:
        self.sensor = source.sensor
        self.kept = source.kept
        self.logs = logs
        self.windows: list[Window] = []
        self.ended = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for window in self.sensor.windows():
                self.windows.append(window)
                self.free.wait(20)
                self.kept(window.time_ns)
                if len(self.windows) >= 300:
                    break
        except Exception as e:  # noqa: BLE001 - the test looks at it
            self.failure = e
        self.ended.set()

    def said(self, event: str) -> int:
        return sum(event in str(line["event"]) for line in list(self.logs))

    def connections(self) -> int:
        return self.said("source connected") + self.said("source is back")

    def await_windows(self, count: int) -> list[Window]:
        until(lambda: len(self.windows) >= count or self.ended.is_set())
        return self.windows[:count]


@pytest.fixture
def listen(case: Case) -> Iterator[Callable[..., Listening]]:
    started: list[Listening] = []
    with capture_logs() as logs:

        def start(after_ns: int | None = None) -> Listening:
            source = case.open()
            if after_ns is not None:
                source.sensor.resume(after_ns)
            heard = Listening(source, logs)
            started.append(heard)
            if isinstance(case, LiveCase):
                case.ready(lambda: heard.connections() >= 1)
            return heard

        yield start
        for heard in started:
            heard.sensor.close()
            heard.free.set()
            assert heard.ended.wait(5)


def counts(case: Case, windows: list[Window]) -> list[int]:
    """Which of the fed windows these are."""
    assert case.scale is not None
    return [round(float(w.samples["horizontal"][0]) / case.scale) for w in windows]


@every
def test_windows_have_the_machines_channels_in_units_the_right_lengths_and_float32(case, listen):
    heard = listen()
    for i in range(1, 4):
        case.feed(i)
    windows = heard.await_windows(3)
    assert len(windows) == 3, heard.failure
    machine = heard.sensor.machine
    assert machine.name == "P-101"
    assert {c.name for c in machine.channels} == set(case.lengths)
    for window in windows:
        assert window.machine == "P-101"
        assert window.quality is Quality.GOOD
        assert {n: s.shape for n, s in window.samples.items()} == {n: (size,) for n, size in case.lengths.items()}
        assert {s.dtype for s in window.samples.values()} == {np.dtype(np.float32)}
        assert all(np.isfinite(s).all() for s in window.samples.values())
    if case.scale is not None:
        assert counts(case, windows) == [1, 2, 3]
    rows = Extractor(machine).extract(windows[-1])
    assert {r.channel for r in rows} >= {n for n, size in case.lengths.items() if size >= 64}


@every
def test_event_times_rise(case, listen):
    heard = listen()
    for i in range(1, 6):
        case.feed(i)
    times = [w.time_ns for w in heard.await_windows(5)]
    assert len(times) == 5
    assert all(a < b for a, b in itertools.pairwise(times))


@every
def test_a_source_goes_on_behind_what_an_earlier_run_took_and_a_live_one_with_what_comes(case, listen):
    whole = [] if case.live else list(itertools.islice(case.open().sensor.windows(), 12))
    heard = listen(after_ns=whole[4].time_ns if whole else 1 << 62)
    for i in (1, 2):
        case.feed(i)
    windows = heard.await_windows(2 if case.live else 7)
    assert windows, heard.failure
    for window, before in zip(windows, whole[5:], strict=False):
        assert window.time_ns == before.time_ns
        assert all(np.array_equal(window.samples[n], before.samples[n]) for n in before.samples)


@every
@pytest.mark.parametrize("when", ["before", "during", "twice"])
def test_close_from_another_thread_ends_the_windows_within_a_deadline(case, when):
    sensor = case.open().sensor
    if when == "before":
        sensor.close()
    ended = threading.Event()
    first = threading.Event()
    taken: list[Window] = []

    def take() -> None:
        for window in sensor.windows():
            taken.append(window)
            first.set()
            if len(taken) > 100_000:
                return
        ended.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    if when != "before" and not case.live:
        assert first.wait(5)
    began = time.monotonic()
    for _ in range(2 if when == "twice" else 1):
        sensor.close()
    assert ended.wait(3)
    assert time.monotonic() - began < 3
    assert when != "before" or not taken


@live
def test_a_source_that_disappears_is_reported_once_and_heard_again_when_it_is_back(case, listen):
    heard = listen()
    case.feed(1)
    assert counts(case, heard.await_windows(1)) == [1]
    case.vanish()
    until(lambda: heard.said("source is away") == 1)
    case.come_back(lambda: heard.connections() >= 2)
    case.feed(2)
    assert counts(case, heard.await_windows(2)) == [1, 2]
    assert heard.said("source is away") == 1
    assert heard.said("source is back") == 1
    assert heard.failure is None


@live
def test_bad_data_is_one_clear_report_and_the_good_windows_go_on(case, listen):
    heard = listen()
    case.feed(1)
    heard.await_windows(1)
    before = heard.said("bad data")
    case.bad()
    case.feed(2)
    assert counts(case, heard.await_windows(2)) == [1, 2]
    assert heard.said("bad data") == before + 1
    assert heard.connections() == 1
    reason = [line["reason"] for line in heard.logs if line["event"] == "bad data"][-1]
    assert len(reason) > 20


@pytest.mark.parametrize("case", WAITING, indirect=True)
def test_what_nobody_takes_is_bounded_and_the_other_side_keeps_the_rest(case, listen):
    heard = listen()
    heard.free.clear()
    case.feed(1)
    heard.await_windows(1)
    for i in range(2, 31):
        case.feed(i)
    until(lambda: len(heard.sensor._kept) == 8)
    heard.free.set()
    assert counts(case, heard.await_windows(30)) == list(range(1, 31))
    assert heard.sensor.dropped == 0
    assert heard.connections() == 1


@pytest.mark.parametrize("case", [name for name in LIVE if name not in WAITING], indirect=True)
def test_what_nobody_takes_is_bounded_the_oldest_go_and_it_is_said(case, listen):
    heard = listen()
    heard.free.clear()
    case.feed(1)
    heard.await_windows(1)
    for i in range(2, 21):
        case.feed(i)
    until(lambda: heard.sensor.dropped >= 11)
    heard.free.set()
    taken = heard.await_windows(9)
    assert counts(case, taken) == [1, *range(13, 21)], "one at hand, and the newest 8"
    assert heard.said("windows dropped") >= 1


@pytest.mark.parametrize("case", list(RECORDINGS), indirect=True)
def test_a_bad_recording_is_one_error_and_the_good_one_beside_it_is_replayed(case):
    assert isinstance(case, RecordingCase)
    bad = case.spoil()
    good, refused = find([case.recordings], only=[], machine_class="bearing")
    assert [r.name for r in good] == ["P-101"]
    assert good[0].count == 20
    assert len(refused) == 1
    assert str(bad) in refused[0].where
    assert refused[0].mend


@every
def test_a_key_that_the_kind_does_not_know_is_refused_with_its_path(case):
    text = case.toml()
    with pytest.raises(ConfigurationError, match=r"unknown field `tune` - at `\$.machine\[0\].source`"):
        cases.opened(case.folder, text.replace("\n", "\ntune = 1\n", 1))


@pytest.mark.parametrize("case", ["push over tcp"], indirect=True)
def test_the_documented_client_is_understood(case, repository):
    names: dict[str, Any] = {}
    exec(documented(repository, "client"), names)
    heard = Listening(case.open(), [])
    channels = {"horizontal": names["packed"]([-7] * cases.SAMPLES), "temperature": 41.5}
    names["push"](("127.0.0.1", case.port), [(cases.START_NS + i, channels) for i in range(3)])
    windows = heard.await_windows(3)
    heard.sensor.close()
    assert counts(case, windows) == [-7] * 3
    assert [w.time_ns - cases.START_NS for w in windows] == [0, 1, 2]


@pytest.mark.parametrize("case", ["simulator"], indirect=True)
def test_a_device_loads_no_library_of_a_kind_that_it_does_not_name(case, repository):
    code = (
        "import sys, edge.sources, edge.reference; edge.reference.reference();"
        "print([m for m in ('paho', 'asyncua', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
