"""What a graph costs a device: its size, and the time and memory of one window, refused where a device cannot pay.

Size is a property of the graph and goes into the manifest. Time and memory are of the machine that measured: they are
said and compared with generous budgets, and stay out of the bundle, whose bytes follow from its lineage alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from models.errors import ForewarnError

MOST_PARAMETERS = 100_000  # ours has 14,000; an agent judges hundreds of machines with one graph
MOST_BYTES = 1_000_000  # an eighth of what a bundle may hold
MOST_MILLISECONDS = 5.0  # CPU time of one window: at one window a second, half a percent of a core
MOST_MEGABYTES = 32.0  # beside ONNX Runtime itself; the whole agent has 95
_DEADLINE_S = 120.0
_MEASURE = """
import json, sys, time
import numpy as np, onnxruntime
def kilobytes():
    return int(next(x for x in open("/proc/self/status") if x.startswith("VmRSS")).split()[1])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.enable_cpu_mem_arena = False
data = open(sys.argv[1], "rb").read()
one = np.zeros((1, int(sys.argv[2])), np.float32)
before = kilobytes()
session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
taken = []
for _ in range(300):
    begin = time.process_time()
    session.run(None, {name: one})
    taken.append(time.process_time() - begin)
print(json.dumps([1000.0 * sorted(taken)[150], max(kilobytes() - before, 0) / 1000.0]))
"""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one window costs on the machine that measured."""

    milliseconds: float  # CPU time, the median of 300
    megabytes: float  # resident, of the session


def size(graph: bytes) -> dict[str, int]:
    """Parameters and bytes of an ONNX graph; raises `ForewarnError` where they are over budget."""
    parameters = sum(int(np.prod(w.dims)) for w in onnx.load_from_string(graph).graph.initializer)
    _refuse("parameters", parameters, MOST_PARAMETERS)
    _refuse("bytes", len(graph), MOST_BYTES)
    return {"parameters": parameters, "bytes": len(graph)}


def measure(graph: bytes, inputs: int) -> Footprint:
    """Run the graph on one condition of so many inputs, in a process of its own; raises `ForewarnError` over budget."""
    with tempfile.TemporaryDirectory(prefix="forewarn-footprint-") as folder:
        file = Path(folder) / "model.onnx"
        file.write_bytes(graph)
        command = [sys.executable, "-c", _MEASURE, str(file), str(inputs)]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_S, check=True)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as e:
            raise ForewarnError(f"the exported graph could not be measured: {e}") from e
    found = Footprint(*json.loads(ran.stdout))
    _refuse("ms a window", found.milliseconds, MOST_MILLISECONDS)
    _refuse("MB of memory", found.megabytes, MOST_MEGABYTES)
    return found


def _refuse(what: str, found: float, most: float) -> None:
    if found > most:
        raise ForewarnError(f"the exported graph has {found:,.6g} {what}, a device may be asked for {most:,.6g}")
