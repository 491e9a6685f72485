from __future__ import annotations

import sys
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from prony_gauge import place
from prony_gauge.layout import NAME_BYTES

LIBRARY = "/srv/shop/.venv/lib/python3.11/site-packages/"
OURS = place.OURS


def called(*frames: tuple[str, str], name: str = "step") -> str:
    """The place as told from under these frames (file, module), the outermost first, in a thread of their own."""
    told: list[str] = []
    inner: Any = place.place
    for file, module in reversed(frames):
        scope: dict[str, Any] = {"__name__": module, "inner": inner}
        exec(compile(f"def {name}():\n    return inner()\n", file, "exec"), scope)  # noqa: S102 - frames of any file
        inner = scope[name]
    scope = {"__name__": "threading", "inner": inner, "told": told}
    code = compile("def run():\n    told.append(inner())\n", place.STANDARD + "threading.py", "exec")
    exec(code, scope)  # noqa: S102 - the same
    thread = Thread(target=scope["run"])
    thread.start()
    thread.join(30)
    return told[0]


APP = ("/srv/shop/mail.py", "shop.mail")
VIEW = ("/srv/shop/views.py", "shop.views")
REQUESTS = (LIBRARY + "requests/api.py", "requests.api")
URLLIB3 = (LIBRARY + "urllib3/connection.py", "urllib3.connection")
SMTPLIB = (place.STANDARD + "smtplib.py", "smtplib")
SOCKET = (place.STANDARD + "socket.py", "socket")
DJANGO = ("/usr/lib/python3/dist-packages/django/core/handlers/base.py", "django.core.handlers.base")
SERVER = (LIBRARY + "gunicorn/workers/sync.py", "gunicorn.workers.sync")
ENTRY = (OURS + "wsgi.py", "prony_gauge.wsgi")
EGRESS = (OURS + "egress.py", "prony_gauge.egress")
DRIVER = (OURS + "libraries.py", "prony_gauge.libraries")


@pytest.mark.parametrize(
    "inside",
    [[], [SMTPLIB, SOCKET], [REQUESTS, URLLIB3, SOCKET, EGRESS], [DJANGO, DRIVER, URLLIB3], [("<frozen os>", "os")],
     [("<string>", "collections")]],
)  # fmt: skip
def test_the_innermost_frame_of_the_app_s_own_answers(inside: list[tuple[str, str]]) -> None:
    assert called(SERVER, ENTRY, DJANGO, VIEW, APP, *inside) == "/srv/shop/mail.py:2"


def test_a_line_below_the_current_folder_is_told_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = Path.cwd()
    assert called((f"{here}/shop/mail.py", "shop.mail")) == "shop/mail.py:2"
    assert called((f"{here}-other/mail.py", "mail")) == f"{here}-other/mail.py:2"


def test_a_command_s_own_text_is_the_app_s() -> None:
    assert called(("<string>", "__main__"), SMTPLIB) == "<string>:2"


def test_of_a_thread_of_libraries_the_one_that_started_it_is_named() -> None:
    sentry = (LIBRARY + "sentry_sdk/worker.py", "sentry_sdk.worker")
    assert called(sentry, REQUESTS, URLLIB3, SOCKET) == "sentry_sdk.worker"


def test_of_a_request_without_a_frame_of_the_app_s_the_innermost_library_is_named() -> None:
    assert called(("/srv/shop/serve.py", "serve"), SERVER, ENTRY, DJANGO, URLLIB3, SOCKET) == "urllib3.connection"


def coroutines(*frames: tuple[str, str], driver: str) -> str:
    """The same from within a task whose coroutines await each other, driven by a loop that a file's code runs."""
    inner: Any = place.place
    for number, (file, module) in enumerate(reversed(frames)):
        scope: dict[str, Any] = {"__name__": module, "inner": inner}
        text = "async def step():\n    return " + ("await " if number else "") + "inner()\n"
        exec(compile(text, file, "exec"), scope)  # noqa: S102 - frames of any file
        inner = scope["step"]
    scope = {"__name__": "serve", "inner": inner}
    text = "def drive():\n    try:\n        inner().send(None)\n    except StopIteration as done:\n"
    text += "        return done.value\n"
    exec(compile(text, driver, "exec"), scope)  # noqa: S102 - the same
    return str(scope["drive"]())


def test_a_task_s_frames_end_where_the_event_loop_drives_it() -> None:
    aiohttp = (LIBRARY + "aiohttp/connector.py", "aiohttp.connector")
    resolver = (LIBRARY + "aiohttp/resolver.py", "aiohttp.resolver")
    assert coroutines(aiohttp, resolver, driver="/srv/shop/serve.py") == "aiohttp.connector"
    assert coroutines(APP, aiohttp, resolver, driver="/srv/shop/serve.py") == "/srv/shop/mail.py:2"


def test_what_stands_outside_an_event_loop_s_callback_has_no_part_in_it() -> None:
    loop = (place.STANDARD + "asyncio/events.py", "asyncio.events")
    outside, inside = [("/srv/shop/serve.py", "serve"), loop], [REQUESTS, SOCKET]
    assert called(*outside, *inside, name="_run") == "requests.api"
    assert called(*outside, *inside, name="create_connection") == "/srv/shop/serve.py:2"


def test_the_standard_library_alone_is_named_by_its_module() -> None:
    assert called(SMTPLIB, SOCKET) == "smtplib"
    assert called((place.STANDARD + "asyncio/streams.py", "asyncio.streams")) == "asyncio.streams"


def test_a_server_s_script_and_what_lies_in_the_overlay_are_not_the_app_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRONY_OVERLAY", "/srv/shop/.prony/overlay/")
    overlaid = ("/srv/shop/.prony/overlay/gunicorn/app.py", "gunicorn.app")
    script = (sys.prefix + "/bin/gunicorn", "__main__")
    assert called(script, overlaid, SOCKET) == "__main__"
    assert called(overlaid, SOCKET) == "gunicorn.app"


def test_a_task_s_line_noted_by_the_one_that_asked_goes_before_a_library_s_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(place, "noted", [lambda: "", lambda: "shop/mail.py:9"])
    assert called(URLLIB3, SOCKET) == "shop/mail.py:9"
    assert called(APP, URLLIB3) == "/srv/shop/mail.py:2"


def test_a_long_path_keeps_its_end() -> None:
    told = called(("/srv/" + "d" * 300 + "/mail.py", "mail"))
    assert told.startswith("…")
    assert told.endswith("d/mail.py:2")
    assert len(told.encode()) < NAME_BYTES // 2


def test_a_stack_that_cannot_be_read_costs_the_app_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "sys", None)  # as when the interpreter is torn down
    assert place.place() == ""
