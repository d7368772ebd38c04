"""`forewarn edge` as a person uses it."""

from __future__ import annotations

import re
import subprocess
import wave
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.certificates import Authority
from tests.edge.gateway_simulator import GatewaySimulator
from tests.warm import forewarn


@pytest.fixture
def gateway() -> Iterator[GatewaySimulator]:
    simulator = GatewaySimulator()
    simulator.start()
    yield simulator
    simulator.close()


def edge(*arguments: object) -> subprocess.CompletedProcess[str]:
    return forewarn("edge", *arguments)


def record(file: Path, windows: int, seed: int) -> None:
    """A WAV file of so many windows of 8192 samples."""
    noise = np.random.default_rng(seed).normal(0, 3000, 8192 * windows).astype("<i2")
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(25_600)
        out.writeframes(noise.tobytes())


@pytest.fixture
def recordings_with_a_bad_one(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    record(folder / "P-101.wav", 40, 1)
    record(folder / "P-102.wav", 30, 2)
    (folder / "P-103.wav").write_bytes(b"RIFF of nothing")
    return folder


def test_good_recordings_are_stored_and_a_bad_one_is_named_with_exit_code_2(
    recordings_with_a_bad_one: Path, gateway: GatewaySimulator, tmp_path: Path
) -> None:
    done = edge("replay", recordings_with_a_bad_one, "--to", gateway.address, "--store", tmp_path / "new" / "store")
    assert done.returncode == 2, done.stderr
    assert f"forewarn: {recordings_with_a_bad_one / 'P-103.wav'}" in done.stderr
    (shelf,) = gateway.shelves.values()
    assert Counter(shelf.kinds.values())["RECORD_KIND_HEALTH"] == 70
    assert [m.name for m in gateway.hellos[0].machines] == ["P-101", "P-102"]


def test_only_the_machine_that_was_asked_for_is_replayed_and_only_once(
    recordings_with_a_bad_one: Path, gateway: GatewaySimulator, tmp_path: Path
) -> None:
    (recordings_with_a_bad_one / "P-103.wav").unlink()
    command = (
        *("replay", recordings_with_a_bad_one, "--only", "P-102", "--machine-class", "pump", "--to", gateway.address),
        *("--store", tmp_path / "store", "--device", "edge-9", "--ledger", tmp_path / "ledger.txt"),
    )
    assert edge(*command).returncode == 0
    ((device, _),) = gateway.shelves
    assert device == "edge-9"
    assert [(m.name, m.machine_class) for m in gateway.hellos[0].machines] == [("P-102", "pump")]
    before = gateway.stored
    again = edge(*command)
    assert again.returncode == 0
    assert gateway.stored == before
    said = re.sub(r"\x1b\[[0-9;]*m", "", again.stderr + again.stdout)
    assert "going on behind what an earlier run kept" in said
    assert "windows=0" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--store", "STORE"), "no gateways"),
        (("--to", "127.0.0.1:1"), "no store"),
        (("--to", "127.0.0.1:1", "--store", "STORE", "--device", "../x"), "device is '../x'"),
        (("--to", "127.0.0.1:1", "--store", "/proc/none"), "cannot make the store"),
    ],
)
def test_wrong_use_is_said_in_a_line_with_exit_code_2(
    recordings_with_a_bad_one: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    filled = [str(tmp_path / "s") if a == "STORE" else a for a in arguments]
    done = edge("replay", recordings_with_a_bad_one, *filled)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_check_says_what_is_there_and_what_is_not(gateway: GatewaySimulator, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    config = tmp_path / "site.toml"
    config.write_text(
        f"""device = "edge-7"
store = "store"
gateways = ["{gateway.address}", "127.0.0.1:1"]
[[machine]]
name = "P-101"
source = {{ kind = "simulator" }}
"""
    )
    done = edge("check", "--config", config)
    assert done.returncode == 0, done.stderr
    assert "ok      machine P-101: horizontal, vertical, temperature" in done.stdout
    assert f"ok      gateway {gateway.address}" in done.stdout
    assert "warning gateway 127.0.0.1:1" in done.stdout
    assert "warning no trust root" in done.stdout


def test_check_names_a_certificate_that_is_not_there_and_reads_those_that_are(
    gateway: GatewaySimulator, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    authority.device("edge-7").write(tmp_path, "device")
    config = tmp_path / "site.toml"
    text = f"""device = "edge-7"
store = "store"
gateways = ["{gateway.address}"]
[cloud]
ca = "ca.pem"
certificate = "device.pem"
key = "device.key"
"""
    config.write_text(text)
    done = edge("check", "--config", config)
    assert f"ok      cloud certificate {tmp_path / 'device.pem'}" in done.stdout, done.stderr
    config.write_text(text.replace("device.key", "devise.key"))
    done = edge("check", "--config", config)
    assert done.returncode == 2
    assert f"{tmp_path / 'devise.key'}: cannot be read: No such file or directory" in done.stderr
