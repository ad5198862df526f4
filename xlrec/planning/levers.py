"""What to change so that a night takes less: one change at a time, each with the night that it makes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from xlrec.config.models import Config
from xlrec.encoders.presets import PRESETS
from xlrec.planning.costs import Case, estimate
from xlrec.planning.rates import Rates

#: Characters of a token, about, in the catalogue's mix of languages: only for what a GPU would take.
_TOKEN_CHARS: Final = 3.0
#: Bytes of a raw score that a GPU writes and reads once, in bfloat16.
_SCORE_TRAFFIC: Final = 4
#: Share of the items that an approximate search is taken to look at.
_PROBED: Final = 0.1
#: Time of a bfloat16 search over a float32 one, where the processor has the instructions; README, Speed.
_BF16: Final = 0.9 / 1.74


class Gpu(NamedTuple):
    """A GPU as its datasheet has it, and which part of that is taken to be reached."""

    teraflops: float
    """Dense, in bfloat16."""
    gigabytes: float
    """Of memory traffic in a second."""
    share: float


@dataclass(frozen=True)
class Lever:
    """One change, and the night with it."""

    what: str
    how: str
    """Config, or what to do."""
    seconds: float
    basis: str = "measured"
    """measured: by rates of this machine; assumed: by figures that nobody measured here."""


def levers(case: Case, others: Mapping[str, Rates], gpu: Gpu) -> tuple[Lever, ...]:
    """All that apply, the shortest night first.

    Args:
        case: The night as it is.
        others: Rates by override (`key=value`) of the config, as measured.
        gpu: For what a GPU would take.
    """
    found = [*_machine(case, gpu), *_config(case, others), *_fewer(case)]
    before = estimate(case).seconds
    return tuple(sorted((one for one in found if one.seconds < before), key=lambda one: one.seconds))


def overrides(config: Config) -> dict[str, dict[str, Any]]:
    """Changes of the config whose effect on retrieval and ranking can only be measured: override to (path, value)."""
    found: dict[str, dict[str, Any]] = {}
    if (n := config.retrieve.candidates // 2) >= config.k:
        found[f"retrieve.candidates={n}"] = {"retrieve": {"candidates": n}}
    if (k := config.k // 2) >= 1:
        found[f"k={k}"] = {"k": k}
    if config.rank.diversity > 0 or config.rank.languages == "calibrated":
        found["rank.diversity=0, rank.languages=any"] = {"rank": {"diversity": 0.0, "languages": "any"}}
    return found


def changed(config: Config, tree: Mapping[str, Any]) -> Config:
    """The config with these values."""
    values = config.model_dump()
    for key, value in tree.items():
        values[key] = {**values[key], **value} if isinstance(value, dict) else value
    return Config.model_validate(values)


def _machine(case: Case, gpu: Gpu) -> Iterator[Lever]:
    whole, machine = estimate(case), case.machine
    for factor in (2, 4):
        n = factor * machine.cores
        yield Lever(f"{n} cores", "spark.master local[N], or executors", whole.on(n))
    search, encoder = whole.stage("search"), whole.stage("encoder")
    if case.rates.path == "float32":
        rest = whole.seconds - search * (1 - _BF16)
        yield Lever("a processor with bfloat16", "AVX512-BF16 or AMX; found by itself", rest, "assumed")
    rest = whole.seconds - search * (1 - _PROBED)
    yield Lever(f"approximate search of {_PROBED:.0%} of the items", "retrieve.search=ann; not exact", rest, "assumed")
    on_gpu = search_on(gpu, case)
    if on_gpu < search:
        yield Lever("the search on a GPU", _of(gpu), whole.seconds - search + on_gpu, "assumed")
    embedding = embedding_on(gpu, case)
    if embedding is not None and embedding < encoder:
        yield Lever("the encoder on a GPU", f"embed.device; {_of(gpu)}", whole.seconds - encoder + embedding, "assumed")


def search_on(gpu: Gpu, case: Case) -> float:
    """Seconds of the search on one such GPU: the products, and one trip of the scores through its memory."""
    pairs = case.sizes.active * case.sizes.items
    flops = pairs * 2 * case.dim / (gpu.teraflops * 1e12 * gpu.share)
    return flops + pairs * _SCORE_TRAFFIC / (gpu.gigabytes * 1e9 * gpu.share)


def embedding_on(gpu: Gpu, case: Case) -> float | None:
    """Seconds of the encoder on one such GPU; None where it is no preset, whose size is known, or needs none."""
    known = {preset.name: preset.active_m for preset in PRESETS}
    if case.config.embed.encoder not in known:
        return None
    tokens = case.sizes.new_texts * min(case.sizes.chars / _TOKEN_CHARS, case.config.embed.max_tokens)
    return tokens * 2e6 * known[case.config.embed.encoder] / (gpu.teraflops * 1e12 * gpu.share)


def _of(gpu: Gpu) -> str:
    return f"{gpu.teraflops:g} TFLOP/s, {gpu.gigabytes:g} GB/s, {gpu.share:.0%} of both reached"


def _config(case: Case, others: Mapping[str, Rates]) -> Iterator[Lever]:
    factors = case.config.train.factors
    if factors.enabled and factors.dim >= 16:
        n = factors.dim // 2
        small = changed(case.config, {"train": {"factors": {**factors.model_dump(), "dim": n}}})
        yield Lever(
            "shorter vectors", f"train.factors.dim={n}; only the search is counted",
            estimate(replace(case, config=small)).seconds,
        )  # fmt: skip
    for override, tree in overrides(case.config).items():
        if override in others:
            other = replace(case, config=changed(case.config, tree), rates=others[override])
            yield Lever(_NAMES[override.partition("=")[0]], override, estimate(other).seconds)


_NAMES: Final = {
    "retrieve.candidates": "fewer candidates", "k": "shorter lists", "rank.diversity": "ranking by score alone",
}  # fmt: skip


def _fewer(case: Case) -> Iterator[Lever]:
    sizes = case.sizes
    if sizes.active < sizes.users:
        lists = replace(case, sizes=replace(sizes, users=sizes.active))
        what = f"no lists for the {sizes.users - sizes.active:,} users without an event"
        yield Lever(what, "leave them out of inputs.users", estimate(lists).seconds)
    half = sizes.scaled(sizes.users // 2, None)
    yield Lever("half of the users", "leave out who has not come for long", estimate(replace(case, sizes=half)).seconds)
    half = sizes.scaled(None, sizes.items // 2)
    how = "leave out languages, or what is not sold"
    yield Lever("half of the items", how, estimate(replace(case, sizes=half)).seconds)
