"""Translation of the texts into the pivot language, and the texts that vectors are made of."""

from collections import Counter

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from xlrec import translators
from xlrec.config.models import Config
from xlrec.errors import EncoderError
from xlrec.lake.inputs import read_input
from xlrec.pipeline.run import Run
from xlrec.runtime.progress import StageProgress
from xlrec.stages import prepare as preparing
from xlrec.stages import translate as translating
from xlrec.tables import TEXTS, TRANSLATIONS, TRANSLATIONS_INPUT, UNTRANSLATED
from xlrec.translators.base import UNCHANGED
from xlrec.translators.shipping import translator_for_workers

#: Tasks of a core in one round: a night that dies keeps the rounds before.
_ROUND_TASKS = 8
#: Texts from which on their failures tell something about the model.
_MIN_ASKED = 50


def translate(run: Run) -> None:
    """Translates the texts that have no translation into the pivot language yet: brought ones first, then the model.

    Nothing where `unify` is vectors.

    Raises:
        InputError: inputs.translations cannot be read.
        EncoderError: the model or its server cannot be had, or too many texts have no valid answer.
    """
    config, lake = run.config, run.lake
    if config.unify == "vectors":
        return
    pivot, names = translators.pivot_of(config.translate), _translators(config)
    lake.create_table(TRANSLATIONS)
    lake.create_table(UNTRANSLATED)
    foreign = translating.foreign_texts(lake.read_table(TEXTS), pivot)
    n_brought = _bring_translations(run, foreign, pivot) if config.inputs.translations else 0
    # Spark drops what is cached of a table that is written to: computed again, the night would have other texts.
    night = _texts_of_night(run, foreign, pivot, names).localCheckpoint()
    n_new = night.count() if config.translate.model else 0
    with run.stage("translate", total=n_new, unit="texts") as progress:
        if n_new:
            _ask_model(run, night, n_new, progress)
        left = translating.untranslated(
            foreign, lake.read_table(TRANSLATIONS), lake.read_table(UNTRANSLATED), pivot, names
        )
        reasons = Counter({row["reason"]: row["n"] for row in left.collect()})  # a dozen rows
        run.counts.update({f"translate.untranslated.{reason}": n for reason, n in sorted(reasons.items())})
        figures = {"brought": n_brought, "texts": n_new, "untranslated": reasons.total()}
        run.counts.update({f"translate.{name}": n for name, n in figures.items()})
        progress.record_result(rows_in=foreign.count(), rows_out=n_brought + n_new, note=_note(reasons))


def _translators(config: Config) -> tuple[str, ...]:
    """Names of the translators whose translations count, the best first."""
    brought = (translating.BROUGHT,) if config.inputs.translations else ()
    return brought + ((translators.fingerprint(config.translate),) if config.translate.model else ())


def _texts_of_night(run: Run, foreign: DataFrame, pivot: str, names: tuple[str, ...]) -> DataFrame:
    """The texts that the model is asked for."""
    lake, config = run.lake, run.config.translate
    failures = lake.read_table(UNTRANSLATED).drop("reason")
    known = lake.read_table(TRANSLATIONS).drop("text").unionByName(failures)
    new = translating.new_texts(foreign, known, pivot, names)
    return translating.texts_of_night(new, config, pivot) if config.is_chat else new


def _ask_model(run: Run, night: DataFrame, n_texts: int, progress: StageProgress) -> None:
    """Writes the model's answers to the texts of the night, round by round, and counts them by reason."""
    lake, config = run.lake, run.config.translate
    pivot, name, key = translators.pivot_of(config), translators.fingerprint(config), translators.server_key(config)
    if config.endpoint is not None:
        translators.check_endpoint(config, key)
    for_workers = translator_for_workers(lake, config)
    of_round = _ROUND_TASKS * config.texts_per_task * run.spark.sparkContext.defaultParallelism
    n_rounds = -(-n_texts // of_round)
    counted: Counter[str] = Counter()
    if n_rounds > 1:
        progress.follow_share(lambda: counted["asked"] / n_texts)
    for number in range(n_rounds):
        texts = translating.round_of(night, number, n_rounds)
        made = translating.translate(texts, for_workers, name, pivot, n_texts=n_texts // n_rounds, key=key)
        answers = made.localCheckpoint()  # no answer is asked for twice
        lake.append_rows(TRANSLATIONS, translating.valid_rows(answers))
        lake.append_rows(UNTRANSLATED, translating.lasting_failures(answers))
        for row in translating.outcomes(answers).collect():  # a dozen rows
            counted.update({f"answers.{row['reason'] or 'valid'}": row["n"], "asked": row["n"]})
            counted.update({tokens: row[tokens] for tokens in ("read_tokens", "written_tokens")})
        run.counts.update({f"translate.{what}": n for what, n in counted.items() if n})
        if config.is_chat:
            check_failed(counted, config.chat.max_failed_share)
        tokens = counted["read_tokens"] + counted["written_tokens"]
        if config.chat.tokens_per_night is not None and tokens >= config.chat.tokens_per_night:
            break


def check_failed(counted: Counter[str], max_share: float) -> None:
    """Stops a night whose chat model gives too few valid answers; what it gave is kept.

    Raises:
        EncoderError: more than `max_share` of the texts asked for have no valid answer.
    """
    answers = {what.removeprefix("answers."): n for what, n in counted.items() if what.startswith("answers.")}
    failed = {reason: n for reason, n in answers.items() if reason not in ("valid", UNCHANGED)}
    if counted["asked"] >= _MIN_ASKED and sum(failed.values()) > max_share * counted["asked"]:
        worst = _listed(Counter(failed), 3)
        raise EncoderError(
            f"translate: {sum(failed.values())} of {counted['asked']} texts have no valid answer ({worst}), allowed "
            f"is a share of {max_share:g}: look at the model, its prompt and its server, or raise "
            "translate.chat.max_failed_share"
        )


def _note(reasons: Counter[str]) -> str:
    if not reasons:
        return ""
    return f"{reasons.total()} texts without a translation stand for themselves ({_listed(reasons, 5)})"


def _listed(reasons: Counter[str], most: int) -> str:
    ordered = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
    return ", ".join(f"{reason.replace('_', ' ')} {n}" for reason, n in ordered)


def _bring_translations(run: Run, foreign: DataFrame, pivot: str) -> int:
    """Replaces the brought translations where they differ from those in the lake; rows that are new or changed."""
    config, lake = run.config, run.lake
    path, names = str(config.inputs.translations), config.columns.translations
    raw = read_input(run.spark, path, TRANSLATIONS_INPUT, names, "translations")
    brought = preparing.translations_of(raw, pivot)
    rows = translating.brought_translations(foreign, brought, pivot).persist()
    where = {"pivot": pivot, "translator": translating.BROUGHT}
    old = lake.read_table(TRANSLATIONS).where((F.col("pivot") == pivot) & (F.col("translator") == translating.BROUGHT))
    n_new = rows.exceptAll(old).count()
    if n_new or old.count() != rows.count():
        lake.replace_rows(TRANSLATIONS, rows, where)
    rows.unpersist()
    return n_new


def unified_texts(run: Run) -> DataFrame:
    """The texts that the items' vectors are made of: their own, their translations, or both, as `unify` says."""
    config, texts = run.config, run.texts.read_table(TEXTS)
    if config.unify == "vectors":
        return texts
    pivot, known = translators.pivot_of(config.translate), run.texts.read_table(TRANSLATIONS)
    return translating.unified_texts(texts, known, config.unify, pivot, _translators(config))
