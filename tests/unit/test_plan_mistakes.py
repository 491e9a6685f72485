"""Every kind of mistake in a prony.toml is one paragraph: the file, the key, what was found, what is allowed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from prony.errors import PlanError
from prony.plan import read_document, read_file

ENTRY = '[app]\nentry = "shop:app"\n'


def wrong(folder: Path, text: str, *sets: str) -> str:
    """The paragraph that this prony.toml gives."""
    path = folder / "prony.toml"
    path.write_text(text, encoding="utf-8")
    return refused(path, *sets)


def refused(path: Path, *sets: str) -> str:
    with pytest.raises(PlanError) as caught:
        read_file(path, sets)
    assert caught.value.exit_code == 2
    message = caught.value.message
    assert "\n" not in message, "one paragraph"
    assert len(message) < 700
    assert message.endswith((".", "?"))
    return caught.value.paragraph()


REQUEST = "[[traffic.request]]\n"
MISTAKES = [
    # text, then what the paragraph must hold besides the file's name
    (
        "sever = 1\n" + ENTRY,
        "sever: found an unknown key; allowed: app, stores, pooler, server, servers, proxy,",
        "server?",
    ),
    (ENTRY + "[servr]\n", "servr: found an unknown key", "Did you mean server?"),
    (ENTRY + "[server]\nworker = 3", "[server] worker: found an unknown key", "Did you mean workers?"),
    (ENTRY + "[stores.databse]\n", "[stores.databse] kind is missing", "Did you mean database?"),
    (ENTRY + "[stores.database]\nmax_conections = 3", "[stores.database] max_conections", "mean max_connections?"),
    (ENTRY + "[traffic]\nrps = 3", "[traffic] rps: found an unknown key", "allowed: arrivals, rate, users"),
    (ENTRY + REQUEST + 'path = "/"\nwieght = 3', "[traffic.request] wieght", "Did you mean weight?"),
    (ENTRY + REQUEST + 'path = "/"\nexpect = { code = 1 }', "[traffic.request.expect] code", "status, contains"),
    (ENTRY + '[limits]\np98 = "1s"', "[limits] p98: found an unknown key", "Did you mean p9"),
    # missing, malformed
    ("", "[app] entry is missing", '"module:callable"'),
    ("[app]\n", "[app] entry is missing", '"module:callable"'),
    ("[app]\nentry = 3", "[app] entry: found 3", "allowed: a text"),
    ('[app]\nentry = " "', '[app] entry: found " "', "allowed: a text"),
    ('[app]\nentry = ":app"', '[app] entry: found ":app"', '"config.wsgi:application"'),
    ('[app]\nentry = "shop:"', '[app] entry: found "shop:"', '"module:callable"'),
    ('[app]\nentry = "shop/wsgi.py:app"', '[app] entry: found "shop/wsgi.py:app"', '"module:callable"'),
    (ENTRY + 'python = "no/such/python"', '[app] python: found "no/such/python"', "no interpreter is there"),
    # wrong types
    ('app = "shop:app"', 'app: found "shop:app"', "a table [app] is allowed"),
    ("server = 3\n" + ENTRY, "server: found 3", "a table [server] is allowed"),
    ("[stores]\ndatabase = true\n" + ENTRY, "stores.database: found true", "a table [stores.database] is allowed"),
    (ENTRY + "prepare = 'x'", '[app] prepare: found "x"', "a list of texts"),
    (ENTRY + "prepare = [1]", "[app] prepare: found [1]", "a list of texts"),
    (ENTRY + "env = []", "[app] env: found a list", "a table of texts"),
    (ENTRY + "env = { A = [] }", "[app] env: found a dict", "a table of texts"),
    (ENTRY + "egress = 'x'", '[app] egress: found "x"', "a list of texts"),
    (ENTRY + "egress = ['x:65536']", '[app] egress: found "x:65536"', 'hosts such as "api.example.com"'),
    (ENTRY + "[server]\nworkers = '3'", '[server] workers: found "3"', "a whole number from 1 to 64"),
    (ENTRY + "[server]\nworkers = true", "[server] workers: found true", "a whole number from 1 to 64"),
    (ENTRY + "[server]\nworkers = 1.5", "[server] workers: found 1.5", "a whole number from 1 to 64"),
    (ENTRY + "[server]\npreload = 1", "[server] preload: found 1", "true or false"),
    (
        ENTRY + "[server]\nkind = 'apache'",
        '[server] kind: found "apache"',
        "one of gunicorn, uvicorn, granian, uwsgi, waitress",
    ),
    (ENTRY + "[server]\nworker_class = 'tornado'", '[server] worker_class: found "tornado"', "sync, gthread, gevent"),
    (ENTRY + "[traffic]\nduration = 10", "[traffic] duration: found 10", 'a duration such as "250ms", "1s" or "5m"'),
    (ENTRY + "[traffic]\nduration = 1979-05-27", "[traffic] duration: found 1979-05-27", "a duration such as"),
    (ENTRY + "[traffic]\nrate = nan", "[traffic] rate: found nan", "a number from 0.1 to 200000"),
    (ENTRY + "[traffic]\nrate = inf", "[traffic] rate: found inf", "a number from 0.1 to 200000"),
    (ENTRY + "[traffic]\nrequest = 3", "[traffic] request: found 3", "tables [[traffic.request]]"),
    (ENTRY + "[traffic.request]\npath = '/'", "[traffic] request: found", "tables [[traffic.request]]"),
    (ENTRY + "[traffic]\nrequest = [1]", "[traffic] request: found [1]", "tables [[traffic.request]]"),
    (ENTRY + "[limits]\nerrors = 'few'", '[limits] errors: found "few"', 'a share such as "1%" or 0.01'),
    # out of range
    (ENTRY + "[server]\nworkers = 0", "[server] workers: found 0", "a whole number from 1 to 64"),
    (ENTRY + "[server]\nworkers = 65", "[server] workers: found 65", "--set server.workers=1"),
    (ENTRY + "[stores.database]\nmax_connections = 9", "max_connections: found 9", "from 10 to 5000"),
    (ENTRY + "[stores.database]\nround_trip = '2s'", 'round_trip: found "2s"', "from 0ms to 1s"),
    (ENTRY + "[traffic]\nduration = '100ms'", '[traffic] duration: found "100ms"', "from 500ms to 86400s"),
    (ENTRY + "[traffic]\nusers = 20001", "[traffic] users: found 20001", "from 1 to 20000"),
    (ENTRY + "[traffic]\nseed = -1", "[traffic] seed: found -1", "a whole number from 0"),
    (ENTRY + "[limits]\nerrors = 1.5", "[limits] errors: found 1.5", "a share"),
    (ENTRY + "[limits]\nerrors = '101%'", '[limits] errors: found "101%"', "a share"),
    (ENTRY + "[limits]\np99 = '0s'", '[limits] p99: found "0s"', "from 1ms to 600s"),
    (ENTRY + REQUEST + "path = '/'\nweight = 0", "[traffic.request] weight: found 0", "a number from"),
    # requests
    (ENTRY + REQUEST, "[traffic.request] path is missing", "beginning with /"),
    (ENTRY + REQUEST + "path = 'about'", '[[traffic.request]] path: found "about"', "begins with /"),
    (ENTRY + REQUEST + "path = '/a b'", '[[traffic.request]] path: found "/a b"', "no spaces"),
    (ENTRY + REQUEST + "path = '/ü'", '[[traffic.request]] path: found "/ü"', "must encode"),
    (ENTRY + REQUEST + "path = '/'\nmethod = 'POST'", '[traffic.request] method: found "POST"', "one of GET, HEAD"),
    (ENTRY + REQUEST + "path = '/'\nexpect = 200", "expect: found 200", "status = 200"),
    (ENTRY + REQUEST + "path = '/'\nexpect = { status = 99 }", "expect.status: found 99", "from 100 to 599"),
    (ENTRY + REQUEST + "path = '/'\nexpect = { status = '200' }", 'expect.status: found "200"', "from 100 to 599"),
    (ENTRY + REQUEST + "path = '/'\nexpect = { status = [] }", "expect.status: found []", "or a list"),
    (ENTRY + REQUEST + "path = '/'\nexpect = { contains = '' }", 'expect.contains: found ""', "a text"),
    (ENTRY + REQUEST + "path = '/'\nexpect = { type = 'html' }", 'expect.type: found "html"', '"text/html"'),
    (ENTRY + REQUEST + "path = '/'\nexpect = { header = 'X' }", 'expect.header: found "X"', "a table of fields"),
    (ENTRY + REQUEST + "path = '/'\nexpect = { header = { 'a b' = 'c' } }", "expect.header: found a table", "X-Cache"),
    (
        ENTRY + REQUEST + "path = '/'\nexpect = { matches = '(' }",
        'expect.matches: found "("',
        "unterminated subpattern",
    ),
    (ENTRY + REQUEST + "path = '/'\nexpect = { json = {} }", "expect.json: found a table", "a table of paths"),
    (ENTRY + REQUEST + "path = '/'\nexpect = { json = { a = [] } }", "expect.json: found a table", "a table of paths"),
    (ENTRY + REQUEST + "path = '/'\nexpect = { min_bytes = -1 }", "expect.min_bytes: found -1", '"2K"'),
    (ENTRY + REQUEST + "path = '/'\nexpect = { min_bytes = 2, max_bytes = 1 }", "min_bytes = 2 above", "max_bytes = 1"),
    (ENTRY + REQUEST + "path = '/'\nexpect = { sha256 = 'ab' }", 'expect.sha256: found "ab"', "64 hexadecimal"),
    (
        ENTRY + REQUEST + "path = '/'\nmethod = 'HEAD'\nexpect = { json = { a = 1 } }",
        "expect.json: found it on a HEAD request",
        "allowed there: status, type, header",
    ),
    (ENTRY + REQUEST + "path = '/'\nanonymous = 1", "[traffic.request] anonymous: found 1", "true or false"),
    (ENTRY + "[traffic]\nrequest = []", "[[traffic.request]]: found 0", "1 to 1000"),
    (ENTRY + (REQUEST + "path = '/'\n") * 1001, "[[traffic.request]]: found 1001", "1 to 1000"),
    (ENTRY + "[traffic]\nrate = 5\nusers = 5", "[traffic]: found both rate and users", "rate (open loop)"),
    # knobs of another server
    (ENTRY + "[server]\nkind = 'waitress'\nworkers = 3", "[server] workers: waitress has no such knob", "threads"),
    (ENTRY + "[server]\nkind = 'waitress'\nworker_class = 'sync'", "[server] worker_class: found an unknown", "kind"),
    (ENTRY + "[server]\nthreads = 3", "[server] threads: gunicorn sync has no such knob", "graceful_timeout"),
    (ENTRY + "[server]\nworker_class = 'gevent'\nthreads = 3", "gunicorn gevent has no such knob", "connections"),
    # not TOML
    ("[app\nentry = 3", "is not TOML", "line 1"),
    (ENTRY + ENTRY, "is not TOML", "line 3"),
    (ENTRY + "x = " + "[" * 30_000, "is not TOML", ""),
]


@pytest.mark.parametrize(("text", "found", "allowed"), MISTAKES, ids=[found[:60] for _, found, _ in MISTAKES])
def test_a_mistake_is_named_with_what_is_allowed(tmp_path: Path, text: str, found: str, allowed: str) -> None:
    paragraph = wrong(tmp_path, text)
    assert paragraph.startswith(str(tmp_path / "prony.toml"))
    assert found in paragraph
    assert allowed in paragraph


@pytest.mark.parametrize(
    ("sets", "found"),
    [
        (["server.workers"], "--set server.workers: found no NAME=VALUE"),
        (["=5"], "--set =5: found no NAME=VALUE"),
        ([""], "--set : found no NAME=VALUE"),
        (["app.entry.x=1"], "--set app.entry.x: entry is no table"),
        (["traffic.request.path=/x"], "--set traffic.request.path: request is no table"),
        (["server.workers=many"], '[server] workers: found "many"; allowed: a whole number from 1 to 64'),
        (["server.workers="], '[server] workers: found ""; allowed: a whole number from 1 to 64'),
        (["server.wrkers=3"], "Did you mean workers?"),
        (["server.threads=3"], "[server] threads: gunicorn sync has no such knob"),
        (["server.kind=apache"], "one of gunicorn, uvicorn, granian, uwsgi, waitress"),
        (["nonsense=1"], "nonsense: found an unknown key"),
        (["..=1"], "found an unknown key"),
        (["traffic.rate=5", "traffic.users=5"], "found both rate and users"),
    ],
)
def test_a_mistake_in_set_is_named_too(tmp_path: Path, sets: list[str], found: str) -> None:
    text = ENTRY + "[[traffic.request]]\npath = '/'\n"
    assert found in wrong(tmp_path, text, *sets)


def test_a_missing_file_names_the_next_command(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "prony.toml"):
        paragraph = refused(path)
        assert paragraph.startswith(f"{tmp_path / 'prony.toml'}: there is no such file.")
        assert "prony init" in paragraph


@pytest.mark.parametrize("raw", ["[app]\n".encode("utf-16"), b'[app]\nentry = "\xe9:app"\n', b"\0\0\0\0"])
def test_a_file_in_another_encoding_is_not_toml(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "prony.toml").write_bytes(raw)
    assert "is not TOML" in refused(tmp_path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    assert "1000012 bytes; a prony.toml may have 1000000" in wrong(tmp_path, "#" + "x" * 1_000_011)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "prony.toml").write_text(ENTRY, encoding="utf-8")
    (tmp_path / "prony.toml").chmod(0)
    assert "cannot be read" in refused(tmp_path)


HOLES = [
    pytest.param("[server]\nworkers = " + "9" * 5000, (), id="tomllib passes on int()'s ValueError past 4300 digits"),
    pytest.param("", ("server.workers=" + "9" * 5000,), id="the same in --set"),
    pytest.param("[server]\nworkers = 0x" + "f" * 5000, (), id="_shown: str() of such a number"),
    pytest.param("env = { X = 0x" + "f" * 5000 + " }", (), id="values._table: the same"),
    pytest.param(REQUEST + "path = '/'\nweight = 1" + "0" * 400, (), id="values._number: float() overflows"),
    pytest.param("x" + ".a" * 5000 + " = 1", (), id="read_document: deepcopy of deep dotted keys"),
    pytest.param("python = '" + "a" * 5000 + "'", (), id="_app: Path.exists() of a name too long"),
    pytest.param("python = '~nosuchuser/python'", (), id="_app: expanduser() of an unknown user"),
    pytest.param("", ("server.kind=[1]",), id="_put: 'value in {kind, cls}' hashes it"),
    pytest.param("", ("app.entry=shop:\udcff",), id="_text: undecodable arguments pass, and break JSON"),
    pytest.param('"a\\nb" = 1', (), id="_known: a key with a line break breaks the paragraph"),
    pytest.param(REQUEST + 'path = "/\\r\\nX: y"', (), id="_shown: a value with a line break does so too"),
    pytest.param('"' + "x" * 1000 + '" = 1', (), id="_known: a long key is shown in full"),
    pytest.param("python = '.'", (), id="_app: a folder passes for an interpreter"),
    pytest.param("", ("app.entry=shop:a b:c",), id="_app: the attribute of an entry is not looked at"),
    pytest.param("env = { '' = 'x' }", (), id="values._table: a variable without a name"),
    pytest.param("[traffic]\nrate = 200000\nduration = '24h'", (), id="_traffic: more requests than LoadSpec takes"),
    pytest.param("", ("server.workers=2\nx=3",), id="parse_sets: more than one TOML line"),
]


@pytest.mark.parametrize(("text", "sets"), HOLES)
def test_what_else_is_wrong_is_a_plan_error_as_well(tmp_path: Path, text: str, sets: tuple[str, ...]) -> None:
    wrong(tmp_path, ENTRY + text, *sets)


def test_a_path_too_long_for_the_system_is_a_plan_error(tmp_path: Path) -> None:
    refused(tmp_path / ("a" * 5000))


@pytest.mark.parametrize("value", [[1], {"a": 1}])
def test_a_list_for_a_servers_kind_is_a_plan_error(value: Any) -> None:
    with pytest.raises(PlanError):
        read_document({"app": {"entry": "a:b"}}, "prony.toml", Path("/nowhere"), {"server.kind": value})
