"""A shipped workload's requirements in, an interpreter that has them out: prony's own, or one made once."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prony.app.child import die_with_parent
from prony.errors import MachineError

INSTALL_S = 600
_NAME = re.compile(r"^[A-Za-z0-9._-]+")


def interpreter_for(folder: Path, say: Callable[[str], None] = lambda _: None) -> str:
    """An interpreter in which a workload's requirements.txt is installed.

    Raises:
        MachineError: they are not installed, and cannot be.
    """
    requirements = folder / "requirements.txt"
    text = requirements.read_text(encoding="utf-8")
    names = [match[0] for line in text.splitlines() if (match := _NAME.match(line.strip()))]
    if all(_installed(name) for name in names):
        return sys.executable
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    key = hashlib.sha256(text.encode()).hexdigest()[:10]
    target = state_folder() / "environments" / f"{folder.name}-{version}-{key}"
    python = target / "bin" / "python"
    done = target / ".installed"
    with _lock(target.with_name(f".{target.name}.lock")):
        if done.exists():
            return str(python)
        say(f"Making a virtual environment for the app, once: {', '.join(names)}")
        _run([sys.executable, "-m", "venv", "--clear", str(target)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)])
        done.touch()
    return str(python)


def state_folder() -> Path:
    """Where prony keeps what belongs to no project: under the XDG state folder."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "prony"


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One prony at a time makes an environment; the others find it made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _run(command: list[str]) -> None:
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            preexec_fn=die_with_parent,
        )
    except subprocess.CalledProcessError as error:
        raise MachineError(
            f"A virtual environment for the app cannot be made: {command[2]} ended with exit code {error.returncode}.",
            hint="pip install 'prony[demo]'",
            log=tuple((error.stderr or error.stdout or "").strip().splitlines()[-5:]),
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"A virtual environment for the app cannot be made: {error}."
        raise MachineError(message, hint="pip install 'prony[demo]'") from error
