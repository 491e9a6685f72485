"""What every app of this folder answers: who serves it, after which wait."""

import json
import os
from pathlib import Path

TITLE = "served by"


def answer(loop: object = None) -> bytes:
    """One line: the title, then the process and the module of its event loop as JSON."""
    found = {"pid": os.getpid(), "loop": "" if loop is None else type(loop).__module__}
    return f"{TITLE} {json.dumps(found)}\n".encode()


def released() -> bool:
    """Whether the file named by RELEASE is there, which /wait waits for."""
    return Path(os.environ["RELEASE"]).exists()
