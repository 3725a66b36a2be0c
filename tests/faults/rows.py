"""What a fault run says: one row of the table."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

NAME_WIDTH, VERDICT_WIDTH, FIGURES_WIDTH = 18, 12, 100


@dataclass(frozen=True)
class Row:
    """``held``: nothing was lost, doubled or leaked, and nobody waited longer than promised."""

    name: str
    figures: str
    held: bool


@dataclass(frozen=True)
class Shown:
    """A run and its control; the control shows the fault when its row does not hold."""

    run: Row
    control: Row | None

    @property
    def good(self) -> bool:
        return self.run.held and (self.control is None or not self.control.held)


def table(shown: Sequence[Shown]) -> str:
    """The rows as text, each run with its control below it."""
    lines = [_line("run", "verdict", "figures"), "-" * (NAME_WIDTH + VERDICT_WIDTH + FIGURES_WIDTH)]
    for each in shown:
        lines.append(_line(each.run.name, "held" if each.run.held else "NOT HELD", each.run.figures))
        if each.control is not None:
            verdict = "NOT CAUGHT" if each.control.held else "caught"
            lines.append(_line("  without guard", verdict, each.control.figures))
    return "\n".join(lines)


def _line(name: str, verdict: str, figures: str) -> str:
    first, *others = textwrap.wrap(figures, FIGURES_WIDTH) or [""]
    indent = " " * (NAME_WIDTH + VERDICT_WIDTH)
    return "\n".join(
        [f"{name:<{NAME_WIDTH}}{verdict:<{VERDICT_WIDTH}}{first}", *(indent + other for other in others)]
    )
