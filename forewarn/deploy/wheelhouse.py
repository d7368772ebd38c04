"""A device's wheels in one archive: downloaded for its processor, each checked against its pinned hash."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from forewarn import __version__
from models.errors import Unavailable, WrongUse

_HERE = Path(__file__).resolve().parent
_GLIBCS = (17, 24, 26, 27, 28)  # Debian 11 has 2.31; newer wheels than that would not load there
NAME = "forewarn-edge"


def download_command(arch: str, pins: Path, out: Path) -> list[str]:
    """Pip's words: wheels only, for CPython 3.11 on this processor, with hashes."""
    platforms = [f"manylinux_2_{g}_{arch}" for g in _GLIBCS] + [f"manylinux2014_{arch}"]
    return [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--require-hashes", "--no-deps", "--only-binary=:all:", "--implementation=cp", "--python-version=3.11"),
        *("--abi=cp311", "--abi=abi3", "--abi=none", *(f"--platform={p}" for p in platforms)),
        *("--requirement", str(pins), "--dest", str(out)),
    ]


def build_command(out: Path) -> list[str]:
    """Our own wheel."""
    return [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]


def collect(arch: str, project: Path, pins: Path, folder: Path) -> int:
    """Fill `folder` with wheels, pins, script and unit; return the number of wheels."""
    if not (project / "pyproject.toml").is_file() or not pins.is_file():
        raise WrongUse("no checkout of Forewarn here", where=str(project), mend="run it in one, or say --project")
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    _run(build_command(wheels), project, "our own wheel could not be built")
    _run(download_command(arch, pins, wheels), project, "the wheels could not be downloaded")
    shutil.copyfile(pins, folder / "pins.txt")
    for name in ("install.sh", "forewarn-edge.service"):
        shutil.copy(_HERE / name, folder / name)
    (folder / "install.sh").chmod(0o755)
    (folder / "VERSION").write_text(__version__ + "\n")
    return len(list(wheels.glob("*.whl")))


def pack(folder: Path, out: Path) -> None:
    """Write the archive, owned by nobody in particular; `out` is there only when it is whole."""

    def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    part = out.with_name(out.name + ".part")
    with tarfile.open(part, "w:gz", compresslevel=1) as archive:  # wheels are compressed already
        archive.add(folder, NAME, filter=anonymous)
    part.replace(out)


def _run(command: list[str], folder: Path, what: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Unavailable(f"{what}: {reason}", mend="see that the package index is reachable, and try again")
