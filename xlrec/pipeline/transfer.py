"""Transfer from a source to a target: the curve from none of its logs to all of them, and a model to serve."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from xlrec import encoders
from xlrec.config.models import Config
from xlrec.errors import ConfigError
from xlrec.index.items import ItemIndex
from xlrec.index.writer import write_index
from xlrec.kernels.text.text import canonical_language
from xlrec.pipeline import learning, translation
from xlrec.pipeline.embed import embed, item_vectors
from xlrec.pipeline.prepare import dated_inputs, is_prepared, prepare
from xlrec.pipeline.reports import REPORTS
from xlrec.pipeline.run import Run, open_lake, running_on
from xlrec.recommenders import popularity
from xlrec.recommenders.factors import FACTS, FactorModel
from xlrec.reporting import transfer as reporting
from xlrec.runtime.files import Files
from xlrec.runtime.progress import Progress
from xlrec.stages.train import first_moments, logs_by_user
from xlrec.tables import EVENTS, ITEMS, USERS

if TYPE_CHECKING:
    from xlrec.training.recommender.logs import Items, Logs
    from xlrec.training.transfer import Experiment
    from xlrec.training.transfer.domains import Domains

#: Names that an error lists, at most.
_MOST_NAMES: Final = 30


@dataclass(frozen=True)
class Route:
    """Source and target of a transfer."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    by: str
    """`market` or `language`."""
    shares: tuple[float, ...] = (0.01, 0.05, 0.2, 1.0)
    """Of the target's users whose logs are learnt from; 1 is always among them."""
    output: str | None = None
    """Folder of the model; None: below `_models` of the lake."""

    @property
    def name(self) -> str:
        """For folders and titles."""
        return f"transfer-{'-'.join(self.sources)}-to-{'-'.join(self.targets)}"


def run_transfer(spark: SparkSession, config: Config, route: Route, config_file: str | None = None) -> str:
    """Folder of the model, once the experiment has run, its page is written and its curve printed.

    Prepares and embeds what the lake lacks.

    Raises:
        ConfigError: the route names what the lake has not, or the output is there already.
        InputError: inputs are needed and cannot be read.
    """
    check_route(route, config)
    progress, inputs, day = Progress(spark), None, None
    lake = open_lake(spark, config)
    if not is_prepared(lake):
        inputs, day = dated_inputs(lake, config)
    with running_on(lake, config, progress, day) as run:
        if inputs is not None:
            prepare(run, inputs)
        translation.translate(run)
        embed(run)
        with run.stage("transfer") as stage:
            experiment = _experiment(run, route)
            outcome, model = experiment.run(), experiment.model()
            facts = {**learning.model_identity(config), **_facts(run, route, experiment)}
            name = f"{route.name}-{run.run_id}"
            files = Files(route.output) if route.output else learning.model_files(run, name)
            complete = FactorModel(model.arrays, model.item_ids, {**model.facts, **facts})
            learning.save_with_card(complete, Path(files.folder))
            files.keep_in_lake(spark)
            run.counts["transfer.users"] = outcome.n_users
            stage.record_result(
                rows_in=sum(outcome.n_visits.values()), rows_out=outcome.n_users, note=f"{facts['kept']} is kept"
            )
    progress.print_summary()
    report = reporting.TransferData(
        route.by, route.sources, route.targets, run.run_id, run.run_date, config.lake, files.uri or files.folder,
        outcome, config_file or "CONFIG",
    )  # fmt: skip
    page = run.lake.write_file(f"{REPORTS}/{name}.html", reporting.render_transfer(report).encode())
    reporting.print_curve(report, page)
    return files.uri or files.folder


def check_route(route: Route, config: Config) -> None:
    """Refuses a route that cannot be taken, whatever the lake holds.

    Raises:
        ConfigError: names what is wrong.
    """
    for name in (*route.sources, *route.targets) if route.by == "language" else ():
        if canonical_language(name) is None:
            raise ConfigError(f"{name!r} is no BCP 47 language: write such as en,fr,zh-Hant")
    both = sorted(set(route.sources) & set(route.targets))
    if both:
        raise ConfigError(f"{', '.join(both)} is source and target: leave it out of one of them")
    wrong = [share for share in route.shares if not 0 < share <= 1]
    if wrong:
        raise ConfigError(f"--shares has {100 * wrong[0]:g}: percent above 0 and up to 100, such as 1,5,20,100")
    if not config.train.factors.enabled:
        raise ConfigError("train.factors.enabled is false: nothing is learnt that could be carried over; leave it out")
    if route.output and (Path(route.output) / FACTS).exists():
        raise ConfigError(f"--output {route.output} holds a model already: name another folder")


