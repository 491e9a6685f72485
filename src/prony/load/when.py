"""What a load's spec says of when its requests are due in, ValueError out where that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prony.traffic import profiles
from prony.traffic.arrivals import ARRIVALS_MAX

if TYPE_CHECKING:
    from prony.load.spec import LoadSpec

USERS_MAX = 65_535


def check(spec: LoadSpec) -> None:
    """Check arrivals, rate, users, profile, session and think time against each other; raises ValueError."""
    if not 0 <= spec.think_sigma <= 5:
        raise ValueError(f"`think_sigma` is from 0 to 5, not {spec.think_sigma}")
    if spec.profile:
        if spec.rate_rps is not None or spec.users is not None:
            raise ValueError("`profile` stands in place of `rate_rps` and `users`")
        profiles.check(spec.profile)
        length_s = profiles.duration_s(spec.profile)
        if abs(length_s - spec.duration_s) > 1e-6 * spec.duration_s:
            raise ValueError(f"`profile` lasts {length_s} s, not `duration_s` {spec.duration_s}")
    if spec.session is not None:
        if not 1 <= spec.session <= 100:
            raise ValueError(f"`session` is from 1 to 100, not {spec.session}")
        if spec.arrivals == "closed" or spec.journeys:
            raise ValueError("`session` is for requests that arrive; journeys and users go on by themselves")
    if spec.arrivals == "closed":
        _check_users(spec)
    else:
        _check_rate(spec)


def _check_users(spec: LoadSpec) -> None:
    if spec.rate_rps is not None or (spec.users is None and not spec.profile):
        raise ValueError("closed arrivals need `users` and no `rate_rps`")
    most = spec.users if spec.users is not None else max(max(start, end) for _, start, end in spec.profile)
    if not 1 <= most <= USERS_MAX:
        raise ValueError(f"`users` is from 1 to {USERS_MAX}, not {most}")


def _check_rate(spec: LoadSpec) -> None:
    if spec.users is not None or (spec.rate_rps is None and not spec.profile):
        raise ValueError(f"{spec.arrivals} arrivals need `rate_rps` and no `users`")
    if spec.think_s and spec.session is None:
        raise ValueError(f"{spec.arrivals} arrivals have no `think_s` without a `session`")
    if spec.rate_rps is not None:
        if not 1e-6 <= spec.rate_rps <= profiles.RATE_MAX:
            raise ValueError(f"`rate_rps` is from 1e-06 to {profiles.RATE_MAX:g}, not {spec.rate_rps}")
        requests = spec.rate_rps * spec.duration_s
    else:
        requests = float(profiles.expected(spec.profile, spec.duration_s))
    requests *= spec.session or 1
    if requests > ARRIVALS_MAX:
        raise ValueError(f"{requests:.0f} requests in {spec.duration_s} s are more than {ARRIVALS_MAX}")
