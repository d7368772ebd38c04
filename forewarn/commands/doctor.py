"""`forewarn doctor`: what is wrong with this device, where, and what to do about it."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edge.config import EdgeConfig


@click.command()
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), help="The device's TOML file."
)
@click.option("--seconds", type=click.FloatRange(min=0), default=5.0, show_default=True, help="To listen to sensors.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def doctor(context: click.Context, config_file: Path | None, seconds: float, as_json: bool) -> None:
    """Examine this device: exit code 0 healthy (hints allowed), 1 faults found, 2 wrong use.

    Without --config only its computer is examined. Nothing is changed.
    """
    from edge.doctor import RULES, Level, examine
    from edge.doctor.gather import gather

    config = _load(config_file) if config_file else None
    log_level = context.find_root().params.get("log_level", "info")
    findings = examine(gather(config, listen_s=seconds, log_level=log_level))
    healthy = all(f.level is not Level.FAULT for f in findings)
    if as_json:
        click.echo(json.dumps({"healthy": healthy, "rules": len(RULES), "findings": [f.as_dict() for f in findings]}))
    else:
        for f in findings:
            click.echo(f"{f.level.value:5} {f.name}: {f.where}: {f.what} ({f.mend})")
        faults = sum(f.level is Level.FAULT for f in findings)
        click.echo(f"{len(RULES)} rules: {faults} faults, {len(findings) - faults} hints")
    sys.exit(0 if healthy else 1)


def _load(file: Path) -> EdgeConfig:
    from edge.config import check_config, load_config

    config = load_config(file)
    check_config(config, str(file))
    return config
