"""How each app server is run: every knob reaches its command line, and an impossible pair is refused with a reason."""

from __future__ import annotations

import ast
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from prony.errors import PlanError
from prony.knobs import Knob
from prony.knobs.server import INTERFACES, KNOBS
from prony.plan import Server
from prony.stack import servers

SERVERS = list(KNOBS)
OF_EACH_SERVER = pytest.mark.parametrize("of", SERVERS, ids=lambda of: " ".join(of).strip())
OF_EACH_KNOB = pytest.mark.parametrize(
    ("of", "knob"),
    [(of, knob) for of, knobs in KNOBS.items() for knob in knobs],
    ids=lambda each: each.key if isinstance(each, Knob) else " ".join(each).strip(),
)


def server_of(of: tuple[str, str], **given: Any) -> Server:
    knobs = {knob.key: knob.default for knob in KNOBS[of]}
    assert given.keys() <= knobs.keys()
    return Server(kind=of[0], worker_class=of[1], knobs=knobs | given)


def launch_of(server: Server, scratch: Path, **other: Any) -> servers.Launch:
    interface = INTERFACES[server.kind, server.worker_class][0]
    python = "/venv/bin/python"
    return servers.Launch(python=python, port=8123, server=server, interface=interface, scratch=scratch, **other)


def command_of(server: Server, scratch: Path) -> list[str]:
    return servers.command(launch_of(server, scratch))


def environment_of(of: tuple[str, str], scratch: Path, **other: Any) -> dict[str, str]:
    return servers.environment(launch_of(server_of(of), scratch, **other))


def another(knob: Knob) -> Any:
    """A value that the knob takes and that is not its default."""
    if knob.kind == "flag":
        return not knob.default
    if knob.kind == "choice":
        return next(value for value in knob.choices if value != knob.default)
    assert knob.high is not None
    return knob.default + 7 if knob.default + 7 <= knob.high else knob.default - 7


@OF_EACH_KNOB
def test_a_knob_that_is_changed_is_passed_on(of: tuple[str, str], knob: Knob, tmp_path: Path) -> None:
    value = another(knob)
    assert knob.read(value) == value
    before = command_of(server_of(of), tmp_path)
    after = command_of(server_of(of, **{knob.key: value}), tmp_path)
    added = [word for word in after if word not in before]
    assert len(added) == 1, "one word of the command says it"
    assert added[0].startswith(knob.flag)
    if knob.kind != "flag":
        assert re.search(rf"[=:]{value}$", added[0])
    line = servers.procfile_line(server_of(of, **{knob.key: value}), "shop:app", INTERFACES[of][0])
    assert added[0] in line or (knob.key == "backlog" and added[0].rpartition(":")[2] in line)


@OF_EACH_SERVER
def test_no_option_is_given_twice_and_it_listens_on_loopback_only(of: tuple[str, str], tmp_path: Path) -> None:
    changed = server_of(of, **{knob.key: another(knob) for knob in KNOBS[of]})
    for server in (server_of(of), changed):
        words = command_of(server, tmp_path)
        names = [word.partition("=")[0] for word in words if word.startswith("--")]
        assert len(names) == len(set(names))
        assert words[0] == "/venv/bin/python"
        assert any("8123" in word for word in words)
        assert sum("127.0.0.1" in word for word in words) == 1
        assert not any("0.0.0.0" in word for word in words)  # noqa: S104 - that it is not there


@OF_EACH_SERVER
def test_the_gauge_is_what_a_server_loads(of: tuple[str, str], tmp_path: Path) -> None:
    words = command_of(server_of(of), tmp_path)
    if of[0] == "runserver":
        assert environment_of(of, tmp_path) == {"PRONY_GAUGE_RUNSERVER": "1"}
        assert words[1:3] == ["manage.py", "runserver"]
        assert "--noreload" in words
    else:
        assert words[-1].endswith("prony_gauge.entry:application")
        assert "PRONY_GAUGE_RUNSERVER" not in environment_of(of, tmp_path)


@OF_EACH_SERVER
def test_a_zero_that_stands_for_none_is_left_out(of: tuple[str, str], tmp_path: Path) -> None:
    for knob in KNOBS[of]:
        if knob.kind == "integer" and knob.default == 0:
            assert "(0: " in knob.why or knob.key in {"max_requests_jitter", "max_requests_delta"}
            assert not any(word.startswith(f"{knob.flag}=") for word in command_of(server_of(of), tmp_path))


