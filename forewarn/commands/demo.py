"""`forewarn demo`: the whole loop on this machine."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="A folder of recordings; without it, simulated machines.")
@click.option(
    "--headless", is_flag=True, help="End when the loop has closed once, instead of staying up for you to look."
)
@click.option("--json", "report", type=click.Path(path_type=Path, dir_okay=False), help="Write the report here.")
@click.option("--seconds", type=float, help="End after this many seconds even if you are still looking.")
@click.option("--page", help="host:port of the pages.  [default: 127.0.0.1:8080, or any free port if that is taken]")
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-data"),
    show_default=True,
    help="Folder for all that the demo writes; what an earlier demo left there is removed.",
)
@click.option("--seed", default=7, show_default=True, help="Of the simulator and the training.")
@click.option("--ray", default="local", show_default=True, help="Ray cluster: `local`, an address, or `off`.")
def demo(
    data: Path | None,
    headless: bool,
    report: Path | None,
    seconds: float | None,
    page: str | None,
    work: Path,
    seed: int,
    ray: str,
) -> None:
    """Run the whole loop: machines, gateway, lake, training, signed model, back to the machines, alarms, report."""
    from forewarn.demo.console import Console
    from forewarn.demo.story import Story, usual_page

    story = Story(Console(), work=work, data=data, page=page or usual_page(), seed=seed, ray=ray)
    story.run(headless=headless, report_file=report, seconds=seconds)
