"""Fetches the URL in the query, with the certificates in the file that CA names; or tries so from round the hook."""

import os
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

CODE = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode(), end="")
"""


def fetched(url: str) -> str:
    trusted = ssl.create_default_context(cafile=os.environ["CA"]) if url.startswith("https:") else None
    with urllib.request.urlopen(url, timeout=20, context=trusted) as answer:
        return answer.read().decode()


def fetched_round_the_hook(url: str) -> str:
    argv = [sys.executable, "-I", "-S", "-c", CODE, url]
    done = subprocess.run(argv, capture_output=True, text=True, env={}, check=False)
    return done.stdout or done.stderr


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    url = urllib.parse.unquote(environ["QUERY_STRING"])
    try:
        text = fetched_round_the_hook(url) if environ["PATH_INFO"] == "/round" else fetched(url) if url else "here"
    except OSError as error:
        text = repr(error)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
