"""Model card of an encoder: texts and licences of its training, recall on dev by source and language, limits."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from xlrec.training.cards import render_card
from xlrec.training.encoder.choices import LAKE_CHOICES
from xlrec.training.encoder.config import AdaptConfig
from xlrec.training.encoder.texts import Texts


def encoder_card(
    config: AdaptConfig,
    texts: Texts,
    recalls: Mapping[tuple[str, str], float],
    unknown: Mapping[str, float],
    steps: int,
) -> str:
    """Markdown text of the card, with the header that model hubs read.

    `recalls` are at 1 by (source, language); `unknown` is the share of each language's tokens that are single bytes.
    """
    of_texts = {"path": True, "lake": {"folder", "copied"}, "word_lists": {"path"}}
    left_out: Any = {"output": True, "work": True, "spark": True, "texts": of_texts, "compress": {"output"},
                "finetune": {"model"}}  # fmt: skip
    settings = config.model_dump(mode="json", exclude=left_out)
    counts = np.stack([np.bincount(texts.source[texts.is_dev == dev], minlength=len(texts.sources)) for dev in (0, 1)])
    sources = [
        (name, *counts[:, number].tolist(), ", ".join(texts.licences[name]) or "(measured only)")
        for number, name in enumerate(texts.sources)
    ]
    if len(texts.choices):
        n_dev = int(texts.choices.is_dev.sum())
        sources.append((f"{LAKE_CHOICES} (pairs of items)", len(texts.choices) - n_dev, n_dev, "(behaviour)"))
    by_source, by_language = (
        {name: {key[1 - side]: value for key, value in recalls.items() if key[side] == name} for name in names}
        for side, names in enumerate((sorted({source for source, _ in recalls}), texts.languages))
    )
    n_texts = np.bincount(texts.language[~texts.is_dev], minlength=len(texts.languages))
    return render_card(
        "encoder", config=config, n_steps=steps, choices=LAKE_CHOICES, sources=sources,
        settings=json.dumps(settings, indent=1, ensure_ascii=False),
        languages=sorted({tag.split("-")[0] for tag in texts.languages}),
        recalls=[
            (name, len(values), float(np.mean(list(values.values()))), *min(zip(values.values(), values, strict=True)))
            for name, values in by_source.items()
        ],
        by_language=[
            (name, n_texts[number], float(np.mean(list(values.values()))) if values else None, unknown.get(name))
            for number in np.argsort(-n_texts, kind="stable").tolist()
            for name, values in [(texts.languages[number], by_language[texts.languages[number]])]
        ],
    )  # fmt: skip
