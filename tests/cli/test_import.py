"""`prony import`: a log in, a table, a file and one line of prony.toml out; no stack, no secrets, no traceback."""

from __future__ import annotations

import gzip
import io
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from prony.cli import main
from prony.plan import read_file
from prony.traffic import learned
from prony.traffic.learned import Learned, LearnedRoute

TOML = '# mine\n[app]\nentry = "shop:app"  # the app\n\n[traffic]\nrate = 5\n'
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


def line(target: str, *, minute: int = 0, status: int = 200, agent: str = FIREFOX, method: str = "GET") -> str:
    when = f"25/Nov/2026:{10 + minute // 60:02}:{minute % 60:02}:07 +0100"
    return (
        f'203.0.113.9 - alice [{when}] "{method} {target} HTTP/1.1" {status} 99 "https://e.com/?t=s3cr3t" "{agent}"\n'
    )


LOG = "".join(
    [
        *(line("/", minute=i % 90) for i in range(200)),
        *(line(f"/products/{1 + i % 40}/", minute=i % 90) for i in range(120)),
        *(line("/search/?q=tea&token=s3cr3t") for _ in range(20)),
        *(line("/search/?q=alice@example.com") for _ in range(10)),
        *(line("/", agent="Googlebot/2.1") for _ in range(30)),
        *(line("/static/site.css") for _ in range(25)),
        *(line("/cart/", method="POST", status=302) for _ in range(5)),
        line("/logout/", status=302),
        "no such line\n",
    ]
)


class Said:
    """What a command printed, and its exit code."""

    def __init__(self, code: object, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


Run = Callable[..., Said]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prony.toml").write_text(TOML, encoding="utf-8")
    (tmp_path / "access.log").write_text(LOG, encoding="utf-8")

    def run(*argv: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(["import", *argv])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Said(ended.value.code, out, err)

    return run


def test_a_log_becomes_a_mix_that_the_plan_reads(said: Run, tmp_path: Path) -> None:
    found = said("access.log")
    assert found.code == 0, found.err
    for text in (
        "/products/{id}/",
        "200",
        "peak hour 2026-11-25 10:00",
        "Left out: 30 by bots",
        "Left out: 25 for static",
    ):
        assert text in found.out
    assert any(block in found.out for block in "▁▂▃▄▅▆▇█")
    assert "the line file" in found.err
    assert (tmp_path / "prony.toml").read_text(encoding="utf-8") == TOML.replace(
        "[traffic]\n", '[traffic]\nfile = "prony.traffic.toml"\n'
    )
    traffic = read_file(tmp_path).traffic
    assert traffic.declared
    assert traffic.rate_rps == 5
    assert {request.path: request.weight for request in traffic.requests} == {
        "/": 200,
        "/products/{id}/": 120,
        "/search/?q=tea": 20,
        "/search/": 10,
    }
    assert len(set(traffic.requests[1].paths)) == 40
    assert traffic.recorded is not None
    assert len(traffic.recorded.rps) == 90
    comments = (tmp_path / "prony.traffic.toml").read_text(encoding="utf-8")
    assert "From access.log: combined, 412 lines, 411 requests, 1 lines that are none." in comments
    assert "POST /cart/ × 5" in comments


def test_nothing_that_lets_somebody_in_or_says_who_it_was_is_written(said: Run, tmp_path: Path) -> None:
    found = said("access.log", "--json")
    assert found.code == 0
    text = found.out + found.err + (tmp_path / "prony.traffic.toml").read_text(encoding="utf-8")
    for secret in ("alice", "203.0.113", "s3cr3t", "example.com", "Firefox"):
        assert secret not in text


def test_json_says_the_same(said: Run, tmp_path: Path) -> None:
    found = json.loads(said("access.log", "--json", "--dry-run", "--top", "1").out)
    assert found["verb"] == "import"
    assert [route["template"] for route in found["routes"]] == ["/"]
    assert {each["reason"]: each["requests"] for each in found["left_out"]}["rare"] == 150
    assert found["requests"] == 411
    assert found["rates"]["step_s"] == 60
    assert found["written"] is None
    assert not (tmp_path / "prony.traffic.toml").exists()
    assert (tmp_path / "prony.toml").read_text(encoding="utf-8") == TOML


def test_several_files_gzipped_ones_and_standard_input_add_up(
    said: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "old.gz").write_bytes(gzip.compress(LOG.encode()))
    third = 'INFO:     127.0.0.1:1 - "GET / HTTP/1.1" 200 OK\n' * 7
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(third.encode()))))
    found = json.loads(said("access.log", "old.gz", "-", "--json", "--dry-run", "--include-static").out)
    assert [source["format"] for source in found["sources"]] == ["combined", "combined", "uvicorn"]
    weights = {route["template"]: route["weight"] for route in found["routes"]}
    assert weights["/"] == 407
    assert weights["/static/site.css"] == 50
    assert any("7 requests have no time" in note for note in found["notes"])


def test_the_routes_that_a_check_learned_are_taken(said: Run, tmp_path: Path) -> None:
    (tmp_path / ".prony").mkdir()
    routes = (LearnedRoute(name="product", template="/products/{pk}/"),)
    learned.save(tmp_path / ".prony", Learned(entry="shop:app", routes=routes))
    found = json.loads(said("access.log", "--json", "--dry-run").out)
    assert "/products/{pk}/" in {route["template"] for route in found["routes"]}


def test_an_openapi_document_becomes_a_guessed_mix(said: Run, tmp_path: Path) -> None:
    schema = {"openapi": "3.1.0", "paths": {"/a": {"get": {}}, "/b": {"post": {}}}}
    (tmp_path / "openapi.json").write_text(json.dumps(schema), encoding="utf-8")
    found = said("openapi.json")
    assert found.code == 0, found.err
    assert "a guess" in found.out
    assert "with a method that changes things" in found.out
    assert not read_file(tmp_path).traffic.declared
    assert tomllib.loads((tmp_path / "prony.traffic.toml").read_text(encoding="utf-8"))["guessed"] is True


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        ([], ["FILE"]),
        (["none.log"], ["none.log", "No such file"]),
        (["."], ["is a folder"]),
        (["access.log", "./access.log"], ["the same file"]),
        (["prony.toml"], ["holds no request in its first 6 lines", "nginx and Apache"]),
        (["empty.log"], ["is empty"]),
        (["bots.log"], ["none can be part of a mix", "by bots"]),
        (["access.log", "--top", "0"], ["--top"]),
        (["access.log", "--project", "nowhere"], ["there is no such file", "--dry-run"]),
        (["har.json"], ["found no version"]),
    ],
)
def test_a_mistake_is_one_paragraph_and_writes_nothing(
    said: Run, tmp_path: Path, argv: list[str], names: list[str]
) -> None:
    (tmp_path / "empty.log").touch()
    (tmp_path / "har.json").write_text("{}", encoding="utf-8")
    (tmp_path / "bots.log").write_text(line("/", agent="curl/8"), encoding="utf-8")
    found = said(*argv)
    assert (found.code, found.out) == (2, "")
    assert all(name in found.err for name in names), found.err
    assert not (tmp_path / "prony.traffic.toml").exists()
    assert (tmp_path / "prony.toml").read_text(encoding="utf-8") == TOML
