"""Durable rows a second against the number of agents and the rows a message: figures, and a picture of them."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.load import cpu_s, gateway, send_all

AGENTS = (1, 4, 16, 64, 256)
FRAMES = (1, 16, 256)
SECONDS = 1.5  # of sending, for each point


def measure(seconds: float = SECONDS) -> dict[str, Any]:
    """Send with so many agents and rows a message, one point after the other, to one gateway."""
    points = []
    with tempfile.TemporaryDirectory() as folder, gateway(Path(folder)) as (address, process):
        asyncio.run(send_all(address, ["warm"], 1, 0.1))
        for frames in FRAMES:
            for agents in AGENTS:
                used, begin = cpu_s([process]), time.monotonic()
                names = [f"d{frames}-{agents}-{n}" for n in range(agents)]
                sent = asyncio.run(send_all(address, names, frames, seconds))
                took, cpu = time.monotonic() - begin, cpu_s([process]) - used
                point = {"rows_per_s": round(sent / took), "cpu_us": round(cpu / sent * 1e6, 2)}
                points.append({"agents": agents, "frames": frames, **point})
    return {"points": points}


def draw(points: list[dict[str, Any]], file: Path) -> None:
    """Write the picture (its kind by the file's suffix): the rate, and beside it the gateway's CPU time a row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - only pictures need it
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for frames in sorted({p["frames"] for p in points}):
        mine = [p for p in points if p["frames"] == frames]
        label = "1 row a message" if frames == 1 else f"{frames} rows a message"
        for axes, key in ((left, "rows_per_s"), (right, "cpu_us")):
            axes.plot([p["agents"] for p in mine], [p[key] for p in mine], marker="o", label=label)
    for axes, name in ((left, "durable rows a second"), (right, "gateway's CPU time a row, µs")):
        axes.set_xscale("log", base=4)
        axes.set_yscale("log")
        axes.set_xticks(AGENTS, [str(n) for n in AGENTS])
        axes.set_xlabel("agents that send at once")
        axes.set_title(name)
        axes.grid(visible=True, which="major", alpha=0.3)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(file, metadata={"Software": None} if file.suffix == ".png" else None)
