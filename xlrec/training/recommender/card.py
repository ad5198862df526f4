"""The model card of a learnt recommender: what it was taught, and how."""

from xlrec.recommenders.factors import FactorModel


def card(model: FactorModel) -> str:
    """Markdown; counts and names only, no texts and no ids."""
    facts = model.facts
    constants = ", ".join(f"{name} {value}" for name, value in facts.get("train", {}).items())
    told = [
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
    ]
    return "\n".join(told)
