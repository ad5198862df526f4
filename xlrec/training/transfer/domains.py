"""What is source and what is target: by the users' market, or by the language of the items; and the time split.

Everything else in the logs (other markets, items without a text in either language) is left out.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xlrec.training.recommender.logs import Items, Logs, chosen, first_meetings, only
from xlrec.training.recommender.scores import Truth, truth_of

#: Smaller shares of a history tell no language that its user reads; as in `stages.prepare.users`.
_MIN_SHARE: Final = 0.15


class World(NamedTuple):
    """Logs whose visits and events are each of the source, of the target, or of neither."""

    logs: Logs
    """All; of `before`, `reads` is what these logs tell."""
    stated: NDArray[np.float32]
    """(n_users, n_languages) above 0 where the user states to read the language."""
    items: Items
    """`eligible` is what may be sold, `first_micros` what the catalogue says, without anybody's events."""
    wanted: NDArray[np.bool_]
    """(n_items,) may be recommended in the target."""
    users: NDArray[np.bool_]
    """(n_users,) get lists in the target."""
    from_source: NDArray[np.bool_]
    """(n_visits,)."""
    from_target: NDArray[np.bool_]
    """(n_visits,)."""
    source_events: NDArray[np.bool_]
    """(n_events,)."""
    target_events: NDArray[np.bool_]
    """(n_events,)."""

    def part(self, sampled: NDArray[np.bool_] | None, *, source: bool) -> Logs:
        """What is learnt from: the target's logs of some users (None: nobody's), with the source or without."""
        if sampled is None:
            sampled = np.zeros(self.logs.n_users, dtype=np.bool_)
        visits = self.from_target & sampled[self.logs.visits.owners]
        events = self.target_events & sampled[self.logs.event_users]
        if source:
            visits, events = visits | self.from_source, events | self.source_events
        return chosen(self.logs, visits, events)

    def read(self) -> Logs:
        """Histories of the target's users: all their visits, whatever the items' languages."""
        return only(self.logs, self.users)

    def before(self, cuts: NDArray[np.float64]) -> "World":
        """The world as it was known at each user's cut."""
        log = self.logs
        visits = log.visits.micros < cuts[log.visits.owners]
        events = log.event_micros < cuts[log.event_users]
        known = chosen(log, visits, events)
        return self._replace(
            logs=known._replace(reads=reading(self.stated, known, self.items)),
            from_source=self.from_source[visits],
            from_target=self.from_target[visits],
            source_events=self.source_events[events],
            target_events=self.target_events[events],
        )

    def known(self, told: Logs) -> Items:
        """The items as some logs tell them: first moments from the catalogue and from those events alone."""
        met = np.full(len(self.items.texts), np.inf)
        np.minimum.at(met, told.event_nums, told.event_micros.astype(np.float64))
        return self.items._replace(
            first_micros=np.fmin(self.items.first_micros, np.where(np.isfinite(met), met, np.nan))
        )

    @property
    def for_sale(self) -> Items:
        """The items with what may be recommended in the target as all that is sold."""
        return self.items._replace(eligible=self.items.eligible & self.wanted)


def by_market(logs: Logs, items: Items, sources: Sequence[int], targets: Sequence[int]) -> World:
    """Users of some markets teach what users of others get; `reads` of the logs is what users state."""
    teaching, users = np.isin(logs.markets, sources), np.isin(logs.markets, targets)
    everything = np.ones(len(items.texts), dtype=np.bool_)
    owner = logs.visits.owners
    return World(
        logs, logs.reads, items, everything, users, teaching[owner], users[owner], teaching[logs.event_users],
        users[logs.event_users],
    )  # fmt: skip


def by_language(logs: Logs, items: Items, sources: Sequence[int], targets: Sequence[int]) -> World:
    """Interactions with items that have a text in some languages teach what others are recommended.

    Items that have both are the target's: nothing of the target is learnt from before its share. Users with any visit
    of target items get lists, from all that they read.
    """
    wanted = np.asarray(items.languages[:, list(targets)].any(axis=1))
    taught = np.asarray(items.languages[:, list(sources)].any(axis=1)) & ~wanted
    log, owner = logs.visits, logs.visits.owners
    users = np.bincount(owner[wanted[log.nums]], minlength=logs.n_users) > 0
    return World(
        logs, logs.reads, items, wanted, users, taught[log.nums], wanted[log.nums], taught[logs.event_nums],
        wanted[logs.event_nums],
    )  # fmt: skip


