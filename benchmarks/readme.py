"""Tables of benchmarks/README.md, each between markers that name the command that made it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

END = "<!-- end of the table -->"


def begin(part: str) -> str:
    """The marker above a part's table."""
    return f"<!-- table of python -m benchmarks --only {part} -->"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def put(readme: Path, part: str, table: str) -> None:
    """Replace what stands between a part's markers; a file without them stays as it is."""
    mark = begin(part)
    if not readme.exists() or mark not in (text := readme.read_text()):
        return
    before, rest = text.split(mark, 1)
    after = rest.split(END, 1)[1]
    readme.write_text(f"{before}{mark}\n\n{table}\n\n{END}{after}")
