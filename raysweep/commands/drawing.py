"""Commands that draw what a store says."""

from typing import Any

import click

from raysweep.commands.options import STORE, SWEEP, store_of


@click.command()
@SWEEP
@STORE
@click.option(
    "--kind",
    default="curves",
    show_default=True,
    type=click.Choice(["curves", "heatmap", "paths"]),
    help="What to draw: metrics over steps, a metric over a setting, or one metric over another.",
)
@click.option(
    "--metric",
    multiple=True,
    metavar="M",
    help="Metric to show; again for another row of curves [default: the one that selects].",
)
@click.option(
    "--select",
    metavar="M",
    help="Metric that selects the configuration [default: the sweep file's].",
)
@click.option("--tasks", multiple=True, metavar="LABEL", help="Only this task; may be given again.")
@click.option("--estimators", multiple=True, metavar="LABEL", help="Only this estimator; likewise.")
@click.option("--log", is_flag=True, help="Logarithmic y axes, of curves.")
@click.option("--over", metavar="SETTING", help="Setting along a heatmap's columns.")
@click.option("--x", multiple=True, metavar="M", help="Metric along the x axis of paths.")
@click.option("--y", multiple=True, metavar="M", help="Metric along the y axis, one for each --x.")
@click.option(
    "--out",
    metavar="FILE",
    help="A .png, .pdf or .svg [default: SWEEP-METRIC.png or SWEEP-KIND.png].",
)
def plot(sweep: str, store: str | None, kind: str, out: str | None, **options: Any) -> int:
    """Draw a figure of a sweep's results."""
    from raysweep.results.figures.figure import save
    from raysweep.results.results import Results

    given = {name: value for name, value in options.items() if value}
    click.echo(save(Results(store_of(store), sweep), kind, given, out))
    return 0
