"""Source and target domain of a transfer, by the users' market or the items' language, and the split by time.

All other logs (other markets, items without a text in either language) are left out.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.training.recommender.logs import Items, Logs, first_events, first_meetings, logs_before, select_events
from xlrec.training.recommender.scores import Truth, sample_truth

#: Least share of a history for a language that its user reads; as in `stages.prepare.users`.
_MIN_SHARE: Final = 0.15


class Domains(NamedTuple):
    """Logs whose visits and events are each of the source, of the target, or of neither, by their users and items."""

    logs: Logs
    """All; after `known_before`, `reads` is inferred from the known ones."""
    stated: NDArray[np.float32]
    """(n_users, n_languages) above 0 where the user states to read the language."""
    items: Items
    """`eligible` is what may be sold, `first_micros` what the catalogue says, without anybody's events."""
    users: NDArray[np.bool_]
    """(n_users,) get lists in the target; their visits of wanted items are its logs."""
    wanted: NDArray[np.bool_]
    """(n_items,) may be recommended in the target."""
    source_users: NDArray[np.bool_]
    """(n_users,) whose visits of source items are the source's logs."""
    source_items: NDArray[np.bool_]  # (n_items,)

    @property
    def from_source(self) -> NDArray[np.bool_]:
        """(n_visits,) bool visits of the source."""
        return self.source_users[self.logs.visits.owners] & self.source_items[self.logs.visits.nums]

    @property
    def from_target(self) -> NDArray[np.bool_]:
        """(n_visits,) bool visits of the target."""
        return self.users[self.logs.visits.owners] & self.wanted[self.logs.visits.nums]

    def training_logs(self, sampled: NDArray[np.bool_] | None, *, source: bool) -> Logs:
        """Training logs: the target's of (n_users,) bool sampled users (None: nobody), with the source's or without."""
        users = np.zeros_like(self.users) if sampled is None else self.users & sampled

        def is_kept(owners: NDArray[np.integer[Any]], nums: NDArray[np.int32]) -> NDArray[np.bool_]:
            """(n,) bool mask of the logs that are learnt from, by (n,) integer user rows and (n,) int32 item_nums."""
            kept: NDArray[np.bool_] = users[owners] & self.wanted[nums]
            return np.asarray(kept | (source & self.source_users[owners] & self.source_items[nums]))

        log, visits = self.logs, self.logs.visits
        return select_events(log, is_kept(visits.owners, visits.nums), is_kept(log.event_users, log.event_nums))

    def target_histories(self) -> Logs:
        """Histories of the target's users: all their visits, whatever the items' languages."""
        return logs_before(self.logs, self.users)

    def known_before(self, cuts: NDArray[np.float64]) -> "Domains":
        """Domains as they were known at each user's cut, (n_users,) float64 microseconds."""
        known = logs_before(self.logs, np.ones_like(self.users), cuts)
        return self._replace(logs=known._replace(reads=languages_read(self.stated, known, self.items)))

    def items_known(self, logs: Logs) -> Items:
        """Items with their first moments from the catalogue and from the events of some logs alone."""
        met = first_events(logs, len(self.items.texts))
        return self.items._replace(first_micros=np.fmin(self.items.first_micros, met))

    @property
    def for_sale(self) -> Items:
        """Items of which only those that may be recommended in the target are sold."""
        return self.items._replace(eligible=self.items.eligible & self.wanted)


def domains_by_market(logs: Logs, items: Items, sources: Sequence[int], targets: Sequence[int]) -> Domains:
    """Domains of users: those of some markets, by row, are the source, those of others the target.

    `logs.reads` holds the languages that users state.
    """
    source_users, users = np.isin(logs.markets, sources), np.isin(logs.markets, targets)
    everything = np.ones(len(items.texts), dtype=np.bool_)
    return Domains(logs, logs.reads, items, users, everything, source_users, everything)


def domains_by_language(logs: Logs, items: Items, sources: Sequence[int], targets: Sequence[int]) -> Domains:
    """Domains of items: those with a text in some languages, by column, are the source, those in others the target.

    Items that have both are the target's: nothing of the target is learnt from before its share. Users with any visit
    of target items get lists, from their whole histories. `logs.reads` holds the languages that users state.
    """
    wanted = np.asarray(items.languages[:, list(targets)].any(axis=1))
    in_source = np.asarray(items.languages[:, list(sources)].any(axis=1)) & ~wanted
    users = np.bincount(logs.visits.owners[wanted[logs.visits.nums]], minlength=logs.n_users) > 0
    return Domains(logs, logs.reads, items, users, wanted, np.ones_like(users), in_source)


