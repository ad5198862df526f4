"""What a person sees of learnt event weights: every trial, what unseen users say, and the line of config."""

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xlrec.reporting import words

if TYPE_CHECKING:
    from xlrec.training.recommender.event_weights import Found, Kinds

_DIGITS: Final = 4


@dataclass(frozen=True)
class WeightsData:
    """One search, and the config that it started from."""

    kinds: "Kinds"
    weights: dict[str, float]
    """Configured weight of each kind that has events."""
    configured: dict[str, float]
    """`prepare.event_weights`, as the config has it."""
    found: "Found"
    config_file: str

    @property
    def learnt(self) -> dict[str, float]:
        """`prepare.event_weights` with what was found; kinds that stay as they are add no key."""
        pairs = zip(self.kinds.names, self.found.multiples, strict=True)
        return self.configured | {name: self.weights[name] * float(one) for name, one in pairs if one != 1}

    @property
    def line(self) -> str:
        """With which the nightly run uses them."""
        return f"--set {shlex.quote(f'prepare.event_weights={_flow(self.learnt)}')}"

    @property
    def yaml(self) -> str:
        """The same for the config file."""
        return f"prepare:\n  event_weights: {_flow(self.learnt)}"


def print_weights(data: WeightsData, console: Console | None = None) -> None:
    """Prints the trials, what they are worth to users that the search did not look at, and the line of config."""
    out, found = console or Console(), data.found
    multiples = sorted({trial.multiple for trial in found.trials})
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, title="Event weights", title_justify="left", title_style="bold")
    shown.add_column("event")
    for name in ("events", "weight", *(f"× {one:g}" for one in multiples), "found"):
        shown.add_column(name, justify="right")
    for row in sorted(range(len(data.kinds.names)), key=lambda row: -data.kinds.counts[row]):
        name, multiple = data.kinds.names[row], float(found.multiples[row])
        tried = {trial.multiple: trial for trial in found.trials if trial.kind == row}
        cells = [Text(name), Text(f"{data.kinds.counts[row]:,}"), Text(f"{data.weights[name]:g}")]
        for one in multiples:
            trial = tried.get(one)
            style = "bold" if trial and trial.kept else "dim"
            cells.append(Text(words.score(trial.ndcg if trial else None, _DIGITS), style=style))
        shown.add_row(*cells, Text(f"{data.weights[name] * multiple:g}", style="bold" if multiple != 1 else ""))
    out.print(shown)
    said = (
        f"NDCG@10 of {found.n_search:,} users of the inner split; {words.score(found.searched, _DIGITS)} as configured"
    )
    out.print(Text(f"{said}, {found.epochs} epochs each."), soft_wrap=True)
    out.print(Text(verdict(found)), soft_wrap=True)
    if found.changed and found.ahead[0] > 0:
        out.print(Text("use them:" if found.sure else "to try them all the same:"))
        out.print(Text(f"xlrec run --config {data.config_file} {data.line}"), soft_wrap=True)
        out.print(Text(f"or in the config:\n{data.yaml}"), soft_wrap=True)


def verdict(found: "Found") -> str:
    """What the users that the search did not look at say, in a sentence."""
    if not found.changed:
        return "No weight is ahead of the configured one by more than a standard error: keep prepare.event_weights."
    difference, *ends = found.ahead
    low, high = (words.signed(end, _DIGITS) for end in ends)
    said = (
        f"{found.n_unseen:,} users that the search did not look at: NDCG@10 {words.score(found.before, _DIGITS)} as "
        f"configured, {words.score(found.after, _DIGITS)} with what was found, "
        f"{words.signed(difference, _DIGITS)} ({low} to {high}). "
    )
    if found.sure:
        return f"{said}The weights found are better."
    why = "that may be chance" if difference > 0 else "what was found is not ahead"
    return f"{said}Keep prepare.event_weights: {why}."


def _flow(weights: dict[str, float]) -> str:
    """One line of YAML, which is JSON."""
    return json.dumps(weights, ensure_ascii=False)