def test_a_zero_that_is_a_value_is_given(tmp_path: Path) -> None:
    assert "--keep-alive=0" in command_of(server_of(("gunicorn", "gthread"), keepalive=0), tmp_path)


def test_granian_tells_of_itself_where_its_version_can(tmp_path: Path) -> None:
    granian = ("granian", "wsgi")
    assert environment_of(granian, tmp_path) == {}
    told = environment_of(granian, tmp_path, metrics_port=9123)
    assert (told["GRANIAN_METRICS_ENABLED"], told["GRANIAN_METRICS_PORT"]) == ("true", "9123")
    assert told["GRANIAN_METRICS_ADDRESS"] == "127.0.0.1"
    versions = {"2.6.1": False, "2.7.0": True, "2.10.1": True, "3.0": True, "": False}
    assert {each: servers.tells_at_a_port(server_of(granian), {"granian": each}) for each in versions} == versions
    assert not servers.tells_at_a_port(server_of(granian), {})
    assert not servers.tells_at_a_port(server_of(("gunicorn", "sync")), {"gunicorn": "99.0"})


def test_gunicorn_reads_a_configuration_of_ours_and_not_the_folder_s_own(tmp_path: Path) -> None:
    words = command_of(server_of(("gunicorn", "sync")), tmp_path)
    config = next(Path(word.partition("=")[2]) for word in words if word.startswith("--config="))
    assert config.parent == tmp_path
    names = {
        ast.unparse(node.targets[0]) for node in ast.parse(config.read_text()).body if isinstance(node, ast.Assign)
    }
    assert names == {"control_socket_disable"}, "as an option it would end a gunicorn older than 25.1"
    assert environment_of(("gunicorn", "sync"), tmp_path) == {"GUNICORN_CMD_ARGS": ""}


@pytest.mark.parametrize(
    ("of", "given", "expected"),
    [
        (("gunicorn", "uvicorn"), {}, "--worker-class=uvicorn_worker.UvicornWorker"),
        (("gunicorn", "aiohttp"), {}, "--worker-class=aiohttp.GunicornWebWorker"),
        (("granian", "asgi"), {}, "--interface=asgi"),
        (("granian", "wsgi"), {"http1_keep_alive": False}, "--no-http1-keep-alive"),
        (("uwsgi", "threads"), {}, "--http-socket=127.0.0.1:8123"),
        (("uwsgi", "threads"), {"preload": False}, "--lazy-apps"),
        (("uwsgi", "gevent"), {"worker_connections": 9}, "--gevent=9"),
        (("daphne", ""), {"backlog": 9}, "--endpoint=tcp:port=8123:interface=127.0.0.1:backlog=9"),
        (("hypercorn", ""), {"loop": "uvloop"}, "--worker-class=uvloop"),
        (("runserver", ""), {"nothreading": True}, "--nothreading"),
        (("uvicorn", ""), {}, "--no-access-log"),
    ],
)
def test_what_only_one_server_has(of: tuple[str, str], given: dict[str, Any], expected: str, tmp_path: Path) -> None:
    assert expected in command_of(server_of(of, **given), tmp_path)


def test_hypercorn_is_told_how_to_call_the_app(tmp_path: Path) -> None:
    for interface in ("wsgi", "asgi"):
        launch = servers.Launch(
            python="p", port=1, server=server_of(("hypercorn", "")), interface=interface, scratch=tmp_path
        )
        assert servers.command(launch)[-1] == f"{interface}:prony_gauge.entry:application"


@OF_EACH_SERVER
def test_needs_are_pinned_for_every_interpreter(of: tuple[str, str]) -> None:
    server = server_of(of)
    names = servers.needs(server)
    assert names
    assert len(names) == len(set(names))
    for version in ((3, 9), (3, 10), (3, 13)):
        if of == ("gunicorn", "asgi") and version < (3, 10):
            continue
        lines = servers.requirements(server, version)
        assert [re.split("[=>]", line)[0] for line in lines] == list(names)


def test_the_newest_versions_for_python_3_9_are_other_ones() -> None:
    server = server_of(("gunicorn", "gevent"))
    assert servers.requirements(server, (3, 9)) == ("gunicorn==23.0.*", "gevent>=24.2", "packaging")
    assert servers.requirements(server, (3, 11))[0] == "gunicorn==27.0.*"
    with pytest.raises(PlanError, match="needs Python 3") as raised:
        servers.requirements(server_of(("gunicorn", "asgi")), (3, 9))
    assert raised.value.hint == "--set server.worker_class=uvicorn"


