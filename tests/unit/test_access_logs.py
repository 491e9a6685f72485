"""Lines of access logs as servers write them become hits; what is no such line becomes none, and never an error."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prony.errors import PlanError
from prony.traffic import accesslog, logfiles
from prony.traffic.accesslog import FORMATS, Hit, read, told
from prony.traffic.rates import when

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
LINES = [
    pytest.param(
        '203.0.113.9 - alice [25/Nov/2026:10:41:57 +0100] "GET /a/?x=1 HTTP/1.1" 200 1234 "https://shop.example.com/" '
        f'"{FIREFOX}"',
        "combined",
        ("2026-11-25 10:41", "GET", "/a/?x=1", 200, False),
        id="nginx or Apache combined",
    ),
    pytest.param(
        '203.0.113.9 - - [25/Nov/2026:10:41:57 +0100] "GET /a HTTP/2.0" 304 -',
        "combined",
        ("2026-11-25 10:41", "GET", "/a", 304, None),
        id="Apache common",
    ),
    pytest.param(
        'shop.example.com:443 203.0.113.9 - - [25/Nov/2026:10:41:57 +0100] "POST /a HTTP/1.1" 302 0 "-" "-" 0.012',
        "combined",
        ("2026-11-25 10:41", "POST", "/a", 302, False),
        id="with a virtual host before and a time behind",
    ),
    pytest.param(
        '127.0.0.1 - - [25/Nov/2026:10:41:57 +0000] "GET /a%20b/?q=x%22y HTTP/1.1" 200 1 "-" "curl/7.88.1"',
        "combined",
        ("2026-11-25 10:41", "GET", "/a%20b/?q=x%22y", 200, True),
        id="gunicorn",
    ),
    pytest.param(
        f'127.0.0.1 - - [25/Nov/2026:10:41:57 +0000] "GET / HTTP/1.1" 200 1 "-" "{FIREFOX}" 8312',
        "combined",
        ("2026-11-25 10:41", "GET", "/", 200, False),
        id="gunicorn with %(D)s",
    ),
    pytest.param(
        "[2026-11-25 10:41:56 +0000] [13531] [INFO] 127.0.0.1:46788 - - [25/Nov/2026:10:41:56 +0000] "
        '"GET /a b/ 1.1" 200 - "-" "Googlebot/2.1"',
        "combined",
        ("2026-11-25 10:41", "GET", "/a b/", 200, True),
        id="hypercorn, which decodes paths",
    ),
    pytest.param(
        'INFO:     127.0.0.1:54600 - "GET /a%20b/?z=%C3%BC HTTP/1.1" 200 OK',
        "uvicorn",
        (None, "GET", "/a%20b/?z=%C3%BC", 200, None),
        id="uvicorn",
    ),
    pytest.param(
        '\x1b[32mINFO\x1b[0m:     [::1]:56462 - "\x1b[1mGET / HTTP/1.1\x1b[0m" \x1b[32m200 OK\x1b[0m',
        "uvicorn",
        (None, "GET", "/", 200, None),
        id="uvicorn in colours, over IPv6",
    ),
    pytest.param(
        '2026-11-25 10:41:57,123 INFO uvicorn.access 10.0.0.1:5 - "GET /x HTTP/1.1" 404',
        "uvicorn",
        ("2026-11-25 10:41", "GET", "/x", 404, None),
        id="uvicorn with a time",
    ),
    pytest.param(
        '2026-11-25T10:41:57.1+00:00 app[web.1]: INFO:     10.0.0.1:0 - "GET /x HTTP/1.1" 200 OK',
        "uvicorn",
        ("2026-11-25 10:41", "GET", "/x", 200, None),
        id="uvicorn behind a platform's prefix",
    ),
    pytest.param(
        '[2026-11-25 10:41:57 +0000] 127.0.0.1 - "GET /a b/ HTTP/1.1" 200 0.128',
        "uvicorn",
        ("2026-11-25 10:41", "GET", "/a b/", 200, None),
        id="granian",
    ),
    pytest.param(
        '127.0.0.1 - - [25/Nov/2026 10:41:57] "\x1b[33mGET /a?q=x"y&z=ü HTTP/1.1\x1b[0m" 404 -',
        "development server",
        ("2026-11-25 10:41", "GET", '/a?q=x"y&z=ü', 404, None),
        id="Flask's",
    ),
    pytest.param(
        '[25/Nov/2026 10:41:57] "GET /x/ HTTP/1.1" 200 5316',
        "development server",
        ("2026-11-25 10:41", "GET", "/x/", 200, None),
        id="Django's runserver",
    ),
]


@pytest.mark.parametrize(("line", "name", "hit"), LINES)
def test_a_line_is_read_and_its_format_told(line: str, name: str, hit: tuple[object, ...]) -> None:
    form, lines = told(["something else", line + "\n"])
    assert form is not None
    assert form.name == name
    found = [each for text in lines if text is not None and (each := read(text, form)) is not None]
    assert len(found) == 1
    minute = None if found[0].minute is None else when(found[0].minute)
    assert (minute, found[0].method, found[0].target, found[0].status, found[0].bot) == hit


def test_a_hit_has_no_place_for_addresses_and_users() -> None:
    assert set(Hit.__slots__) == {"minute", "method", "target", "status", "bot"}


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "curl/8.5.0",
        "python-requests/2.32",
        "kube-probe/1.31",
        "ELB-HealthChecker/2.0",
        "UptimeRobot/2.0",
        "Go-http-client/1.1",
        "facebookexternalhit/1.1",
    ],
)
def test_programs_are_told_by_their_user_agent(agent: str) -> None:
    hit = read(f'1.2.3.4 - - [25/Nov/2026:10:41:57 +0100] "GET / HTTP/1.1" 200 1 "-" "{agent}"', FORMATS[0])
    assert hit is not None
    assert hit.bot is True


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Nov 25 10:41:57 host gunicorn[1]: Booting worker",
        '1.2.3.4 - - [99/Foo/2026:10:41:57 +0100] "GET / HTTP/1.1" 200 1',
        '1.2.3.4 - - [25/Nov/2026:25:41:57 +0100] "GET / HTTP/1.1" 200 1',
        '1.2.3.4 - - [31/Feb/2026:10:41:57 +0100] "GET / HTTP/1.1" 200 1',
        '1.2.3.4 - - [25/Nov/2026:10:41:57 +0100] "\\x16\\x03\\x01" 400 157 "-" "-"',
        '1.2.3.4 - - [25/Nov/2026:10:41:57 +0100] "-" 408 -',
        '1.2.3.4 - - [25/Nov/2026:10:41:57 +0100] "GET / HTTP/1.1" 2000 1',
        '{"request": "GET / HTTP/1.1", "status": 200}',
    ],
)
def test_a_malformed_line_is_no_hit(line: str) -> None:
    assert not any(read(line, form) for form in FORMATS)


PIECES = st.sampled_from(
    [
        " - - ",
        "[25/Nov/2026:10:41:57 +0000]",
        "[25/Nov/2026 10:41:57]",
        '"GET / HTTP/1.1"',
        '"',
        "\\",
        " 200 ",
        " 1 ",
        "2026-11-25 10:41:57",
        "127.0.0.1:1",
        'INFO:  1.1.1.1:1 - "GET ',
        "GET ",
        "/a",
        " HTTP/1.1",
        "\x1b[0m",
        "\udc80",
    ]
)


@given(st.lists(PIECES | st.text(max_size=8), max_size=40).map("".join))
@example("2026-11-25 10:41" * 500)
@example('[25/Nov/2026:10:41:57 +0100] "GET ' + "\\" * 8000)
@example('"GET ' * 1600)
def test_any_line_is_a_hit_or_none(line: str) -> None:
    for form in FORMATS:
        hit = read(line, form)
        assert hit is None or (hit.method.isupper() and hit.target and 0 <= hit.status <= 999)


# ---- files


def lines_of(path: Path) -> tuple[list[str | None], str]:
    (file,) = logfiles.open_all((str(path),))
    return list(file), file.cut


def test_a_gzipped_file_gives_the_same_lines_whatever_its_name(tmp_path: Path) -> None:
    text = "".join(f"line {i}\n" for i in range(1000)).encode()
    (tmp_path / "plain").write_bytes(text)
    (tmp_path / "packed.log").write_bytes(gzip.compress(text))
    assert lines_of(tmp_path / "plain") == lines_of(tmp_path / "packed.log")
    assert len(lines_of(tmp_path / "plain")[0]) == 1000


def test_a_gzipped_file_that_ends_early_gives_what_stands_before(tmp_path: Path) -> None:
    packed = gzip.compress("".join(f"{i * i * 7919}\n" for i in range(50_000)).encode())
    (tmp_path / "cut.gz").write_bytes(packed[: len(packed) // 2])
    lines, cut = lines_of(tmp_path / "cut.gz")
    assert len(lines) > 1000
    assert "ends early" in cut


def test_a_line_without_end_is_one_unread_line_and_not_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"first\n" + b"x" * 1_000_000 + b"\nlast")
    assert lines_of(tmp_path / "log")[0] == ["first\n", None, "last"]
    (tmp_path / "log").write_bytes(b"x" * logfiles.LINE_BYTES_MAX)
    assert lines_of(tmp_path / "log")[0] == [None]


def test_bytes_that_are_no_text_are_lines_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff\xfe\n\0\n")
    assert lines_of(tmp_path / "log")[0] == ["\\xff\\xfe\n", "\0\n"]


@pytest.mark.parametrize("content", [b"a\nb\n", gzip.compress(b"a\nb\n", mtime=0)])
def test_standard_input_is_read_too(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    stream = io.BufferedReader(io.BytesIO(content))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stream))
    (file,) = logfiles.open_all(("-",))
    assert list(file) == ["a\n", "b\n"]


def test_a_file_that_is_missing_a_folder_or_named_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x", encoding="utf-8")
    (tmp_path / "same").symlink_to("log")
    for names, found in (
        ((str(tmp_path / "none"),), "No such file"),
        ((str(tmp_path),), "is a folder"),
        ((str(tmp_path / "log"), str(tmp_path / "same")), "the same file"),
        (("-", "-"), "the same file"),
        (("a\0b",), "cannot be read"),
        (("a" * 5000,), "cannot be read"),
    ):
        with pytest.raises(PlanError, match=found) as caught:
            logfiles.open_all(names)
        assert len(caught.value.message) < 700


def test_the_format_is_told_from_the_first_lines_without_losing_any() -> None:
    lines = [f"{i}\n" for i in range(accesslog.LOOKED_AT * 2)]
    form, rest = told(lines)
    assert form is None
    assert list(rest) == lines
