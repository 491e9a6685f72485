"""A WSGI app whose every answer waits until the file named by RELEASE is there."""

import os
import time
from collections.abc import Callable
from pathlib import Path


def application(_environ: dict[str, str], start_response: Callable[..., object]) -> list[bytes]:
    while not Path(os.environ["RELEASE"]).exists():
        time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"released"]