@pytest.mark.parametrize(
    ("of", "given", "expected"),
    [
        (("gunicorn", "asgi"), {"asgi_loop": "uvloop"}, ("gunicorn", "uvloop")),
        (("gunicorn", "uvicorn"), {}, ("gunicorn", "uvicorn", "uvicorn-worker")),
        (("uvicorn", ""), {"loop": "uvloop", "http": "httptools"}, ("uvicorn", "uvloop", "httptools")),
        (("uvicorn", ""), {}, ("uvicorn",)),
        (("granian", "asgi"), {"loop": "uvloop"}, ("granian", "uvloop")),
        (("hypercorn", ""), {"loop": "uvloop"}, ("hypercorn", "uvloop")),
        (("uwsgi", "gevent"), {}, ("pyuwsgi", "gevent")),
    ],
)
def test_a_choice_brings_what_it_needs(of: tuple[str, str], given: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert servers.needs(server_of(of, **given)) == expected


@OF_EACH_SERVER
def test_what_a_server_cannot_serve_is_refused_with_the_reason(of: tuple[str, str]) -> None:
    for interface, name in (("wsgi", "a WSGI app"), ("asgi", "an ASGI app"), ("aiohttp", "an aiohttp app")):
        why = servers.refusal(server_of(of), interface)
        if interface in INTERFACES[of]:
            assert why is None
        else:
            assert why is not None
            assert why.startswith(of[0])
            assert why.endswith(name)


def test_a_refusal_reads_as_a_clause() -> None:
    why = servers.refusal(server_of(("gunicorn", "gthread")), "asgi")
    assert why == "gunicorn gthread can call a WSGI app, and this is an ASGI app"
    both = servers.refusal(server_of(("hypercorn", "")), "aiohttp")
    assert both == "hypercorn can call an ASGI app or a WSGI app, and this is an aiohttp app"


@OF_EACH_SERVER
def test_every_server_has_a_signal_that_it_catches(of: tuple[str, str]) -> None:
    expected = signal.SIGQUIT if of[0] == "gunicorn" and of[1] != "uvicorn" else signal.SIGTERM
    assert servers.stop_signal(server_of(of)) == expected


PROCFILE = {
    ("gunicorn", "sync"): "gunicorn 'shop:create_app()' --bind=0.0.0.0:$PORT --worker-class=sync --workers=1",
    ("gunicorn", "uvicorn"): "gunicorn 'shop:create_app()' --bind=0.0.0.0:$PORT "
    "--worker-class=uvicorn_worker.UvicornWorker --workers=1",
    ("uvicorn", ""): "uvicorn --host=0.0.0.0 --port=$PORT --workers=1 --factory shop:create_app",
    ("granian", "wsgi"): "granian --host=0.0.0.0 --port=$PORT --interface=wsgi --workers=1 --factory shop:create_app",
    ("uwsgi", "threads"): "uwsgi --http-socket=:$PORT --master --die-on-term --need-app "
    "'--add-header=Connection: close' --processes=1 --threads=1 '--module=shop:create_app()'",
    ("waitress", ""): "waitress-serve --listen=*:$PORT --threads=4 --call shop:create_app",
    ("hypercorn", ""): "hypercorn --bind=0.0.0.0:$PORT --workers=1 'asgi:shop:create_app()'",
}


@pytest.mark.parametrize("of", list(PROCFILE), ids=lambda of: " ".join(of).strip())
def test_the_line_of_a_procfile_leaves_defaults_out_and_calls_a_factory(of: tuple[str, str]) -> None:
    line = servers.procfile_line(server_of(of), "shop:create_app()", INTERFACES[of][0])
    assert line == "web: " + PROCFILE[of]


@OF_EACH_SERVER
def test_the_line_of_a_procfile_is_one_that_a_shell_splits_as_meant(of: tuple[str, str]) -> None:
    words = shlex.split(servers.procfile_line(server_of(of), "config.wsgi:application", INTERFACES[of][0]))
    assert words[0] == "web:"
    assert sum("$PORT" in word for word in words) == 1
    assert of[0] == "runserver" or any(word.endswith("config.wsgi:application") for word in words)
