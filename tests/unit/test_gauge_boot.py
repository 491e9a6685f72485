from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from prony.probes.gauge import GaugeReader
from prony_gauge.install import lay_out

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, code: str, **more: str) -> str:
    """What an interpreter with the gauge in it prints; its app's modules are the files in the folder."""
    lay_out(str(folder / "run"))
    (folder / "gauges").mkdir(exist_ok=True)
    path = os.pathsep.join([str(folder / "run"), str(folder)])
    env = {**os.environ, "PYTHONPATH": path, "PRONY_GAUGE_DIR": str(folder / "gauges"), "PRONY_EGRESS": "on", **more}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(folder: Path) -> dict[str, int]:
    reader = GaugeReader(folder / "gauges")
    try:
        return reader.read().refused
    finally:
        reader.close()


def test_the_overlay_stands_once_at_the_end_of_the_path_and_before_the_user_s_own_sitecustomize(
    tmp_path: Path,
) -> None:
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (overlay / "server_under_test.py").write_text("")
    (tmp_path / "sitecustomize.py").write_text("import server_under_test\n")
    code = "import json, sys; print(json.dumps([sys.path, 'server_under_test' in sys.modules]))"
    path, imported = json.loads(run(tmp_path, code, PRONY_OVERLAY=str(overlay)))
    assert (path[-1], path.count(str(overlay)), imported) == (str(overlay), 1, True)
    assert str(overlay) not in json.loads(run(tmp_path, "import json, sys; print(json.dumps(sys.path))"))


CALLS = """
import asyncio, socket

def mail():
    import smtplib
    smtplib.SMTP("mail.example", 25)

def fetch():
    import urllib.request
    urllib.request.urlopen("http://api.example/")

def name():
    socket.gethostbyname("name.example")

async def stream():
    await asyncio.open_connection("stream.example", 443)

def streaming():
    asyncio.run(stream())

def pooled():
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(1) as pool:
        pool.submit(socket.getaddrinfo, "pool.example", 80).result()
"""


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("mail", "mail.example:25 at shop.py:6"),
        ("fetch", "api.example:80 at shop.py:10"),
        ("name", "name.example at shop.py:13"),
        ("streaming", "stream.example:443 at shop.py:16"),
        ("pooled", "pool.example:80 at concurrent.futures.thread"),
    ],
)
def test_a_way_out_is_refused_and_counted_with_its_line(tmp_path: Path, call: str, expected: str) -> None:
    (tmp_path / "shop.py").write_text(CALLS)
    code = f"import shop\ntry:\n    shop.{call}()\nexcept OSError as error:\n    print(error)"
    for _ in range(2):
        assert "prony contains the app under test" in run(tmp_path, code, PYTHONWARNINGS="ignore")
    assert refused(tmp_path) == {expected: 2}


def test_a_refusal_while_the_interpreter_is_torn_down_does_no_harm(tmp_path: Path) -> None:
    code = (
        "import socket, sys\n"
        "class Late:\n"
        "    def __del__(self, look=socket.gethostbyname):\n"
        "        try:\n"
        "            look('late.example')\n"
        "        except PermissionError:\n"
        "            pass\n"
        "sys.late = Late()\n"
    )
    assert run(tmp_path, code) == ""


ENTRIES = """
import sys

def wsgi(environ, start_response):
    return [b""]

async def asgi(scope, receive, send):
    pass
"""


@pytest.mark.parametrize(
    ("entry", "served", "expected"),
    [
        ("shop:wsgi", "", "application True"),
        ("shop:asgi", "", "application True"),
        ("shop:asgi", "asgi", "application True"),
        ("shop:asgi", "wsgi", "a WSGI server cannot serve it"),
        ("shop:wsgi", "asgi", "an ASGI server cannot serve it"),
    ],
)
def test_an_entry_is_served_as_what_it_is_or_refused_with_the_reason(
    tmp_path: Path, entry: str, served: str, expected: str
) -> None:
    (tmp_path / "shop.py").write_text(ENTRIES)
    code = (
        "try:\n"
        "    from prony_gauge.entry import application\n"
        "    print(application.__name__, application.__module__.startswith('prony_gauge'))\n"
        "except RuntimeError as error:\n"
        "    print(error)"
    )
    printed = run(tmp_path, code, PRONY_GAUGE_ENTRY=entry, PRONY_GAUGE_INTERFACE=served)
    assert expected in printed
    reader = GaugeReader(tmp_path / "gauges")
    reader.read()
    assert len(reader._gone) == ("True" in expected)
    reader.close()
