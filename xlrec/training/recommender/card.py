"""Model card of a learnt recommender: its data, its constants, and the gain of a transfer where it comes from one."""

from typing import Any

from xlrec.recommenders.factors import FactorModel
from xlrec.training.recommender.quality import METRICS


def recommender_card(model: FactorModel) -> str:
    """Markdown text of the card; counts, figures and names only, no texts and no ids."""
    facts = model.facts
    constants = ", ".join(f"{name} {value}" for name, value in facts.get("train", {}).items())
    lines = [
        "# Learnt recommender of xlrec",
        "",
        f"Fingerprint `{model.fingerprint}`. Score of an item for a user: inner product of two vectors of {model.dim}",
        "numbers, of a matrix factorisation whose item factors lean on the texts. Weights: safetensors.",
        "",
        "## Data",
        "",
        f"- {facts.get('n_visits', 0):,} events of {facts.get('n_users', 0):,} users, {len(model.item_ids):,} items",
        f"- run date {facts.get('run_date', 'unknown')}, markets: {', '.join(facts.get('taught_markets', ['all']))}",
        f"- encoder `{facts.get('encoder')}`, unify `{facts.get('unify')}`",
        f"- {constants}",
        "",
        "## Limits",
        "",
        "Taught with the vectors of the encoder above. Items without text and logs are never near anything.",
        "",
        *(_transfer_lines(facts["transfer"]) if "transfer" in facts else []),
    ]
    return "\n".join(lines)


def _transfer_lines(transfer: dict[str, Any]) -> list[str]:
    rows = [
        f"| {row['strategy']} | {row['share']:.3g} | {row['value']:.4f} ({row['low']:.4f} to {row['high']:.4f}) |"
        for row in transfer["figures"]
        if row["metric"] == METRICS[0]
    ]
    route = f"{transfer['by']} {', '.join(transfer['from'])} to {', '.join(transfer['to'])}"
    return [
        "## Transfer",
        "",
        f"From {route}: {transfer['kept']}, the best on the",
        "inner split of the target's logs. NDCG@10 below is of models without the target's newest visits, for",
        f"{transfer['n_users']:,} users with a history; this model was then trained once more with them.",
        "",
        "| strategy | share of the target's logs | NDCG@10 (95 %) |",
        "|---|---|---|",
        *rows,
        "",
    ]
