"""The [login] table becomes a Login, or one paragraph on what is wrong with it, in which no secret is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prony.errors import PlanError
from prony.plan import Login, keys, read_document
from prony.plan.login import ALL

FORM = {"page": "/login/", "fields": {"username": "user{n}", "password": "hunter2"}, "proof": "/account/"}
TOKEN = {**FORM, "kind": "token"}
BASIC = {"kind": "basic", "user": "user{n}", "password": "hunter2-{n}", "proof": "/"}
MINTED = {"kind": "minted", "proof": "/"}


def login_of(table: Any, folder: Path = Path("/nowhere")) -> Login:
    plan = read_document({"app": {"entry": "shop:app"}, "login": table}, "prony.toml", folder)
    assert plan.login is not None
    return plan.login


def refused(table: Any, folder: Path = Path("/nowhere")) -> str:
    with pytest.raises(PlanError) as caught:
        login_of(table, folder)
    text = caught.value.paragraph()
    assert "[login]" in text
    assert "hunter2" not in text
    return text


def test_three_lines_are_a_login_by_form() -> None:
    login = login_of(FORM)
    assert (login.kind, login.users, login.rows) == ("form", 1, ())
    assert login.filled(7, login.fields["username"]) == "user7"
    assert read_document({"app": {"entry": "shop:app"}}, "prony.toml", Path("/nowhere")).login is None


def test_a_token_goes_as_bearer_into_authorization_and_bare_into_other_fields() -> None:
    assert (login_of(TOKEN).header, login_of(TOKEN).scheme) == ("Authorization", "Bearer")
    assert login_of({**TOKEN, "header": "X-Token"}).scheme == ""
    assert login_of({**TOKEN, "header": "X-Token", "scheme": "Key"}).scheme == "Key"


def test_the_columns_of_a_file_fill_the_fields(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text('\ufeffmail,word\na@b, "x,y"\n\nc@d,é\n', encoding="utf-8")
    fields = {"email": "{mail}", "password": "{word}{n}{{word}}"}
    login = login_of({**FORM, "fields": fields, "users": "users.csv"}, tmp_path)
    assert login.users == 2
    assert [login.filled(1, text) for text in fields.values()] == ["a@b", "x,y1{word}"]
    assert [login.filled(2, text) for text in fields.values()] == ["c@d", "é2{word}"]


def test_a_session_keeps_its_numbers_and_makes_some() -> None:
    session = {"user_id": "{n:d}", "_user_id": "{n}", "_fresh": True, "role": 3, "name": "user{n}"}
    found = login_of({**MINTED, "session": session, "users": 9}).filled_session(9)
    assert found == {"user_id": 9, "_user_id": "9", "_fresh": True, "role": 3, "name": "user9"}
    assert login_of({**MINTED, "users": "all"}).users == ALL


def test_what_visitors_log_in_with_is_not_stored(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("word\nhunter2\n", encoding="utf-8")
    tables = (
        {**FORM, "fields": {"username": "hunter2", "password": "{word}"}, "users": "users.csv"},
        {**BASIC, "user": "hunter2"},
        {**MINTED, "session": {"key": "hunter2"}},
    )
    for table in tables:
        document = {"app": {"entry": "shop:app"}, "login": table}
        plan = read_document(document, "prony.toml", tmp_path)
        stored = msgspec.json.encode(plan.redacted())
        assert b"hunter2" not in stored
        assert plan.login is not None
        assert msgspec.json.decode(stored, type=type(plan)) == plan.redacted()


MISTAKES = [
    (3, "login: found 3; a table [login] is allowed"),
    ({}, "found neither kind nor page"),
    ({"page": "/login/"}, "[login] proof is missing; a text is needed: A page that only the logged-in see"),
    ({"page": "/login/", "proof": "/"}, "[login] fields is missing"),
    ({**FORM, "proff": "/"}, "proff: found an unknown key"),
    ({**FORM, "kind": "magic"}, 'kind: found "magic"; allowed: one of form, token, basic, minted'),
    ({**FORM, "page": "login"}, 'page: found "login"; allowed: a path'),
    ({**FORM, "proof": "//elsewhere.example/"}, "proof: found"),
    ({**FORM, "token": "x"}, 'token: found it with kind = "form", which takes page, fields, form;'),
    ({**MINTED, "page": "/login/"}, 'page: found it with kind = "minted"'),
    ({"kind": "basic", "user": "me", "proof": "/"}, "[login] password is missing"),
    ({**BASIC, "password": ["hunter2"]}, "password: found a list; allowed: a text"),
    ({**FORM, "fields": ["hunter2"]}, "fields: found a list; allowed: a table of texts"),
    ({**FORM, "fields": {"a": "{nn} hunter2"}}, "fields.a: found the placeholder {nn}; allowed: {n} (the"),
    ({**BASIC, "user": "{name}"}, "user: found the placeholder {name}"),
    ({**MINTED, "session": {"a": "{name:d}"}}, "session.a: found the placeholder {name}"),
    ({**TOKEN, "header": "Bad Name"}, 'header: found "Bad Name"'),
    ({**TOKEN, "header": "Cookie"}, 'header: found "Cookie"'),
    ({**FORM, "users": 0}, "users: found 0; allowed: a whole number from 1 to 1000"),
    ({**FORM, "users": 1001}, "users: found 1001"),
    ({**FORM, "users": True}, "users: found true"),
    ({**FORM, "users": "all"}, 'users: found "all"; allowed'),
    ({**MINTED, "users": "all", "session": {"a": 1}}, 'users: found "all" beside session'),
    ({**FORM, "users": "nowhere.csv"}, "users: nowhere.csv cannot be read: No such file or directory"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "said"), MISTAKES)
def test_each_mistake_is_said(table: Any, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        login_of(table)
    assert said in caught.value.message
    assert "hunter2" not in caught.value.paragraph()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the first line names no columns"),
        ("a,a\n1,hunter2\n", "the first line names no columns"),
        ("a b\nhunter2\n", "the first line names no columns"),
        ("a,b\n", "found 0 users; allowed: 1 to 1000"),
        ("a,b\n1,2\nhunter2\n", "its line 3 has 1 values; allowed: 2"),
        ("a\n" + "hunter2\n" * 1001, "found 1001 users"),
        ('a\n"hunter2\n', "is no CSV file"),
        ("password\n" + "x" * 1_000_001, "has over 1000000 bytes"),
    ],
)
def test_each_mistake_in_a_file_of_users_is_said_and_no_line_shown(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "users.csv").write_text(text, encoding="utf-8")
    assert said in refused({**FORM, "users": "users.csv"}, tmp_path)


def test_a_column_that_should_hold_numbers_is_looked_at_before_anything_is_started(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("id\n1\nhunter2\n", encoding="utf-8")
    table = {**MINTED, "session": {"user_id": "{id:d}"}, "users": "users.csv"}
    assert "a value that is no number" in refused(table, tmp_path)


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["/", "{n}", "all", "form"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=3)
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([FORM, TOKEN, BASIC, MINTED]),
    st.dictionaries(st.sampled_from([*(key.name for key in keys.LOGIN), "users"]), VALUES, max_size=3),
)
def test_any_table_is_a_login_or_a_plan_error(table: dict[str, Any], changes: dict[str, Any]) -> None:
    try:
        login = login_of({**table, **changes})
    except PlanError:
        return
    for text in (*login.fields.values(), login.user, login.password):
        login.filled(1, text)
    login.filled_session(1)
