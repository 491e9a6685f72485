"""Hits of access logs in, the mix and the rate over the day out, in memory that does not grow with the logs."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable
from math import gcd

from msgspec import Struct

from prony.traffic.accesslog import Hit
from prony.traffic.dangers import danger
from prony.traffic.target import Target, cleaned
from prony.traffic.templates import Known, Segments, collapsed, shape, written

BUCKETS_MAX = 20_000  # templates told apart at a time; then they are collapsed, and the rarest are let go
SAMPLE_MAX = 1000  # requests kept of each, drawn at random from all of the log
MINUTES_MAX = 600_000  # over a year
TITLE_WORDS = 2  # a part of a visited path with more words is a title, such as how-to-delete
USUAL = 0.02  # a status is usual from this share of a route's answers on
STATIC = re.compile(
    r"/(?:robots\.txt|favicon\.ico|manifest\.json|site\.webmanifest)$|"
    r"\.(?:css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|avif|bmp|woff2?|ttf|otf|eot|mp[34]|webm|ogg|wav|m4[av]|mov|wasm)$",
    re.IGNORECASE,
)
_PERSONS = frozenset({"{user}", "{username}", "{login}", "{email}", "{nick}", "{handle}"})
# What a client without a copy of its own gets in place of these.
_WHOLE = {304: 200, 206: 200}

Key = tuple[str, Segments, tuple[str, ...]]


class Route(Struct, frozen=True, kw_only=True):
    """One route of an imported mix.

    Attributes:
        template: Path and query, with {placeholders} for what varies.
        weight: How many requests of the log it stands for; 1 for each route of a document that counts none.
        paths: What was asked for, a path as often as its share of the requests demands; empty where nothing varies.
        status: The usual statuses, the most frequent first.
        note: What is to be known of it; empty for nothing.
    """

    template: str
    method: str = "GET"
    weight: int = 1
    name: str = ""
    paths: tuple[str, ...] = ()
    distinct: int = 1
    status: tuple[int, ...] = (200,)
    note: str = ""


class LeftOut(Struct, frozen=True, kw_only=True):
    """Requests that are not in the mix: how many, why (a token), and the most frequent of them, by template."""

    reason: str
    text: str
    requests: int
    routes: tuple[tuple[str, int], ...] = ()


class _Bucket:
    """What is known of one template: how often, with which status, and a uniform sample of what was asked for."""

    __slots__ = ("count", "sample", "status")

    def __init__(self) -> None:
        self.count = 0
        self.status: Counter[int] = Counter()
        self.sample: list[str] = []

    def add(self, target: str, status: int, chance: random.Random) -> None:
        self.count += 1
        self.status[status] += 1
        if len(self.sample) < SAMPLE_MAX:
            self.sample.append(target)
        elif (place := int(chance.random() * self.count)) < SAMPLE_MAX:
            self.sample[place] = target

    def join(self, other: _Bucket, chance: random.Random) -> None:
        """Takes in another; what is kept stays a uniform sample of both."""
        if len(self.sample) + len(other.sample) <= SAMPLE_MAX:
            self.sample += other.sample
        else:
            share = self.count / (self.count + other.count)
            mine = sum(chance.random() < share for _ in range(SAMPLE_MAX))
            mine = max(min(mine, len(self.sample)), SAMPLE_MAX - len(other.sample))
            theirs = min(SAMPLE_MAX - mine, len(other.sample))
            self.sample = chance.sample(self.sample, mine) + chance.sample(other.sample, theirs)
        self.count += other.count
        self.status += other.status


REASONS = {
    "method": "with a method that changes things: only GET and HEAD are sent",
    "static": "for static files: --include-static takes them in",
    "bot": "by bots, monitors and scripts, as their user agents say",
    "failed": "answered with an error (status 4xx or 5xx)",
    "dangerous": "for paths that log out, delete, pay or mail: name them in prony.toml if you want them sent",
    "person": "for paths that name a person: they are not stored",
    "token": "for paths that hold a token: they are not stored",
    "target": "for what is no path, or is over 2 000 characters long",
    "rare": "for routes that are too rare to be among those written",
}


class Tally:
    """Counts hits, one at a time.

    Args:
        known: Route templates of the app; what fits none of them is generalised from the paths themselves.
        static: Whether static files are part of the mix.
    """

    def __init__(self, known: Iterable[str] = (), *, static: bool = False) -> None:
        self.hits = 0
        self.minutes: Counter[int] = Counter()  # of the mix
        self.all_minutes: Counter[int] = Counter()
        self.untimed = 0
        self.unnamed_agents = 0
        self.dropped: Counter[str] = Counter()
        self._static = static
        self._known = Known(known)
        self._buckets: dict[Key, _Bucket] = {}
        self._out: dict[str, Counter[str]] = {reason: Counter() for reason in REASONS}
        self._out_total: Counter[str] = Counter()
        self._chance = random.Random(1)  # noqa: S311 - a sample of pages is no secret

    def add(self, hit: Hit) -> None:
        """One more request of the log."""
        self.hits += 1
        if hit.minute is None:
            self.untimed += 1
        else:
            self._at(self.all_minutes, hit.minute)
        self.unnamed_agents += hit.bot is None
        target = cleaned(hit.target)
        reason = self._reason(hit, target)
        if reason or target is None:
            self._leave(reason, hit, target)
            return
        for why in target.dropped:
            self.dropped[why] += 1
        if hit.minute is not None:
            self._at(self.minutes, hit.minute)
        key = (hit.method, self._known.match(target.path) or shape(target.path), tuple(sorted(set(target.keys))))
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                self._collapse()
                self._let_go()
            bucket = self._buckets.setdefault(key, _Bucket())
        bucket.add(target.text, _WHOLE.get(hit.status, hit.status), self._chance)

    @staticmethod
    def _at(minutes: Counter[int], minute: int) -> None:
        if minute in minutes or len(minutes) < MINUTES_MAX:
            minutes[minute] += 1

    def _reason(self, hit: Hit, target: Target | None) -> str:
        if target is None:
            return "target"
        if hit.bot:
            return "bot"
        if hit.method not in {"GET", "HEAD"}:
            return "method"
        if not self._static and STATIC.search(target.path):
            return "static"
        if not 200 <= hit.status < 400:
            return "failed"
        refused = target.refused
        if (segments := self._known.match(target.path)) is not None and "@" not in target.path:
            refused = "person" if not _PERSONS.isdisjoint(segments) else "" if refused == "person" else refused
        return refused or ("dangerous" if danger(target.path, slug_words=TITLE_WORDS) else "")

    def _leave(self, reason: str, hit: Hit, target: Target | None) -> None:
        self._out_total[reason] += 1
        named = reason in {"method", "dangerous", "failed"} and target is not None and not target.refused
        if not named or target is None:
            return
        where = written(self._known.match(target.path) or shape(target.path))
        text = f"{hit.status} {where}" if reason == "failed" else f"{hit.method} {where}"
        routes = self._out[reason]
        if text in routes or len(routes) < BUCKETS_MAX:
            routes[text] += 1

    def _collapse(self) -> None:
        """Joins the templates whose literal segments have turned out to be instances of one route."""
        now = collapsed(segments for _, segments, _ in self._buckets)
        joined: dict[Key, _Bucket] = {}
        for (method, segments, keys), bucket in self._buckets.items():
            key = (method, now[segments], keys)
            if key in joined:
                joined[key].join(bucket, self._chance)
            else:
                joined[key] = bucket
        self._buckets = joined

    def _let_go(self) -> None:
        """Half the room is made again, at the rarest routes' cost."""
        if len(self._buckets) <= BUCKETS_MAX // 2:
            return
        ordered = sorted(self._buckets.items(), key=lambda item: -item[1].count)
        for _, bucket in ordered[BUCKETS_MAX // 2 :]:
            self._out_total["rare"] += bucket.count
        self._buckets = dict(ordered[: BUCKETS_MAX // 2])

    def routes(self, top: int, paths: int) -> tuple[Route, ...]:
        """The `top` most frequent routes, with about `paths` paths among them; the others are then left out as rare."""
        self._collapse()
        ordered = sorted(self._buckets.items(), key=lambda item: (-item[1].count, item[0]))
        for _, bucket in ordered[top:]:
            self._out_total["rare"] += bucket.count
        self._buckets = dict(ordered[:top])
        total = sum(bucket.count for bucket in self._buckets.values())
        return tuple(self._route(key, bucket, paths, total) for key, bucket in self._buckets.items())

    def _route(self, key: Key, bucket: _Bucket, paths: int, total: int) -> Route:
        method, segments, keys = key
        most = min(SAMPLE_MAX, max(20, paths * bucket.count // total))
        asked = Counter(bucket.sample)
        template = written(segments, keys)
        usual = [status for status, count in bucket.status.most_common() if count >= USUAL * bucket.count]
        if len(asked) == 1 and "{" not in written(segments):
            return Route(template=next(iter(asked)), method=method, weight=bucket.count, status=tuple(usual))
        return Route(
            template=template,
            method=method,
            weight=bucket.count,
            paths=spread(asked, most, self._chance),
            distinct=len(asked),
            status=tuple(usual),
        )

    def left_out(self) -> tuple[LeftOut, ...]:
        """What is not in the mix, most first; after `routes`."""
        return tuple(
            LeftOut(reason=r, text=REASONS[r], requests=n, routes=tuple(self._out[r].most_common(10)))
            for r, n in self._out_total.most_common()
        )


def spread(asked: Counter[str], most: int, chance: random.Random) -> tuple[str, ...]:
    """At most `most` paths, each repeated in proportion to how often it was asked for, in a fixed order.

    Few distinct paths are apportioned (largest remainder); of more than `most`, some are drawn at random from all that
    was asked for, so that a hot one stays hot.
    """
    divisor = gcd(*asked.values())
    counts = {path: count // divisor for path, count in asked.items()}
    total = sum(counts.values())
    size = min(most, 20 * len(counts))
    if total > size and len(counts) >= size:
        drawn = Counter(chance.sample(sorted(asked.elements()), size))
    elif total > size:
        exact = {path: count * size / total for path, count in counts.items()}
        whole = {path: max(1, int(share)) for path, share in exact.items()}
        rest = sorted(exact, key=lambda path: (whole[path] - exact[path], path))
        for path in rest[: max(0, size - sum(whole.values()))]:
            whole[path] += 1
        while (over := sum(whole.values()) - size) > 0:  # the rare ones were rounded up to one
            hottest = max(whole, key=lambda path: (whole[path], path))
            whole[hottest] -= min(over, max(1, whole[hottest] // 20))
        drawn = Counter(whole)
    else:
        drawn = Counter(counts)
    return tuple(sorted(drawn.elements()))
