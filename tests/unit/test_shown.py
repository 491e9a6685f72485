"""What verbs say while a trial runs: a screen on a terminal that has room for one, plain lines to all others."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from prony.cli.output import Shown
from prony.recording import Event, Reading
from prony.report import screen
from prony.trial import Progress
from tests.unit.recording_case import BEGAN_NS, SECOND, a_plan, evenly, some_samples

HIDDEN, SHOWN_AGAIN = "\x1b[?25l", "\x1b[?25h"


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def console(
    file: io.StringIO, *, width: int = 80, height: int = 24, term: str = "xterm-256color", **env: str
) -> Console:
    return Console(file=file, width=width, height=height, highlight=False, _environ={"TERM": term, **env})


def follow(shown: Shown, label: str, duration_s: float) -> None:
    """A trial at 40 rps from its first sample to the end of its window, told of every quarter of a second."""
    told = shown.watch(label, a_plan().loaded(rate_rps=40, duration_s=duration_s))
    samples = some_samples(evenly(40, 0.25), service_s=0.004)
    for number in range(round(duration_s * 4)):
        rows = samples.copy()
        for name in ("due_ns", "sent_ns", "first_byte_ns", "done_ns"):
            rows[name] += number * SECOND // 4
        told(Progress(BEGAN_NS + (number + 1) * SECOND // 4, rows, [], None))


@pytest.mark.parametrize(
    ("duration_s", "seconds"), [(3.0, [1, 2, 3]), (20.0, [5, 10, 15, 20]), (400.0, [*range(30, 400, 30)])]
)
def test_elsewhere_than_on_a_terminal_a_line_is_told_every_so_often(duration_s: float, seconds: list[int]) -> None:
    file = io.StringIO()
    shown = Shown(console(file, width=200))
    with shown.running():
        follow(shown, "120 rps (100 holds)", duration_s)
    said = file.getvalue()
    assert "\x1b" not in said
    first, *lines = said.splitlines()
    assert first == "  … 120 rps (100 holds)", "what is known so far"
    assert [line.split(" s:")[0].strip() for line in lines] == [str(second) for second in seconds]
    assert "served 40 rps; p50 4.1 ms" in lines[-1]


def test_a_terminal_with_room_shows_the_screen_and_is_left_clean() -> None:
    file = Tty()
    shown = Shown(console(file))
    with shown.running():
        follow(shown, "120 rps (100 holds)", 3.0)
    said = file.getvalue()
    assert "120 rps (100 holds)" in said
    assert "latency" in said
    assert said.index(HIDDEN) < said.index("latency") < said.index(SHOWN_AGAIN)
    assert "\x1b[?1049h" not in said, "what was said before stays to be scrolled to"


def test_ctrl_c_gives_the_cursor_back() -> None:
    file = Tty()
    shown = Shown(console(file))

    def interrupted() -> None:
        with shown.running():
            follow(shown, "run", 1.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file.getvalue().rindex(SHOWN_AGAIN) > file.getvalue().rindex(HIDDEN)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"width": screen.WIDTH_LEAST - 1}, id="narrow"),
        pytest.param({"height": screen.HEIGHT_LEAST - 1}, id="low"),
        pytest.param({"term": "dumb"}, id="dumb"),
        pytest.param({"NO_COLOR": "1"}, id="no color"),
    ],
)
def test_a_terminal_that_cannot_or_shall_not_gets_plain_lines(given: dict[str, str]) -> None:
    file = Tty()
    shown = Shown(console(file, **given))  # type: ignore[arg-type] # numbers and texts by their names
    with shown.running():
        follow(shown, "run", 2.0)
    assert HIDDEN not in file.getvalue()
    assert "1 s: offered" in file.getvalue()


def test_a_pipe_that_is_forced_to_have_colour_is_no_terminal() -> None:
    file = io.StringIO()
    shown = Shown(console(file, FORCE_COLOR="1"))
    with shown.running():
        follow(shown, "run", 1.0)
    assert HIDDEN not in file.getvalue()


def test_the_screen_counts_what_happens_to_a_tier() -> None:
    file = Tty()
    shown = Shown(console(file, width=100))
    with shown.running():
        told = shown.watch("run", a_plan().loaded(rate_rps=40, duration_s=3.0))
        happened = [Event(BEGAN_NS, "exception", "app", "ValueError", 7)]
        readings = [Reading(BEGAN_NS, "app", "cpu_s", 0.0)]
        told(Progress(BEGAN_NS + SECOND, some_samples(evenly(40, 1)), readings, None, happened))
    assert "7 ValueError" in file.getvalue()
