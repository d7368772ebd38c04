"""The command line: groups are imported only when used, so that `--help` is quick and an edge needs no cloud.

Exit codes: 0 done, 1 the job failed, 2 wrong use or configuration, 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from forewarn import __version__
from forewarn.logs import configure_logging
from models.errors import ForewarnError, WrongUse

# command: (module, attribute, extra it needs, one line of help)
COMMANDS = {
    "demo": ("forewarn.commands.demo", "demo", "all", "Run the whole loop on simulated machines or on recordings."),
    "edge": ("forewarn.commands.edge", "edge", "edge", "The agent on the device: run, replay, record, check."),
    "doctor": ("forewarn.commands.doctor", "doctor", "edge", "What is wrong with this device, and what to do."),
    "bundle": ("forewarn.commands.bundle", "bundle", "edge", "What a device is installed from without a network."),
    "cloud": ("forewarn.commands.cloud", "cloud", "cloud", "Gateway and pages: serve, migrate."),
    "alert": ("forewarn.commands.alert", "alert", "cloud", "Alerts: list, ack, resolve."),
    "lake": ("forewarn.commands.lake", "lake", "cloud", "The lake: ledger, gaps, verify, retain, compact."),
    "device": ("forewarn.commands.device", "device", "cloud", "What the cloud keeps for a device: state."),
    "backup": ("forewarn.commands.backup", "backup", "cloud", "Write everything the cloud has into one folder."),
    "restore": ("forewarn.commands.backup", "restore", "cloud", "Fill an empty cloud from a backup."),
    "status": ("forewarn.commands.status", "status", "cloud", "Whether all is well, and what is not."),
    "label": ("forewarn.commands.label", "label", "cloud", "Maintenance history as labels: import, list."),
    "whatif": ("forewarn.commands.whatif", "whatif", "edge", "What would this agent have said about this recording."),
    "evaluate": (
        "forewarn.commands.evaluate",
        "evaluate",
        "all",
        "A public benchmark: train on some machines, listen to others.",
    ),
    "score": ("forewarn.commands.evaluate", "score", "all", "Score what `evaluate` wrote, beside the floor."),
    "train": ("forewarn.commands.train", "train", "training", "Train a failure model from the lake."),
    "sweep": ("forewarn.commands.sweep", "sweep", "training", "Search better settings for training, and judge them."),
    "backtest": (
        "forewarn.commands.backtest",
        "backtest",
        "all",
        "What a model would have said over a span of the lake, and what that is worth.",
    ),
    "model": ("forewarn.commands.model", "model", "cloud", "Bundles: list, show, verify, promote, rollback."),
}

OURS = {"forewarn", "edge", "cloud", "models", "protos", "training"}


def _missing_extra(command: str | None, error: ModuleNotFoundError) -> WrongUse | None:
    """Wrong use, where an extra would have brought the module; None for a module of our own, which is a defect."""
    if command not in COMMANDS or (error.name or "").partition(".")[0] in OURS:
        return None
    return WrongUse(
        f"`forewarn {command}` needs the Python package {error.name}, which is not installed here",
        mend=f"pip install 'forewarn[{COMMANDS[command][2]}]'",
    )


class LazyGroup(click.Group):
    """A group whose commands are named in a table and imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The table's commands, in its order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; a package that is not installed is named with the extra that brings it."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _, _ = COMMANDS[cmd_name]
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as e:
            if (wrong := _missing_extra(cmd_name, e)) is None:
                raise
            raise wrong from e
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, which imports more; what is missing then is named in the same way."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as e:
            if (wrong := _missing_extra(ctx.invoked_subcommand, e)) is None:
                raise
            raise wrong from e

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, _, _, help_line) in COMMANDS.items()])


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="forewarn")
@click.option(
    "--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]), show_default=True
)
@click.option("--log-json", is_flag=True, help="One JSON object a line, as journald and log shippers want it.")
def root(log_level: str, log_json: bool) -> None:
    """Forewarn warns the crew of a rotating machine before something breaks."""
    configure_logging(log_level, as_json=log_json)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and turn errors into one line and an exit code."""
    try:
        root.main(arguments, prog_name="forewarn", standalone_mode=False)
    except click.ClickException as e:
        e.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except ForewarnError as e:
        click.echo(f"forewarn: {e}", err=True)
        sys.exit(2 if isinstance(e, WrongUse) else 1)
