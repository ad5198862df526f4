"""What the terminal shows at the end of `xlrec train-ranker`."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xlrec.recommenders.ranking import RankingModel
from xlrec.reporting import words


def print_ranker(model: RankingModel, folder: str, config_file: str, console: Console | None = None) -> None:
    """Prints NDCG@10 of fusion and ranker, what that says, and the line of config."""
    out, facts = console or Console(), model.facts
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, title="Ranker", title_justify="left", title_style="bold")
    shown.add_column("order of the candidates")
    shown.add_column("NDCG@10", justify="right")
    shown.add_column("95 % interval", justify="right")
    for name, (value, low, high) in facts["ndcg"].items():
        told = words.signed if "minus" in name else words.score
        shown.add_row(name, told(value, 4), f"{told(low, 4)} to {told(high, 4)}")
    out.print(shown)
    out.print(Text(said(model)))
    places = Table.grid(padding=(0, 2))
    places.add_column(style="dim")
    places.add_column(overflow="fold")
    places.add_row("ranker", Text(folder))
    places.add_row("use it", Text(f"xlrec run --config {config_file} --set rank.ranker={folder}"))
    out.print(places)


def said(model: RankingModel) -> str:
    """Whether the ranker is ahead, in a sentence."""
    facts = model.facts
    _, low, high = next(figures for name, figures in facts["ndcg"].items() if "minus" in name)
    told = (
        "The ranker is ahead of the fusion." if low > 0
        else "The fusion is ahead of the ranker: leave rank.ranker at null." if high < 0
        else "Neither is ahead for certain: leave rank.ranker at null unless an evaluation says otherwise."
    )  # fmt: skip
    return (
        f"{told} {facts['n_users']:,} users of the inner split, each scored by trees that were not taught with her; "
        f"{facts['n_taught']:,} of them chose one of their candidates."
    )
