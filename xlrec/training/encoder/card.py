"""Model card of an encoder: texts and licences of its training, recall on dev by source and language, limits."""

import json
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from xlrec.training.encoder.choices import LAKE_CHOICES
from xlrec.training.encoder.config import AdaptConfig
from xlrec.training.encoder.texts import Texts

Figures = Mapping[tuple[str, str], float]
_LIMITS = {
    "static": """A bag of tokens: word order and context are not seen, so a word with two meanings has one vector, and
*not good* is near *good*. Names and words that the training texts lack are known by their letters alone. Texts of the
training were labels, messages and sentences of a few hundred characters at most.""",
    "finetune": "As the model that it was fine-tuned from; texts of other kinds than those above were not measured.",
}


def _sources(texts: Texts) -> list[str]:
    lines = ["| source | texts trained on | texts for dev | licences |", "|---|---|---|---|"]
    for number, name in enumerate(texts.sources):
        mine = texts.source == number
        n_dev = int((mine & texts.is_dev).sum())
        licences = ", ".join(texts.licences[name]) or "(measured only)"
        lines.append(f"| {name} | {int(mine.sum()) - n_dev:,} | {n_dev:,} | {licences} |")
    if len(texts.choices):
        n_dev = int(texts.choices.is_dev.sum())
        lines.append(f"| {LAKE_CHOICES} (pairs of items) | {len(texts.choices) - n_dev:,} | {n_dev:,} | (behaviour) |")
    return lines


def _languages(texts: Texts, recalls: Figures, unknown: Mapping[str, float]) -> list[str]:
    by_language: dict[str, list[float]] = defaultdict(list)
    for (_, language), value in recalls.items():
        by_language[language].append(value)
    counts = np.bincount(texts.language[~texts.is_dev], minlength=len(texts.languages))
    lines = ["| language | texts trained on | recall at 1 on dev | unknown |", "|---|---|---|---|"]
    for number in np.argsort(-counts, kind="stable").tolist():
        name = texts.languages[number]
        mean = f"{np.mean(by_language[name]):.3f}" if name in by_language else "–"
        share = f"{100 * unknown[name]:.2f} %" if name in unknown else "–"
        lines.append(f"| {name} | {counts[number]:,} | {mean} | {share} |")
    return lines


def _by_source(recalls: Figures) -> list[str]:
    by_source: dict[str, dict[str, float]] = defaultdict(dict)
    for (source, language), value in recalls.items():
        by_source[source][language] = value
    lines = ["| source | languages | mean | lowest |", "|---|---|---|---|"]
    for source, values in sorted(by_source.items()):
        worst = min(values, key=lambda name: (values[name], name))
        mean = float(np.mean(list(values.values())))
        lines.append(f"| {source} | {len(values)} | {mean:.3f} | {values[worst]:.3f} ({worst}) |")
    return lines


def encoder_card(
    config: AdaptConfig, texts: Texts, recalls: Figures, unknown: Mapping[str, float], n_steps: int
) -> str:
    """Markdown text of the card, with the header that model hubs read.

    Args:
        config: Of the training.
        texts: Trained on and measured.
        recalls: Recall at 1 of each (source, language).
        unknown: Share of the tokens of each language that are single bytes.
        n_steps: Steps of the training.
    """
    head = ["---", f"license: {config.licence}", "library_name: sentence-transformers"]
    head += ["pipeline_tag: sentence-similarity"]
    head += ["language:", *(f"- {name}" for name in sorted({tag.split("-")[0] for tag in texts.languages})), "---"]
    settings = config.model_dump(mode="json", exclude={"output", "work", "spark"})
    settings["texts"].pop("path")
    for key in ("folder", "copied"):
        (settings["texts"]["lake"] or {}).pop(key, None)
    for section, folder in (("compress", "output"), ("finetune", "model")):
        if settings[section]:
            settings[section].pop(folder)
    body = [
        f"# {config.name}",
        "Texts of many languages in, vectors out: what says the same is near, whatever its language.",
        "## Data and licences",
        f"The weights are under {config.licence}. They were trained on these texts; dev texts were only measured:",
        "\n".join(_sources(texts)),
        "## Figures",
        "Recall at 1: how often a text's translation is the nearest of up to "
        f"{config.measure.candidates:,} dev texts in `{config.batch.pivot}` of its source; for `{LAKE_CHOICES}`, how "
        "often an item that the same users chose is nearer than one that they did not (0.5 is chance).",
        "\n".join(_by_source(recalls)),
        "## Languages",
        "The mean is over the sources with enough dev texts. Unknown: share of the tokens that are single bytes.",
        "\n".join(_languages(texts, recalls, unknown)),
        "## Limits",
        _LIMITS[config.mode],
        "## How it was made",
        f"`xlrec adapt-encoder` with this config, {n_steps:,} steps:",
        f"```json\n{json.dumps(settings, indent=1, ensure_ascii=False)}\n```",
    ]
    return "\n".join(head) + "\n" + "\n\n".join(body) + "\n"