def reading(stated: NDArray[np.float32], logs: Logs, items: Items) -> NDArray[np.float32]:
    """(n_users, n_languages) what users read as the logs tell, by the rule of `stages.prepare.users`.

    Args:
        stated: (n_users, n_languages) above 0 where the user states the language; such users read nothing else.
        logs: Known by now.
        items: Their languages; several share an event evenly.
    """
    spread = items.languages / np.maximum(items.languages.sum(axis=1, keepdims=True), 1)
    heard = np.zeros(stated.shape)
    np.add.at(heard, logs.event_users, spread[logs.event_nums] * logs.event_weights[:, None])
    said = stated > 0
    told = np.where(said.any(axis=1, keepdims=True), heard * said, heard)
    shares = told / np.maximum(told.sum(axis=1, keepdims=True), 1e-300)
    kept = np.where(shares >= _MIN_SHARE, shares, 0.0)
    inferred = np.where(kept.any(axis=1, keepdims=True), kept, shares)
    inferred /= np.maximum(inferred.sum(axis=1, keepdims=True), 1e-300)
    even = said / np.maximum(said.sum(axis=1, keepdims=True), 1)
    both = np.where(shares.any(axis=1, keepdims=True), (even + shares) / 2, even)
    return np.where(said.any(axis=1, keepdims=True), both, inferred).astype(np.float32)


class Split(NamedTuple):
    """The target's newest visits, and the moment before which everything else is known."""

    cuts: NDArray[np.float64]
    """(n_users,) microseconds; inf for who keeps all."""
    truth: Truth
    newcomers: Truth
    """Users who had no history by then."""
    by_time: bool
    """False: each user's newest meeting, because too few users had a history in the newest share."""


def split(world: World, share: float, min_users: int, most: int, seed: int, newest: float = 0.0) -> Split:
    """The newest share of the target's visits by time; each user's newest meetings where too few have a history.

    Args:
        world: All of it.
        share: Newest part of the target's visits.
        min_users: With fewer users with a history, the split is by user.
        most: Users kept of those with a history, and of those without, drawn by the seed.
        seed: Of the draw.
        newest: Share of each user's meetings that the split by user takes, at least one.
    """
    micros = world.logs.visits.micros
    if world.from_target.any():
        cut = float(np.quantile(micros[world.from_target], 1 - share))
        found = _split(world, np.full(world.logs.n_users, cut), cut, most, seed)
        if len(found.truth.users) >= min_users:
            return found
    log, owner = world.logs.visits, world.logs.visits.owners
    rows = _meetings(world)
    ends = np.searchsorted(owner[rows], np.arange(world.logs.n_users + 1))  # rows are by user, then by time
    sizes = np.diff(ends)
    firsts = ends[1:] - np.maximum(1, (newest * sizes).astype(np.int64))
    cuts = np.full(world.logs.n_users, np.inf)
    cuts[sizes > 0] = log.micros[rows[firsts[sizes > 0]]]
    end = float(micros.max(initial=0)) + 1
    return _split(world, cuts, end, most, seed)._replace(by_time=False)


def _split(world: World, cuts: NDArray[np.float64], moment: float, most: int, seed: int) -> Split:
    log, owner, n_users = world.logs.visits, world.logs.visits.owners, world.logs.n_users
    old = np.bincount(owner[log.micros < cuts[owner]], minlength=n_users) > 0
    rows = _meetings(world)
    rows = rows[log.micros[rows] >= cuts[owner[rows]]]
    parts = [
        truth_of(log, kept, moment, most, [seed, stream])
        for stream, kept in ((21, rows[old[owner[rows]]]), (22, rows[~old[owner[rows]]]))
    ]
    return Split(cuts, parts[0], parts[1], by_time=True)


def _meetings(world: World) -> NDArray[np.int64]:
    """Rows of the visits at which a user of the target first meets an item that may be recommended to them."""
    rows, owner, log = first_meetings(world.logs.visits), world.logs.visits.owners, world.logs
    nums = log.visits.nums[rows]
    sold = world.for_sale.eligible[log.markets[owner[rows]], nums]
    return rows[world.from_target[rows] & world.users[owner[rows]] & sold]


def samples(world: World, shares: Sequence[float], seed: int) -> list[NDArray[np.bool_]]:
    """(n_users,) of each share: users whose target logs are learnt from; each share holds the smaller ones.

    At least one user, of those with target visits.
    """
    there = np.unique(world.logs.visits.owners[world.from_target])
    order = np.random.default_rng([seed, 23]).permutation(there)
    found = []
    for share in shares:
        users = np.zeros(world.logs.n_users, dtype=np.bool_)
        users[order[: max(1, round(share * len(order)))]] = True
        found.append(users)
    return found
