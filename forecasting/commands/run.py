"""A run's output in a terminal: the next forecasts, the scores, withheld tickers, and the worst warnings."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from forecasting.commands.terminal import forecast_line, print_forecasts, print_table
from forecasting.findings import worst
from forecasting.formatting import pluralize, printable
from forecasting.reports.cells import score_cells
from forecasting.reports.summary import overview, pooled_scores
from forecasting.run import Run

__all__ = ["print_run"]

SHOWN = 12
"""Tickers whose forecasts are printed; with more, the scores would be out of sight."""

WORST = 3
"""Warnings that are printed; all are in the report."""


def print_run(run: Run, console: Console) -> None:
    """Print a run's tables, and the warnings about its data."""
    nearest = overview(run.forecasts, run.metrics)
    lines = [forecast_line(row) for row in nearest.head(SHOWN).to_dict("records")]
    print_forecasts(console, lines, title=f"The next Open, as of {run.as_of}")
    if len(nearest) > SHOWN:
        console.print(Text(f"and {pluralize(len(nearest) - SHOWN, 'ticker')} more", style="dim"))
    _print_scores(console, run)
    for one in run.withheld:
        who = printable(one.ticker or one.file or "")
        console.print(Text(f"withheld: {who}: {printable(one.reason, 500)}", style="yellow"))
    warnings = [finding for finding in run.findings if finding.kind != "set_aside"]
    for finding in worst(warnings, WORST):
        console.print(Text(f"warning: {printable(finding.message, 300)}", style="yellow"), soft_wrap=True)
    if len(warnings) > WORST:
        more = f"and {pluralize(len(warnings) - WORST, 'more warning')}, in the report and the manifest"
        console.print(Text(more, style="yellow"))


def _print_scores(console: Console, run: Run) -> None:
    scores = pooled_scores(run.metrics)
    if scores.empty:
        console.print(Text("No scores: too little history.", style="yellow"))
    lines = []
    ends = scores[scores["step"].isin([scores["step"].min(), scores["step"].max()])]
    for row in ends.sort_values(["step", "crps_ratio"]).to_dict("records"):
        cells = score_cells(row)
        line = {"Step": cells["step"], "Model": cells["model"], "Tickers": row["tickers"]}
        line |= {"CRPS": cells["crps_ratio"], "MAE": cells["mae_ratio"]}
        line |= {f"{share} %": cells[f"coverage_{share}"] for share in (50, 80, 90)}
        lines.append(line | {"Published for": row["published"]})
    title = "Held-out scores; CRPS and MAE as multiples of persistence's"
    print_table(console, lines, left=("Model",), title=title)
    if run.tutorial is not None:
        losses = [{"Epoch": f"{epoch:,}", "Loss": f"{loss:.6f}"} for epoch, loss in run.tutorial.losses.items()]
        title = f"Training of {printable(run.tutorial.ticker)}, as the tutorial prints it"
        print_table(console, losses, title=title)
