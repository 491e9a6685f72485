"""The accounts' apps feeds, landing and school: their plans read, and they are small and complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import prony
from prony.plan.procfile import read_procfile
from prony.plan.read import read_document, read_file

WORKLOADS = Path(prony.__file__).parent / "workloads"
NAMES = ("feeds", "landing", "school")
BYTES_MAX = 400_000


def files_of(name: str) -> list[Path]:
    return [path for path in (WORKLOADS / name).rglob("*") if path.is_file() and "__pycache__" not in path.parts]


@pytest.mark.parametrize("name", NAMES)
def test_an_app_has_what_its_author_would_hand_over_and_little_more(name: str) -> None:
    top = {path.name for path in (WORKLOADS / name).iterdir()}
    assert {"README.md", "Procfile", "requirements.txt", "prony.toml"} <= top
    assert not {path.suffix for path in files_of(name)} & {".pyc", ".sqlite3", ".db", ".log", ".pid"}
    assert sum(path.stat().st_size for path in files_of(name)) < BYTES_MAX


@pytest.mark.parametrize("name", NAMES)
def test_the_modules_that_its_plan_and_its_procfile_name_are_there(name: str) -> None:
    folder = WORKLOADS / name
    plan = read_file(folder)
    entries = [server.entry or plan.app.entry for server in plan.servers]
    commands = read_procfile(folder / "Procfile")
    entries += [match[1] for line in commands.values() if (match := re.search(r"gunicorn (\S+)", line))]
    assert len(entries) > len(plan.servers), "the Procfile starts a server, too"
    for entry in entries:
        module = folder / (entry.partition(":")[0].replace(".", "/") + ".py")
        assert module.is_file(), f"{entry}: no {module}"
    for line in plan.app.prepare:
        command = line.split()[2]
        own = any((path.name, path.parent.name) == (f"{command}.py", "commands") for path in files_of(name))
        assert own or command == "migrate", line


def test_as_handed_over_all_routes_of_feeds_go_to_the_sync_workers_and_the_readme_s_answer_is_a_plan() -> None:
    plan = read_file(WORKLOADS / "feeds")
    assert plan.proxy is not None
    assert {route.to for route in plan.proxy.routes} == {"app"}
    conf = (WORKLOADS / "feeds" / "nginx.conf").read_text(encoding="utf-8")
    assert set(re.findall(r"proxy_pass http://(\w+);", conf)) == {"app"}
    assert set(re.findall(r"upstream (\w+) ", conf)) == {server.name for server in plan.servers}
    routes = [
        {"path": "/check_feed", "to": "threads"},
        {"path": "/stream_feed", "to": "async", "buffering": False},
    ]
    solved = read_document(
        plan.document | {"proxy": plan.document["proxy"] | {"route": routes}}, plan.source, Path(plan.app.folder)
    )
    assert solved.proxy is not None
    assert [route.to for route in solved.proxy.routes] == ["threads", "async"]


@pytest.mark.parametrize("name", NAMES)
def test_every_change_that_its_readme_tries_is_one_that_its_plan_takes(name: str) -> None:
    text = (WORKLOADS / name / "README.md").read_text(encoding="utf-8")
    sets = re.findall(r"--set (\S+)", text)
    assert sets, "the README names something to try"
    for each in sets:
        read_file(WORKLOADS / name, [each])


def test_a_visit_to_landing_with_its_static_files_asks_for_files_that_are_there() -> None:
    folder = WORKLOADS / "landing"
    toml = (folder / "prony.toml").read_text(encoding="utf-8")
    paths = re.findall(r'# path = "/static/(\S+)"', toml)
    files = [folder / "landing" / "static" / path for path in paths]
    assert sorted(files) == sorted((folder / "landing" / "static" / "landing").iterdir())
    assert 250_000 < sum(path.stat().st_size for path in files) < 350_000