def languages_read(stated: NDArray[np.float32], logs: Logs, items: Items) -> NDArray[np.float32]:
    """(n_users, n_languages) float32 shares of the languages that users read, by the rule of `stages.prepare.users`.

    `stated` is (n_users, n_languages) float32, above 0 where the user states the language; such users read nothing
    else. Several languages of an item share an event evenly.
    """
    spread = items.languages / np.maximum(items.languages.sum(axis=1, keepdims=True), 1)
    met = np.zeros(stated.shape)
    np.add.at(met, logs.event_users, spread[logs.event_nums] * logs.event_weights[:, None])
    states = stated > 0
    counted = np.where(states.any(axis=1, keepdims=True), met * states, met)
    shares = counted / np.maximum(counted.sum(axis=1, keepdims=True), 1e-300)
    kept = np.where(shares >= _MIN_SHARE, shares, 0.0)
    inferred = np.where(kept.any(axis=1, keepdims=True), kept, shares)
    inferred /= np.maximum(inferred.sum(axis=1, keepdims=True), 1e-300)
    even = states / np.maximum(states.sum(axis=1, keepdims=True), 1)
    both = np.where(shares.any(axis=1, keepdims=True), (even + shares) / 2, even)
    return np.where(states.any(axis=1, keepdims=True), both, inferred).astype(np.float32)


class HoldoutSplit(NamedTuple):
    """The target's newest visits, and the moment before which everything else is known."""

    cuts: NDArray[np.float64]
    """(n_users,) microseconds; inf for who keeps all."""
    truth: Truth
    newcomers: Truth
    """Users who had no history by then."""
    by_time: bool
    """False: each user's newest meeting, because too few users had a history in the newest share."""


def split_newest(
    domains: Domains, share: float, min_users: int, most: int, seed: int, newest: float = 0.0
) -> HoldoutSplit:
    """Holdout of the newest share of the target's visits; of each user's newest meetings where too few have a history.

    Of users with a history, and of those without, `most` are drawn by the seed. With fewer than `min_users` the split
    is by user: the `newest` share of each one's meetings, at least one.
    """
    micros = domains.logs.visits.micros
    if domains.from_target.any():
        cut = float(np.quantile(micros[domains.from_target], 1 - share))
        by_time = _split_at(domains, np.full(domains.logs.n_users, cut), cut, most, seed)
        if len(by_time.truth.users) >= min_users:
            return by_time
    log, owner = domains.logs.visits, domains.logs.visits.owners
    rows = _meetings(domains)
    ends = np.searchsorted(owner[rows], np.arange(domains.logs.n_users + 1))  # rows are by user, then by time
    sizes = np.diff(ends)
    firsts = ends[1:] - np.maximum(1, (newest * sizes).astype(np.int64))
    cuts = np.full(domains.logs.n_users, np.inf)
    cuts[sizes > 0] = log.micros[rows[firsts[sizes > 0]]]
    end = float(micros.max(initial=0)) + 1
    return _split_at(domains, cuts, end, most, seed)._replace(by_time=False)


def _split_at(domains: Domains, cuts: NDArray[np.float64], moment: float, most: int, seed: int) -> HoldoutSplit:
    log, owner, n_users = domains.logs.visits, domains.logs.visits.owners, domains.logs.n_users
    old = np.bincount(owner[log.micros < cuts[owner]], minlength=n_users) > 0
    rows = _meetings(domains)
    rows = rows[log.micros[rows] >= cuts[owner[rows]]]
    parts = [
        sample_truth(log, kept, moment, most, [seed, stream])
        for stream, kept in ((21, rows[old[owner[rows]]]), (22, rows[~old[owner[rows]]]))
    ]
    return HoldoutSplit(cuts, parts[0], parts[1], by_time=True)


def _meetings(domains: Domains) -> NDArray[np.int64]:
    """Rows of the visits at which a user of the target first meets an item that may be recommended to them."""
    rows, owner, log = first_meetings(domains.logs.visits), domains.logs.visits.owners, domains.logs
    nums = log.visits.nums[rows]
    sold = domains.for_sale.eligible[log.markets[owner[rows]], nums]
    return rows[domains.from_target[rows] & domains.users[owner[rows]] & sold]


def nested_samples(domains: Domains, shares: Sequence[float], seed: int) -> list[NDArray[np.bool_]]:
    """(n_users,) bool users of each share whose target logs are learnt from; each share holds the smaller ones.

    At least one user, of those with target visits, drawn by the seed.
    """
    there = np.unique(domains.logs.visits.owners[domains.from_target])
    order = np.random.default_rng([seed, 23]).permutation(there)
    samples = []
    for share in shares:
        users = np.zeros(domains.logs.n_users, dtype=np.bool_)
        users[order[: max(1, round(share * len(order)))]] = True
        samples.append(users)
    return samples
