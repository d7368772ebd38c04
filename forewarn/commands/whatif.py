"""`forewarn whatif`: what would this agent have said about this recording."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from edge.inference import LoadedBundle
    from forewarn.whatif import Said

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("recordings", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--bundle", type=_FILE, help="A model; without it, the machine's own baseline alone.")
@click.option("--out", type=_FILE, help="Write every window here, one JSON object a line.")
def whatif(recordings: tuple[Path, ...], bundle: Path | None, out: Path | None) -> None:
    """Listen to recordings as the agent would, and say which alarms it would have raised."""
    from edge.inference import LoadedBundle
    from edge.sensors.replay import find_recordings
    from forewarn.whatif import in_words, listen
    from models.errors import RecordingRejected

    model = LoadedBundle.open(bundle) if bundle else None
    found = find_recordings(recordings)
    rejected = [r for r in found if isinstance(r, RecordingRejected)]
    with (out or Path("/dev/null")).open("w") as file:
        for recording in found:
            if isinstance(recording, RecordingRejected):
                continue
            try:
                last = None
                for last in listen(recording, model):
                    file.write(json.dumps(_line(last, model)) + "\n")
                    for change in last.changes:
                        share = last.window / recording.count
                        what = f"{change.part} {change.fault}, {change.confidence} (by {change.source})"
                        click.echo(f"{recording.name}: {share:6.1%} {change.change.name:<18} {change.severity}  {what}")
                if last is not None:
                    click.echo(f"{recording.name}: {last.window} windows, alarm {'stands' if last.alarm else 'off'}")
                    click.echo(f"{recording.name}: {in_words(last, model)}")
            except RecordingRejected as e:
                rejected.append(e)
    for reason in rejected:
        click.echo(f"forewarn: {reason}", err=True)
    if rejected:
        sys.exit(2)


def _line(said: Said, model: LoadedBundle | None) -> dict[str, Any]:
    from forewarn.whatif import estimate

    line = {"machine": said.machine, "window": said.window, "time_ns": said.time_ns, "deviation": said.deviation}
    if said.assessment is not None:
        line["degradation"] = said.assessment.degradation
    changes = [
        {"change": c.change.name.lower(), "severity": c.severity, "part": c.part, "fault": c.fault}
        for c in said.changes
    ]
    return line | {"alarm": said.alarm, "changes": changes} | estimate(said, model)
