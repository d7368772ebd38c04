"""Benchmarks measure both sides in turn, and refuse a part that they do not have."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import chart, network
from benchmarks.__main__ import main
from benchmarks.textbook import Textbook
from benchmarks.timing import microseconds
from edge.inference import LoadedBundle


def test_an_unknown_part_is_wrong_use(capsys) -> None:
    assert main(["--only", "gremlins"]) == 2
    assert "edge" in capsys.readouterr().err


def test_each_way_is_charged_with_its_own_time() -> None:
    now = 0.0
    order: list[str] = []

    def takes(name: str, seconds: float):
        def way() -> None:
            nonlocal now
            now += seconds
            order.append(name)

        return way

    found = microseconds(
        {"fast": takes("fast", 0.001), "slow": takes("slow", 0.004)}, rounds=3, seconds=0.008, clock=lambda: now
    )
    assert found == pytest.approx({"fast": 1000.0, "slow": 4000.0})
    assert "".join(n[0] for n in order[4:]) == ("f" * 8 + "s" * 2) * 3, "the ways take turns"


def test_the_network_is_of_the_size_that_ships_and_runs_on_the_edge() -> None:
    manifest, onnx_file = network.bundle()
    assert 13_000 < network.parameters(onnx_file) < 15_500
    answer = LoadedBundle(manifest, onnx_file).infer(np.zeros((2, len(manifest.inputs)), np.float32))
    assert (answer.degradation.shape, answer.rul_s.shape) == ((2,), (2, 3))


def test_the_textbook_computes_the_same_kind_of_figures_as_we_do() -> None:
    """Its filters have slopes where ours are exact, so bands agree within a tenth on noise."""
    from edge.features import Extractor, FeaturesConfig
    from edge.types import Channel, ChannelKind, Machine, Window

    x = np.random.default_rng(0).standard_normal((1, 25_600)).astype(np.float32)
    channel = Channel(name="x", kind=ChannelKind.WAVEFORM, unit="1", rate_hz=25_600.0)
    machine = Machine(name="m", machine_class="bearing", channels=(channel,))
    every_window = Extractor(machine, FeaturesConfig(kurtogram_every=0))
    (row,) = every_window.extract(Window(machine="m", time_ns=0, samples={"x": x[0]}))
    assert Textbook(25_600.0)(x)[0] == pytest.approx(row.values, rel=0.1, abs=0.02)


def test_the_chart_is_drawn_from_the_figures_alone(tmp_path) -> None:
    points = [{"agents": a, "frames": f, "rows_per_s": a * f, "cpu_us": 1 / f} for a in chart.AGENTS for f in (1, 16)]
    chart.draw(points, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