def route_domains(route: Route, logs: "Logs", items: "Items", index: ItemIndex) -> "Domains":
    """Source and target domain by the names of the route.

    Raises:
        ConfigError: a name is not in the lake, or the source has no visits.
    """
    from xlrec.training.transfer.domains import domains_by_language, domains_by_market

    if route.by == "market":
        names, counts, unit = index.markets, np.bincount(logs.markets, minlength=len(index.markets)), "users with logs"
    else:
        names, counts, unit = index.languages, items.languages.sum(axis=0).astype(int), "items"
    named: Callable[[str], str] = str if route.by == "market" else lambda tag: str(canonical_language(tag))
    wanted = [tuple(map(named, domain)) for domain in (route.sources, route.targets)]
    rows = [_rows(domain, names, counts, f"{route.by}s", unit) for domain in wanted]
    domains = (domains_by_market if route.by == "market" else domains_by_language)(logs, items, *rows)
    if not domains.from_source.any():
        more = "items that have a text in both count as the target's; " if route.by == "language" else ""
        raise ConfigError(f"{', '.join(route.sources)} has no visits to learn from: {more}name another source")
    return domains


def _rows(
    wanted: tuple[str, ...], names: tuple[str, ...], counts: NDArray[np.integer[Any]], kind: str, unit: str
) -> list[int]:
    missing = [name for name in wanted if name not in names]
    if missing or not wanted:
        listed = [f"{name} ({counts[row]:,})" for row, name in enumerate(names) if counts[row]]
        more = f" and {len(listed) - _MOST_NAMES} more" if len(listed) > _MOST_NAMES else ""
        seen = f"{missing[0]!r} is none of" if missing else "none is named of"
        raise ConfigError(f"{seen} the lake's {kind} with their {unit}: {', '.join(listed[:_MOST_NAMES])}{more}")
    return [names.index(name) for name in wanted]


def _experiment(run: Run, route: Route) -> "Experiment":
    from xlrec.training.recommender.logs import items_from_index, read_logs
    from xlrec.training.transfer import Experiment

    config, files = run.config, run.lake.folder_of_files("_transfer")
    _write_index(run, files)
    index = ItemIndex.open_folder(files.folder)
    stated = F.when(F.col("languages_stated"), F.col("languages")).otherwise(F.array().cast("array<string>"))
    users = run.lake.read_table(USERS).withColumn("languages", stated)
    weights = F.when(F.col("languages_stated"), F.col("language_weights"))
    users = users.withColumn("language_weights", F.coalesce(weights, F.array().cast("array<double>")))
    shards = files.collect_rows(logs_by_user(users, run.lake.read_table(EVENTS)), "logs")
    catalogued = first_moments(run.lake.read_table(ITEMS), run.lake.read_table(EVENTS).limit(0))
    items = items_from_index(index, learning.first_moments_array(catalogued, index.n_items))
    domains = route_domains(route, read_logs(shards, index), items, index)
    shares = sorted({*route.shares, 1.0})
    return Experiment(domains, index.item_ids, index.markets, config, shares, learning.progress_writer("transfer"))


def _write_index(run: Run, files: Files) -> None:
    """Writes an item index beside the nightly one: text vectors, markets and languages; no neighbours."""
    lake, config = run.lake, run.config
    items, events = lake.read_table(ITEMS), lake.read_table(EVENTS)
    popular = popularity.fit_popularity(events, items, config.train.popularity, run.run_date).persist()
    vectors = item_vectors(run)
    write_index(files, items, vectors, None, popular, dim=encoders.load(config.embed).dim)
    popular.unpersist()


def _facts(run: Run, route: Route, experiment: "Experiment") -> dict[str, Any]:
    """Facts of the artefact besides those of its training; figures and names only."""
    from xlrec.training.transfer.figures import ALL

    outcome = experiment.outcome
    choice = outcome.choices[-1] if outcome.choices else None
    kept = choice.kept if choice else "source as it is"
    transfer_facts = {
        "by": route.by, "from": list(route.sources), "to": list(route.targets), "kept": kept,
        "n_users": outcome.n_users, "n_visits": outcome.n_visits, "by_time": outcome.by_time,
        "inner": choice.inner if choice else {},
        "figures": [asdict(figure) for figure in outcome.figures if figure.slice == ALL],
    }  # fmt: skip
    return {
        "run_date": run.run_date.isoformat(), learning.TRANSFER: transfer_facts, "kept": kept,
        "taught_markets": list(route.sources if route.by == "market" else ("all",)),
    }  # fmt: skip
