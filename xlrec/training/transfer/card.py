"""What a transferred model's card says besides the usual: from where, to where, by how much."""

from typing import Any

from xlrec.recommenders.factors import FactorModel
from xlrec.training.recommender.card import card as usual
from xlrec.training.recommender.quality import METRICS
from xlrec.training.transfer.figures import ALL


def card(model: FactorModel) -> str:
    """Markdown; figures and names only."""
    told: dict[str, Any] = model.facts["transfer"]
    rows = [
        f"| {row['arm']} | {row['share']:.3g} | {row['value']:.4f} ({row['low']:.4f} to {row['high']:.4f}) |"
        for row in told["figures"]
        if row["metric"] == METRICS[0] and row["slice"] == ALL
    ]
    lines = [
        "## Transfer",
        "",
        f"From {told['by']} {', '.join(told['from'])} to {', '.join(told['to'])}: {told['kept']}, the best on the",
        "inner split of the target's logs. NDCG@10 below is of models without the target's newest visits, for",
        f"{told['n_users']:,} users with a history; this model was then trained once more with them.",
        "",
        "| arm | share of the target's logs | NDCG@10 (95 %) |",
        "|---|---|---|",
        *rows,
        "",
    ]
    return usual(model) + "\n" + "\n".join(lines)
