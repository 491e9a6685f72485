"""A visitor without a load: what it asks for is answered by hand."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from prony.load.pages import Answer, Page, StepFailed
from prony.load.runs import Waking
from prony.load.schedule import NEVER, Closed
from prony.load.site import Site
from prony.load.spec import JourneySpec, LoadSpec
from prony.load.visitor import PAUSE_MAX_S, Visitor
from prony.samples import CHECK_FAILED, WRONG_STATUS

SPEC = LoadSpec(
    host="127.0.0.1",
    port=80,
    journeys=(JourneySpec("j.py:go", "/j.py", "go"),),
    arrivals="closed",
    users=2,
    duration_s=1,
    segment="s",
)


class Met:
    """A visitor, and what was blamed on them."""

    def __init__(self, seed: int = 1) -> None:
        self.site = Site(SPEC, lambda _: None)
        self.blamed: list[tuple[int, str]] = []
        self.visitor = Visitor(self.site, 0, seed, {}, lambda failed: self.blamed.append((failed.outcome, failed.why)))

    def does(self, step: Coroutine[Any, Any, Any], *answers: tuple[int, dict[str, str], str]) -> list[str]:
        """Answers what a step asks for; returns the request lines and cookies."""
        asked = []
        reply = None
        try:
            for status, fields, body in answers:
                _, wire = step.send(reply)
                lines = wire.decode("latin-1").split("\r\n")
                asked.append(
                    " ".join([lines[0].removesuffix(" HTTP/1.1"), *(x for x in lines if x.startswith("cookie:"))])
                )
                heads = [(name.encode(), value.encode()) for name, value in fields.items()]
                reply = Answer(status, heads, body.encode(), len(body), None)
            step.send(reply)
        except StopIteration:
            return asked
        raise AssertionError("it asks for more")


def pauses(*how: Any, count: int = 3000, seed: int = 1, **more: Any) -> Any:
    visitor = Met(seed).visitor
    return np.array([visitor.pause(*how, **more).send(None) for _ in range(count)]) / 1e9


def test_a_pause_lasts_as_it_is_said_to() -> None:
    assert set(pauses(1.5, count=3)) == {1.5}
    even = pauses(1, 3)
    assert 1 <= even.min() < 1.1
    assert 2.9 < even.max() <= 3
    assert even.mean() == pytest.approx(2, abs=0.05)
    logs = np.log(pauses(2, sigma=0.5))
    assert logs.mean() == pytest.approx(np.log(2), abs=0.05)
    assert logs.std() == pytest.approx(0.5, abs=0.05)
    assert pauses(1e12, count=1) == PAUSE_MAX_S
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="a pause lasts"):
            pauses(wrong, count=1)


def test_chance_is_the_same_for_the_same_seed() -> None:
    assert (pauses(1, 3, count=9) == pauses(1, 3, count=9)).all()
    assert (pauses(1, 3, count=9) != pauses(1, 3, count=9, seed=2)).all()


def test_cookies_of_every_hop_go_along_and_a_redirected_post_becomes_a_get() -> None:
    met = Met()
    hop = {"Location": "/b", "Set-Cookie": "s=1; Path=/"}
    asked = met.does(met.visitor.post("/a", json={"x": 1}), (303, hop, ""), (200, {}, "done"))
    assert asked == ["POST /a", "GET /b cookie: s=1"]
    again = met.does(met.visitor.post("/a", body=b"x"), (307, {"Location": "/c"}, ""), (200, {}, "done"))
    assert again == ["POST /a cookie: s=1", "POST /c cookie: s=1"]
    assert met.visitor.page is not None
    assert (met.visitor.page.path, met.visitor.page.text) == ("/c", "done")
    assert met.site.names == ["POST /a", "/b", "POST /c"]
    assert met.site.kept_bytes == 4
    assert not met.blamed


def test_a_wrong_status_is_blamed_whether_or_not_it_is_caught() -> None:
    met = Met()
    with pytest.raises(StepFailed):
        met.does(met.visitor.get("/a"), (500, {}, "oh"))
    assert met.blamed == [(WRONG_STATUS, "")]
    met.does(met.visitor.get("/a", expect=(404, 500)), (500, {}, "oh"))
    assert len(met.blamed) == 1


def test_who_is_logged_in_already_bears_their_cookies_and_fields() -> None:
    met = Met()
    met.visitor.bear({"Cookie": "sid=abc; theme=dark=er", "Authorization": "Bearer t-1"})
    step = met.visitor.get("/a")
    _, wire = step.send(None)
    step.close()
    assert b"cookie: sid=abc; theme=dark=er\r\n" in wire
    assert b"authorization: Bearer t-1\r\n" in wire
    asked = met.does(met.visitor.get("/a"), (200, {"Set-Cookie": "sid=new; Path=/"}, ""))
    asked += met.does(met.visitor.get("/deep/down/"), (200, {}, ""))
    assert asked == ["GET /a cookie: sid=abc; theme=dark=er", "GET /deep/down/ cookie: sid=new; theme=dark=er"]


def test_before_the_first_page_there_is_nothing_to_see() -> None:
    with pytest.raises(ValueError, match="no page yet"):
        Met().visitor.see("x")
    with pytest.raises(ValueError, match="is no page of the stack"):
        Met().visitor.get("http://elsewhere.example/").send(None)


@pytest.mark.parametrize(
    ("body", "text", "there"),
    [
        ("<p>Tom &amp; Jerry</p>", "Tom & Jerry", True),
        ("<p>Tom &amp;\n <b>Jerry</b></p>", "Tom & Jerry", True),
        ("<p>Tom</p>", "<p>Tom", True),
        ("<p>Tom</p>", "Jerry", False),
        ("<p>Zoë</p>", "Zoë", True),
        ("<p>Zo&euml;</p>", "Zoë", True),
        ("", "x", False),
    ],
)
def test_a_page_has_what_its_reader_sees(body: str, text: str, *, there: bool) -> None:
    for charset in ("utf-8", "iso-8859-1"):
        fields = [(b"Content-Type", f"text/html; charset={charset}".encode())]
        assert Page("/", Answer(200, fields, body.encode(charset), len(body), None)).has(text) == there


def test_a_page_too_long_to_keep_says_so_when_it_is_looked_at() -> None:
    page = Page("/", Answer(200, [], None, 3_000_000, None))
    assert (page.size, page.kept_bytes) == (3_000_000, 0)
    with pytest.raises(StepFailed, match="over 1 MiB") as caught:
        page.has("x")
    assert caught.value.outcome == CHECK_FAILED


def test_a_page_that_there_was_no_room_for_does_not_say_that_it_is_long() -> None:
    with pytest.raises(StepFailed, match="pages of other visitors"):
        Page("/", Answer(200, [], None, 3_000, None)).has("x")


def test_runs_after_a_pause_and_newcomers_are_due_in_one_order() -> None:
    waking = Waking(Closed(SPEC))
    waking.starts_at(1000)
    waking.put(1500, -7)
    assert (waking.next_ns, waking.take()) == (1000, 0)
    assert (waking.next_ns, waking.take()) == (1500, -7)
    assert waking.take() == 1
    assert waking.next_ns == NEVER
    waking.put(2000, 0)
    assert waking.next_ns == 2000
