"""Hits become routes with counts, samples and statuses; what is secret, personal or dangerous stays out."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.traffic import mix
from prony.traffic.accesslog import Hit
from prony.traffic.dangers import danger
from prony.traffic.mix import TITLE_WORDS, Route, Tally, spread
from prony.traffic.rates import rates
from prony.traffic.target import cleaned
from prony.traffic.templates import SLUGS_MIN, WORDS_MIN, collapsed, shape, written

CHANCE = random.Random(1)  # noqa: S311 - the same each time


def tallied(targets: list[str], *, status: int = 200, method: str = "GET", known: tuple[str, ...] = ()) -> Tally:
    tally = Tally(known)
    for target in targets:
        tally.add(Hit(minute=0, method=method, target=target, status=status, bot=False))
    return tally


def routes(targets: list[str], top: int = 50, **more: tuple[str, ...]) -> dict[str, Route]:
    return {route.template: route for route in tallied(targets, **more).routes(top, 10_000)}  # type: ignore[arg-type]


def left(tally: Tally) -> dict[str, int]:
    tally.routes(50, 1000)
    return {each.reason: each.requests for each in tally.left_out()}


# ---- templates


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", "/"),
        ("/about/", "/about/"),
        ("/products/17/", "/products/{id}/"),
        ("/a/1/b/2", "/a/{id}/b/{id2}"),
        ("/items/12.json", "/items/{id}.json"),
        ("/o/6f1e0d8a-3c1b-4f0e-9f6b-1d2c3b4a5968/", "/o/{uuid}/"),
        ("/o/507f1f77bcf86cd799439011", "/o/{hash}"),
        ("/watch/dQw4w9WgXcQ", "/watch/{hash}"),
        ("/archive/2026-11-25/", "/archive/{date}/"),
        ("/blog/2026/11/25/tea/", "/blog/{year}/{id}/{id2}/tea/"),
        ("/deadline/facade/", "/deadline/facade/"),
        ("/v1/Products", "/v1/Products"),
    ],
)
def test_a_path_s_segments_say_what_they_are(path: str, template: str) -> None:
    assert written(shape(path)) == template


def test_slugs_are_one_route_from_a_number_of_siblings_on_and_words_from_a_greater_one() -> None:
    for count, name in ((SLUGS_MIN, "red-shoe-{}x"), (WORDS_MIN, "word{}")):
        some = [f"/p/{name.format('abcdefghijklmnopqrstuvwxyz'[i % 26] * (1 + i // 26))}/" for i in range(count)]
        assert set(routes(some)) == {"/p/{slug}/"}
        assert "{" not in "".join(routes(some[:-1]))


def test_neighbours_of_another_kind_stay_what_they_are() -> None:
    paths = [f"/p/shoe-{i}/" for i in range(20)] + ["/p/new/", "/p/new/photo/", "/q/other-page/", "/p/9/"]
    assert set(routes(paths)) == {"/p/{slug}/", "/p/new/", "/p/new/photo/", "/q/other-page/", "/p/{id}/"}


def test_what_was_collapsed_before_takes_in_the_next_too() -> None:
    first = set(collapsed([("p", f"shoe-{i}") for i in range(SLUGS_MIN)]).values())
    assert first == {("p", "{slug}")}
    assert set(collapsed([*first, ("p", "hat-1")]).values()) == first


def test_the_app_s_own_templates_win() -> None:
    known = ("/products/<x>/", "/{lang}/shop/", "/products/{slug}/", "/products/new/")
    found = routes(["/products/red/", "/products/7/", "/products/new/", "/de/shop/", "/other/7/"], known=known)
    assert set(found) == {"/products/{slug}/", "/products/new/", "/{lang}/shop/", "/other/{id}/"}
    assert set(found["/products/{slug}/"].paths) == {"/products/red/", "/products/7/"}


def test_query_keys_are_part_of_a_route_and_their_values_vary() -> None:
    found = routes(["/s?q=tea&page=2", "/s?page=3&q=a%20b", "/s?q=tea", "/s"])
    assert set(found) == {"/s?page={page}&q={q}", "/s?q=tea", "/s"}, "what does not vary is written out"
    assert set(found["/s?page={page}&q={q}"].paths) == {"/s?q=tea&page=2", "/s?page=3&q=a%20b"}


# ---- counts and samples


def test_weights_are_counts_and_hot_paths_stay_hot() -> None:
    chance = random.Random(4)  # noqa: S311 - the same each time
    asked = [f"/p/{min(int(chance.paretovariate(0.8)), 3000)}/" for _ in range(30_000)]
    route = routes(["/"] * 500 + asked)["/p/{id}/"]
    assert route.weight == 30_000
    assert len(route.paths) <= mix.SAMPLE_MAX
    was, now = Counter(asked), Counter(route.paths)
    for path, count in was.most_common(3):
        assert now[path] / len(route.paths) == pytest.approx(count / 30_000, abs=0.05)
    assert len(now) > 50, "spread over many"


@given(
    st.dictionaries(st.integers(0, 2000).map(str), st.integers(1, 500), min_size=1, max_size=60), st.integers(20, 300)
)
def test_a_spread_is_no_longer_than_asked_and_of_what_was_there(asked: dict[str, int], most: int) -> None:
    found = spread(Counter(asked), most, CHANCE)
    assert 1 <= len(found) <= most
    assert set(found) <= set(asked)
    if len(asked) < min(most, 20 * len(asked)):
        assert set(found) == set(asked), "none is lost where there is room"


def test_equal_counts_are_written_once_each() -> None:
    assert spread(Counter({"/a": 400, "/b": 400, "/c": 800}), 1000, CHANCE) == ("/a", "/b", "/c", "/c")


def test_all_requests_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mix, "BUCKETS_MAX", 50)
    words = ["".join(chr(97 + int(d)) for d in str(i)) for i in range(3000)]
    tally = tallied([f"/{w}/{w}" for w in words] + ["/hot"] * 100)
    found = tally.routes(10, 1000)
    assert len(found) <= 10
    assert tally.hits == 3100 == sum(r.weight for r in found) + sum(each.requests for each in tally.left_out())
    assert "/hot" in {route.template for route in found}
    assert len(tally._buckets) <= 50


def test_usual_statuses_are_expected_and_copies_count_as_whole() -> None:
    tally = Tally()
    for status, count in ((200, 60), (304, 20), (302, 19), (301, 1), (404, 30), (500, 5)):
        for _ in range(count):
            tally.add(Hit(minute=None, method="GET", target="/x", status=status, bot=None))
    (route,) = tally.routes(5, 100)
    assert route == Route(template="/x", weight=100, status=(200, 302))
    (out,) = tally.left_out()
    assert (out.reason, out.requests, out.routes) == ("failed", 35, (("404 /x", 30), ("500 /x", 5)))


# ---- what stays out


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/logout/", "dangerous"),
        ("/items/3/delete", "dangerous"),
        ("/deleteItem?id=3", "dangerous"),
        ("/static/site.css?v=3", "static"),
        ("/favicon.ico", "static"),
        ("*", "target"),
        ("/" + "a" * 3000, "target"),
        ("/users/alice/", "person"),
        ("/@alice", "person"),
        ("/mail/alice@example.com", "person"),
        ("/reset/MQ/c3k4-9f8e7d6c5b4a3f2e1d0c/", "token"),
        ("/t/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", "token"),
        ("/ip/203.0.113.9", "token"),
    ],
)
def test_what_must_not_be_sent_is_left_out_with_its_reason(target: str, reason: str) -> None:
    assert left(tallied([target])) == {reason: 1}


@pytest.mark.parametrize(
    "target", ["/users/login/", "/users/17/", "/articles/how-to-delete-files/", "/blog/a-day-out/"]
)
def test_what_only_resembles_it_is_sent(target: str) -> None:
    assert left(tallied([target])) == {}


def test_posts_are_listed_by_route_and_bots_counted() -> None:
    tally = tallied(["/cart/3/", "/cart/4/"], method="POST")
    tally.add(Hit(minute=None, method="GET", target="/", status=200, bot=True))
    tally.routes(5, 100)
    assert {(each.reason, each.requests, each.routes) for each in tally.left_out()} == {
        ("method", 2, (("POST /cart/{id}/", 2),)),
        ("bot", 1, ()),
    }


def test_a_slug_with_delete_in_its_middle_is_harmless() -> None:
    assert danger("/articles/how-to-delete", slug_words=TITLE_WORDS) == ""
    assert danger("/admin/log-out", slug_words=TITLE_WORDS) == "log out"
    assert danger("/account/delete-it-all-now", slug_words=TITLE_WORDS) == "delete"


SECRETS = [
    "hunter2",
    "alice@example.com",
    "203.0.113.9",
    "2001:db8::1",
    "9f8e7d6c5b4a3f2e1d0c",
    "a1B2c3D4e5F6g7H8i9J0k",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "key", ["token", "access_token", "apiKey", "user-name", "session_id", "code", "filter[email]", "sig"]
)
def test_keys_that_let_somebody_in_are_dropped_with_their_values(key: str, secret: str) -> None:
    target = cleaned(f"/x?page=2&{key}={secret}&utm_source={secret}")
    assert target is not None
    assert target.text == "/x?page=2"
    assert target.dropped == ("secret", "tracking")


@pytest.mark.parametrize("secret", SECRETS[1:])
def test_values_that_look_like_it_are_dropped_under_any_key(secret: str) -> None:
    target = cleaned(f"/x?q={secret}&r=tea")
    assert target is not None
    assert target.text == "/x?r=tea"


@pytest.mark.parametrize(
    "value", ["tea", "green+tea", "17", "1234567890123456789", "2026-11-25", "price-low-to-high", "-price"]
)
def test_plain_values_are_kept(value: str) -> None:
    target = cleaned(f"/x?q={value}")
    assert target is not None
    assert target.text == f"/x?q={value}"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("http://shop.example.com/a?b=1", "/a?b=1"),
        ("https://alice:pw@shop.example.com/a", "/a"),
        ('/a b/ü?q=x"y', "/a%20b/%C3%BC?q=x%22y"),
        ("/a\\x22b\\xC3\\xBC", "/a%22b%C3%BC"),
        ("/a/{id}/100%", "/a/%7Bid%7D/100%25"),
        ("/a;jsessionid=1234/b#top", "/a/b"),
        ("/a?&&b", "/a?b"),
    ],
)
def test_a_target_is_written_as_it_can_be_sent(raw: str, text: str) -> None:
    target = cleaned(raw)
    assert target is not None
    assert target.text == text


@given(st.text(max_size=60).map(lambda text: "/" + text))
def test_any_target_is_one_that_can_be_sent_or_none(raw: str) -> None:
    target = cleaned(raw)
    if target is not None:
        assert all("!" <= c <= "~" for c in target.text)
        assert not {"{", "}", "#"} & set(target.text)
        tally = tallied([raw])
        found = tally.routes(5, 100)
        assert sum(route.weight for route in found) + sum(each.requests for each in tally.left_out()) == 1


# ---- the rate over the day


def test_a_day_s_log_is_its_own_series() -> None:
    found = rates({600: 60, 602: 120, 720: 6})
    assert found is not None
    assert found.begins == "1970-01-01 10:00"
    assert found.rps[:4] == (1.0, 0.0, 2.0, 0.0)
    assert len(found.rps) == 121
    assert (found.peak_minute, found.peak_minute_rps) == ("1970-01-01 10:02", 2.0)
    assert (found.peak_hour, found.peak_hour_rps) == ("1970-01-01 10:00", 0.05)


def test_of_several_days_the_busiest_is_the_series() -> None:
    minutes = {day * 1440 + hour * 60: (600 if day == 1 else 60) for day in range(3) for hour in range(24)}
    found = rates(minutes)
    assert found is not None
    assert found.begins == "1970-01-02 00:00"
    assert len(found.rps) == 1440
    assert found.rps[0] == 10.0


def test_a_part_of_an_hour_counts_as_that_part() -> None:
    found = rates(dict.fromkeys(range(605, 610), 60))
    assert found is not None
    assert found.peak_hour_rps == found.mean_rps == 1.0


def test_without_times_there_is_no_rate() -> None:
    assert rates({}) is None
