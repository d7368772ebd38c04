"""Write the generated code beside each `.proto`, or with `--check` say what has drifted (exit 1).

The repository root is the include path, so that generated imports are real ones: `protos.forewarn.telemetry.v1...`.
"""

from __future__ import annotations

import filecmp
import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


def generate(out: Path) -> None:
    """Run protoc over every `.proto`, writing below `out`."""
    sources = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("protos/forewarn/**/*.proto"))
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    plugins = [f"--{name}={out}" for name in ("python_out", "pyi_out", "grpc_python_out")]
    if protoc.main(["protoc", f"-I{ROOT}", f"-I{well_known}", *plugins, *sources]) != 0:
        raise SystemExit("protoc failed: its own lines above say where")


def _drifted(fresh: Path) -> list[str]:
    made = {p.relative_to(fresh) for g in GENERATED for p in fresh.rglob(g)}
    kept = {p.relative_to(ROOT) for g in GENERATED for p in (ROOT / "protos").rglob(g)}
    same = {p for p in made & kept if filecmp.cmp(fresh / p, ROOT / p, shallow=False)}
    return sorted(str(p) for p in (made | kept) - same)


def main() -> None:
    """Generate in place, or compare with a fresh generation."""
    if "--check" not in sys.argv:
        generate(ROOT)
        return
    with tempfile.TemporaryDirectory() as directory:
        generate(Path(directory))
        if drifted := _drifted(Path(directory)):
            raise SystemExit("generated code differs from its .proto, run `make protos`: " + ", ".join(drifted))


if __name__ == "__main__":
    main()
