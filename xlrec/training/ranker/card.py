"""The card of a learnt ranker: what it was taught, how, and how it does beside the fusion."""

from xlrec.recommenders.ranking import RankingModel
from xlrec.training.ranker.examples import K
from xlrec.training.ranker.trees import N_FOLDS


def card(model: RankingModel) -> str:
    """Markdown; counts and names only, no texts and no ids."""
    facts = model.facts
    figures = [
        f"| {name} | {value:.4f} | {low:.4f} to {high:.4f} |" for name, (value, low, high) in facts["ndcg"].items()
    ]
    told = [
        "# Learnt ranker of xlrec",
        "",
        f"Fingerprint `{model.fingerprint}`. {facts['n_trees']} trees of {facts['leaves']} leaves (LightGBM,",
        f"lambdarank, rate {facts['rate']}) order a user's {facts['shortlist']} best fused candidates. `model.txt` is",
        "LightGBM's own text.",
        "",
        "## Data",
        "",
        f"- {facts['n_users']:,} users of the inner split ({facts['split']}), {facts['n_taught']:,} of whom chose one",
        f"  of their candidates; {facts['n_rows']:,} candidates, {facts['n_hits']:,} chosen",
        f"- run date {facts['run_date']}, sources: {', '.join(facts['sources'])}; learnt model: {facts['learnt']}",
        "",
        f"## NDCG@{K} of the candidates' order",
        "",
        f"Each user scored by trees that were not taught with her ({N_FOLDS} folds); 95 % bootstrap over users.",
        "",
        "| | mean | interval |",
        "|---|---|---|",
        *figures,
        "",
        "## Features by gain",
        "",
        ", ".join(f"{name} {share:.0%}" for name, share in facts["gains"].items()),
        "",
        "## Limits",
        "",
        "Learnt from lists that the fusion did not show. Another learnt model, other weights or another catalogue may",
        "need another ranker: compare by `xlrec evaluate` before it serves.",
        "",
    ]  # fmt: skip
    return "\n".join(told)
