"""The model card of a learnt recommender: what it was taught, how, and how well it did on its inner split."""

from typing import Any

from xlrec.recommenders.hybrid import HybridModel


def card(model: HybridModel) -> str:
    """Markdown; counts and names only, no texts and no ids."""
    facts = model.facts
    course = [f"| {epoch} | {value:.4f} |" for epoch, value in enumerate(facts.get("inner_ndcg", []))]
    names = facts.get("market_names", [])
    markets = [
        f"| {names[row] if row < len(names) else row} | {users:,} | {before:.4f} | {after:.4f} |"
        for row, users, before, after in facts.get("inner_markets", [])
    ]
    told = [
        "# Learnt recommender of xlrec",
        "",
        f"Fingerprint `{model.fingerprint}`. Score of an item for a user: inner product of two vectors, of adapted",
        "texts, residuals of the items that were taught, popularity, freshness and languages. Weights: safetensors.",
        "",
        "## Data",
        "",
        f"- {facts.get('n_visits', 0):,} visits of {facts.get('n_users', 0):,} users, "
        f"{facts.get('n_examples', 0):,} examples (first meetings), {len(model.item_ids):,} items taught",
        f"- run date {facts.get('run_date', 'unknown')}, markets: {', '.join(facts.get('taught_markets', ['all']))}",
        f"- encoder `{facts.get('encoder')}`, unify `{facts.get('unify')}`",
        "",
        "## Inner split",
        "",
        f"NDCG@10 of {facts.get('inner_users', 0):,} users by epoch; {facts.get('epochs', 0)} epochs on everything.",
        "",
        "| epoch | NDCG@10 |",
        "|---|---|",
        *course,
        "",
        "By market: before training (texts, popularity and languages alone), and after the best epoch.",
        "",
        "| market | users | untaught | learnt |",
        "|---|---|---|---|",
        *markets,
        "",
        *_guarded(facts.get("guard", [])),
        "## Limits",
        "",
        "Taught with the vectors of the encoder above; items without text or logs have popularity and language alone.",
        "",
    ]
    return "\n".join(told)


def _guarded(verdicts: list[dict[str, Any]]) -> list[str]:
    if not verdicts:
        return []
    ways = list(verdicts[0]["inner"])
    rows = []
    for one in verdicts:
        inner = " | ".join(f"{one['inner'][way]:.4f}" for way in ways)
        ahead = ", ".join(_ahead(*item) for item in one["ahead"].items())
        rows.append(f"| {one['market']} | {one['users']:,} | {inner} | {one['kept']} | {ahead} |")
    return [
        "## What serves each market",
        "",
        "NDCG@10 on the inner split's users of the market; another way than joint is kept where it is ahead by more",
        "than a standard error. Markets that are not named are served jointly.",
        "",
        f"| market | users | {' | '.join(ways)} | kept | ahead of |",
        f"|---|---|{'---|' * len(ways)}---|---|",
        *rows,
        "",
    ]


def _ahead(way: str, values: list[float]) -> str:
    return f"{way} {values[0]:+.4f} [{values[1]:+.4f}, {values[2]:+.4f}]"
