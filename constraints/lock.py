"""Pins every role of pyproject.toml: `make lock` runs this, and only this writes the `.txt` files beside it.

Everything is resolved once, so that all roles agree on every version. A role's file holds its share of that, each line
with the hashes of all of the index's files, so that it serves every platform, x86_64 and aarch64 among them. torch and
the wheels that only its CUDA builds ask for are left out: `torch.txt` pins it without hashes, since a CPU build, a CUDA
build and the index's own build of one version are different files.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROLES = {
    "edge": ("--extra=edge",),
    "replay": ("--extra=edge", "--extra=replay"),
    "cloud": ("--extra=cloud",),
    "training": ("--extra=cloud", "--extra=training"),
    "all": ("--extra=edge", "--extra=replay", "--extra=cloud", "--extra=training"),
    "dev": ("--extra=edge", "--extra=replay", "--extra=cloud", "--extra=training", "--extra=dev"),
    "build": ("--only-build-deps", "--build-deps-for=wheel"),  # of our own wheel
}
OF_TORCH = re.compile(r"^(torch|triton|nvidia-|cuda-)")
OPTIONS = (
    *("--quiet", "--strip-extras", "--no-header", "--no-annotate", "--allow-unsafe"),
    *("--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host", "--no-emit-options"),
)
# The public index alone decides: wheels that happen to lie on this machine would put their own builds into the pins.
CLEAN = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": ""}


def compile_pins(out: Path, *options: str) -> str:
    """Resolve what `options` name into `out` and return its text; what stands in `out` is kept where it still fits."""
    command = [sys.executable, "-m", "piptools", "compile", *OPTIONS, *options, "-o", str(out), "pyproject.toml"]
    subprocess.run(command, cwd=HERE.parent, env={**os.environ, **CLEAN}, check=True)
    return out.read_text()


def blocks(text: str) -> dict[str, str]:
    """Split pins into one block a package: its line and the lines of hashes below it, by name."""
    text = re.sub(r"^(#.*)?\n", "", text, flags=re.MULTILINE)
    parts = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    return {part.split("==", 1)[0]: part for part in parts if "==" in part}


def main(upgrade: bool) -> None:
    """Write every file; without `upgrade`, versions that still fit stay as they are."""
    with tempfile.TemporaryDirectory() as directory:
        whole = Path(directory) / "whole.txt"
        whole.write_text("".join((HERE / f).read_text() for f in ("dev.txt", "torch.txt") if (HERE / f).exists()))
        pins = blocks(compile_pins(whole, *ROLES["dev"], "--generate-hashes", *(["--upgrade"] if upgrade else [])))
        versions = Path(directory) / "versions.txt"
        versions.write_text("".join(block.split(" \\", 1)[0].strip() + "\n" for block in pins.values()))
        torch = pins["torch"].split(" \\", 1)[0].strip()
        (HERE / "torch.txt").write_text(
            f"# Made by `make lock`; do not edit. No hashes: each build of a version is another file.\n{torch}\n"
        )
        for role, options in ROLES.items():
            found = compile_pins(Path(directory) / f"{role}.txt", *options, "-c", str(versions))
            names = [n for n in blocks(found) if not OF_TORCH.match(n)]
            head = f"# Made by `make lock` for the role {role} ({' '.join(options)}); do not edit.\n"
            (HERE / f"{role}.txt").write_text(head + "".join(pins[n] for n in sorted(names)))


if __name__ == "__main__":
    main(upgrade="--upgrade" in sys.argv)
