"""WAV: every width and layout that a recorder writes, and each way in which a header lies."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from tests.edge.sensors.conftest import wav_bytes

WAVE = np.sin(np.arange(9000) * 0.3) * 0.8


def encoded(wave: np.ndarray, code: int, bits: int) -> bytes:
    if code == 3:
        return wave.astype(f"<f{bits // 8}").tobytes()
    if bits == 8:
        return (np.round(wave * 128) + 128).astype(np.uint8).tobytes()
    whole = np.round(wave * 2.0 ** (bits - 1)).astype(np.int64)
    return b"".join(struct.pack("<q", v)[: bits // 8] for v in whole.tolist())


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize(("code", "bits"), [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
def test_every_width_gives_the_same_wave(tmp_path, find, code: int, bits: int, extensible: bool) -> None:
    path = tmp_path / "pump.wav"
    data = encoded(WAVE, code, bits)
    path.write_bytes(wav_bytes(data, code=code, bits=bits, rate=48_000, extensible=extensible))
    (recording,), refused = find(path)
    assert refused == []
    assert [(c.name, c.rate_hz, c.unit) for c in recording.machine.channels] == [("vibration", 48_000.0, "1")]
    (window,) = recording.open().windows()
    assert window.samples["vibration"] == pytest.approx(WAVE[:8192], abs=2.0 ** -(min(bits, 24) - 1))


def test_channels_are_taken_apart_and_other_chunks_skipped(tmp_path, find) -> None:
    both = np.stack([WAVE, -WAVE / 2], axis=1).ravel()
    extra = b"LIST" + struct.pack("<I", 5) + b"hello\x00"
    path = tmp_path / "pump.wav"
    path.write_bytes(wav_bytes(encoded(both, 1, 16), code=1, bits=16, channels=2, extra=extra))
    (tmp_path / "pump.toml").write_text("scale = 10.0\nunit = 'g'\n")
    (recording,), _ = find(path)
    (window,) = recording.open().windows()
    assert [c.name for c in recording.machine.channels] == ["left", "right"]
    assert window.samples["right"] == pytest.approx(-5 * WAVE[:8192], abs=1e-3)


def test_a_long_file_is_read_in_blocks_without_a_seam(tmp_path, find) -> None:
    ramp = (np.arange(100_000) % 30_000).astype("<i2")
    (tmp_path / "pump.wav").write_bytes(wav_bytes(ramp.tobytes(), code=1, bits=16))
    (recording,), _ = find(tmp_path)
    got = np.concatenate([w.samples["vibration"] for w in recording.open().windows()])
    assert (got * 32768).astype(int).tolist() == ramp[: got.size].tolist()
    assert got.size == 12 * 8192, "1696 samples left over are less than half a window"


GOOD = wav_bytes(encoded(WAVE, 1, 16), code=1, bits=16)
NAN = WAVE.copy()
NAN[4321] = np.nan


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (GOOD[:-100], "100 of 18000 bytes are missing"),
        (GOOD[:40], "cut short"),
        (GOOD[:20], "format chunk is too short"),
        (GOOD[:8], "no WAV"),
        (b"RIFX" + GOOD[4:], "no WAV"),
        (wav_bytes(b"\x00" * 100, code=17, bits=4), "format 17"),
        (wav_bytes(b"\x00" * 100, code=1, bits=20), "20-bit"),
        (wav_bytes(b"\x00" * 100, code=3, bits=16), "16-bit samples of WAV format 3"),
        (wav_bytes(b"\x00" * 100, code=1, bits=16, channels=0), "0 channels"),
        (wav_bytes(b"\x00" * 100, code=1, bits=16, rate=0), "0 Hz"),
        (wav_bytes(b"", code=1, bits=16), "no samples"),
        (wav_bytes(b"\x00" * 100, code=1, bits=16), "holds no window"),
        (b"RIFF\x00\x00\x00\x00WAVEdata\x04\x00\x00\x00abcd", "before their format"),
        (wav_bytes(encoded(NAN, 3, 32), code=3, bits=32), "not a finite number"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, find, content: bytes, what: str) -> None:
    path = tmp_path / "pump.wav"
    path.write_bytes(content)
    found, (problem,) = find(path)
    assert found == []
    assert what in problem.what
    assert problem.where == (f"{path}:4321" if "finite" in what else str(path))
    assert problem.mend


def test_a_rate_that_contradicts_the_sidecar_is_refused(tmp_path, find) -> None:
    (tmp_path / "pump.wav").write_bytes(GOOD)
    (tmp_path / "pump.toml").write_text("rate_hz = 25600")
    _, (problem,) = find(tmp_path)
    assert "8000 Hz" in problem.what
