"""A recording's plan as it can run again: what was never stored comes from today's prony.toml, or is told to lack."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest

from prony.errors import PlanError
from prony.plan import Plan, read_document
from prony.plan.restored import restored

URL = "postgres://me:secret@127.0.0.1/shop"
LOGIN = {"page": "/login/", "proof": "/me/", "fields": {"user": "anna", "password": "secret"}}


def a_plan(folder: Path, **tables: Any) -> Plan:
    app = {"entry": "shop:app", "python": sys.executable, "env": {"KEY": "hunter2", "DEBUG": "0"}}
    document = {"app": app | tables.pop("app", {}), **tables}
    return read_document(document, str(folder / "prony.toml"), folder)


def test_values_that_were_never_stored_are_todays_and_all_else_is_the_recordings(tmp_path: Path) -> None:
    traffic = {"headers": {"X-Key": "hunter2"}}
    stores = {"database": {"kind": "url", "url": URL, "env": {"HOST": "{host}", "PASSWORD": "{password}"}}}
    before = a_plan(tmp_path, server={"workers": 3}, traffic=traffic, stores=stores, login=LOGIN)
    stored = before.redacted()
    assert "hunter2" not in repr(stored)
    assert "secret" not in repr(stored)
    now = a_plan(
        tmp_path,
        app={"env": {"KEY": "hunter3", "DEBUG": "0", "NEW": "1"}},
        server={"workers": 9},
        traffic=traffic,
        stores=stores,
        login=LOGIN,
    )
    found = restored(stored, now, "recording 3")
    assert found.app.env == {"KEY": "hunter3", "DEBUG": "0"}
    assert found.server == before.server
    assert found.stores == before.stores
    assert found.traffic == before.traffic
    assert found.login == before.login


def test_what_commands_set_is_not_stored_and_comes_from_today(tmp_path: Path) -> None:
    prepare = ["PASSWORD=hunter2 KEY='a b' python manage.py createsuperuser --noinput", "python manage.py migrate"]
    tables = {"app": {"prepare": prepare}, "workers": {"mail": {"command": "TOKEN=hunter2 python mail.py --many"}}}
    before = a_plan(tmp_path, **copy.deepcopy(tables))
    stored = before.redacted()
    assert "hunter2" not in repr(stored)
    assert "a b" not in repr(stored)
    assert stored.app.prepare[0].endswith(" python manage.py createsuperuser --noinput")
    assert stored.app.prepare[1] == prepare[1]
    found = restored(stored, a_plan(tmp_path, **copy.deepcopy(tables)), "recording 3")
    assert (found.app.prepare, found.workers) == (before.app.prepare, before.workers)
    other = a_plan(tmp_path, app={"prepare": ["python manage.py migrate"]}, workers=tables["workers"])
    with pytest.raises(PlanError, match=r"\[app\] prepare differ from what recording 3 was measured with"):
        restored(stored, other, "recording 3")


@pytest.mark.parametrize(
    ("tables", "now", "said"),
    [
        ({}, {"app": {"env": {"DEBUG": "0"}}}, r"\[app\] env: found no KEY, which recording 3 was measured with"),
        ({"traffic": {"headers": {"X-Key": "1"}}}, {}, r"\[traffic\] headers: found no X-Key"),
        ({"stores": {"database": {"kind": "url", "url": URL}}}, {}, r"\[stores.database\]: found none"),
        (
            {"stores": {"database": {"kind": "url", "url": URL}}},
            {"stores": {"database": {"kind": "sqlite"}}},
            r"\[stores.database\]: found sqlite; recording 3 was measured with url",
        ),
        ({"login": LOGIN}, {}, r"\[login\]: found none"),
    ],
)
def test_a_value_that_prony_toml_no_longer_says_is_an_error(
    tables: dict[str, Any], now: dict[str, Any], said: str, tmp_path: Path
) -> None:
    stored = a_plan(tmp_path, **tables).redacted()
    with pytest.raises(PlanError, match=said):
        restored(stored, a_plan(tmp_path, **now), "recording 3")


def test_a_folder_or_interpreter_that_is_gone_is_an_error_that_says_what_to_name_instead(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    stored = a_plan(tmp_path / "gone").redacted()
    (tmp_path / "gone").rmdir()
    with pytest.raises(PlanError, match=r"app's folder .*gone is gone") as found:
        restored(stored, a_plan(tmp_path), "recording 3")
    assert "git:REVISION" in found.value.hint
