from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from prony.document import Document
from prony.traffic.learned import FILE, load
from prony.visit.results import Check

AILING = Path(__file__).parent.parent / "apps" / "ailing"
PLAN = """
[app]
entry = "wsgi:application"
prepare = ["python make.py"]
python = "{python}"

[stores.database]
kind = "sqlite"

[server]
kind = "gunicorn"
workers = 1
"""
REQUESTS = """
[[traffic.request]]
path = "/"

[[traffic.request]]
path = "/categories/{slug}/"
"""


class Shop:
    """A copy of the ailing shop, and prony run on it as its author would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shop"
        self.state = folder / "state"
        shutil.copytree(AILING, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        self.shipped = self.files()
        self.plan("")

    def plan(self, more: str) -> None:
        (self.folder / "prony.toml").write_text(PLAN.format(python=sys.executable) + more, encoding="utf-8")

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}

    def prony(self, *argv: str, code: int) -> tuple[str, str]:
        env = {**os.environ, "XDG_STATE_HOME": str(self.state), "HOME": str(self.state)}
        done = subprocess.run(
            [sys.executable, "-m", "prony", *argv],
            check=False,
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, done.stderr
        return done.stdout, done.stderr


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("cli"))


def test_a_check_tells_each_page_and_ends_with_1_where_one_is_wrong(shop: Shop) -> None:
    out, err = shop.prony("check", code=1)
    assert "✓ /about/" in out
    assert "✗ /tables/" in out
    assert '→ [app] prepare = ["python manage.py migrate --noinput"]' in out
    assert "static_files: 2 of 2 static files are not served" in out
    assert "/logout/" in out.partition("Left out of the mix")[2]
    assert f"kept in {shop.folder / '.prony' / FILE}" in out
    assert "Then: prony check" in out
    assert "Traceback" not in out + err
    new = {name for name in shop.files() - shop.shipped if not name.startswith(".prony")}
    assert new == {"prony.toml"}


def test_a_run_takes_the_right_pages_and_looks_for_them_where_no_check_has(shop: Shop) -> None:
    (shop.folder / ".prony" / FILE).unlink(missing_ok=True)
    out, err = shop.prony("run", "--rate", "30", "--duration", "2s", "--set", "limits.p99=20s", "--json", code=0)
    learned = load(shop.folder / ".prony")
    assert learned is not None
    assert "Which pages there are" in err
    document = msgspec.convert(json.loads(out), Document, strict=True)
    [trial] = document.trials
    assert trial.errors.by_status == {"200": trial.requests}
    assert trial.errors.share == 0, "right answers are as they were learned"
    right = {route.name for route in learned.routes if route.right}
    assert {route.name for route in trial.routes} == right
    assert "mix_guessed" in trial.doubts


def test_where_all_declared_pages_are_right_it_ends_with_0_and_names_the_next_command(shop: Shop) -> None:
    shop.plan(REQUESTS)
    out, _ = shop.prony("check", code=0)
    assert "2 pages: all are right." in out
    assert out.rstrip().endswith("Next: prony run")


def test_as_json_it_is_one_document(shop: Shop) -> None:
    shop.plan(REQUESTS)
    out, err = shop.prony("check", "--json", "--set", "traffic.host=tea.example", code=1)
    found = msgspec.convert(json.loads(out), Check, strict=True)
    assert (found.verb, found.framework, found.declared, found.right) == ("check", "django", True, False)
    assert {finding.cause for page in found.pages for finding in page.findings} == {"allowed_hosts"}
    assert "Reading the app's routes" in err


def test_what_cannot_be_filled_is_said_before_anything_starts(shop: Shop) -> None:
    shop.plan('[[traffic.request]]\npath = "/nowhere/{thing}/"\n')
    _, err = shop.prony("run", "--rate", "5", "--duration", "1s", code=2)
    assert "nothing is known to stand for thing" in err
    assert "Try: prony check" in err
