"""A project's folder in, the interpreter its app runs in out: the one named, or the one its tools would use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from prony.errors import PlanError

OLDEST = (3, 9)
ASK_S = 30.0
KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR")  # of prony's own environment, for whatever is asked
_USUAL = (".venv", "venv", "env")
_VERSION = "import sys; print('%d.%d.%d' % sys.version_info[:3])"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An interpreter that runs and is new enough.

    Attributes:
        python: Its absolute path; not resolved, for a virtual environment's python is a link out of it.
        how: How it was found: ".venv", "poetry", "named".
        version: Such as "3.12.1".
    """

    python: str
    how: str
    version: str


def find(folder: Path, named: str = "") -> Interpreter:
    """The interpreter of the project in `folder`.

    In this order: the one named; .venv, venv or env in the folder, else the one environment in it under another name;
    uv's, where it is put elsewhere; the active virtual environment, unless it is prony's own; poetry's; pipenv's; what
    .python-version names; prony's own.

    Args:
        folder: The project's folder.
        named: [app].python as written: relative to the folder, or absolute, or with ~.

    Raises:
        PlanError: the one named, or found first, is missing, does not run, or is too old.
    """
    folder = folder.absolute()
    if named:
        python = Path(os.path.expanduser(named))  # noqa: PTH111 - Path's own raises on an unknown user
        return _checked(python if python.is_absolute() else folder / python, "named")
    for how, place in _environments(folder):
        python = place / "bin" / "python"
        if os.path.lexists(python) or (place / "pyvenv.cfg").exists():
            return _checked(python, how)
    found = _pyenv(folder)
    return _checked(found, ".python-version") if found else _checked(Path(sys.executable), "prony's own")


def ask(python: str, code: str, *arguments: str) -> str:
    """What a piece of code prints in an interpreter, with little environment, in no folder of anybody's.

    Raises:
        OSError: it cannot be started.
        subprocess.SubprocessError: it failed, or did not end in time.
    """
    env = {name: os.environ[name] for name in KEPT if name in os.environ}
    env["PYTHONDONTWRITEBYTECODE"] = "1"  # nothing is ever written to somebody's environment
    done = subprocess.run(
        [python, "-c", code, *arguments],
        cwd="/", env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASK_S, check=True,
    )  # fmt: skip
    return done.stdout


def _environments(folder: Path) -> list[tuple[str, Path]]:
    """Where a virtual environment of the project may be, the likeliest first; a tool is asked only for its own."""
    found = [(name, folder / name) for name in _USUAL]
    others = sorted(file.parent for file in folder.glob("*/pyvenv.cfg") if file.parent.name not in _USUAL)
    found += [(others[0].name, others[0])] if len(others) == 1 else []  # of several nobody can tell which is meant
    if (folder / "uv.lock").exists() and os.environ.get("UV_PROJECT_ENVIRONMENT"):
        found.append(("uv", folder / os.environ["UV_PROJECT_ENVIRONMENT"]))
    active = os.environ.get("VIRTUAL_ENV")
    if active and not _same(Path(active), Path(sys.prefix)):
        found.append(("VIRTUAL_ENV", Path(active)))
    if any((place / "bin" / "python").exists() for _, place in found):
        return found
    if _is_poetry(folder) and (place := _told(folder, "poetry", "env", "info", "--path")):
        found.append(("poetry", Path(place)))
    if (folder / "Pipfile").exists() and (place := _told(folder, "pipenv", "--venv")):
        found.append(("pipenv", Path(place)))
    return found


def _is_poetry(folder: Path) -> bool:
    try:
        return (folder / "poetry.lock").exists() or "[tool.poetry" in (folder / "pyproject.toml").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _told(folder: Path, tool: str, *arguments: str) -> str:
    """The path that a tool on PATH prints; empty where there is no such tool or it has none."""
    program = shutil.which(tool)
    if program is None:
        return ""
    # prony's own environment must not be taken for the project's
    env = {name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "PYTHON"))}
    try:
        done = subprocess.run(
            [program, *arguments], cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=ASK_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = done.stdout.strip().splitlines()
    return lines[-1].strip() if lines else ""


def _pyenv(folder: Path) -> Path | None:
    """The interpreter that .python-version asks for: pyenv's, else pythonX.Y on PATH."""
    try:
        wanted = (folder / ".python-version").read_text(encoding="utf-8").split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return None
    place = _told(folder, "pyenv", "prefix", wanted)
    if place and (Path(place) / "bin" / "python").exists():
        return Path(place) / "bin" / "python"
    program = shutil.which("python" + ".".join(wanted.split(".")[:2]))
    if program is None:
        raise PlanError(
            f"[app] python: {folder / '.python-version'} asks for Python {wanted}, and neither pyenv nor PATH has it.",
            hint=f'install Python {wanted}, or name an interpreter: [app] python = ".venv/bin/python"',
        )
    return Path(program)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _checked(python: Path, how: str) -> Interpreter:
    found = f"[app] python: found {python}" + ("" if how == "named" else f" (by {how})")
    hint = 'name one with the app\'s packages installed: [app] python = ".venv/bin/python"'
    if not python.is_file():
        broken = "a link that leads nowhere" if python.is_symlink() else "no interpreter is there"
        raise PlanError(f"{found}; {broken}. Allowed: an interpreter of Python 3.9 or newer.", hint=hint)
    try:
        version = ask(str(python), _VERSION).strip()
        parts = tuple(int(part) for part in version.split(".")[:2])
    except subprocess.CalledProcessError as error:
        last = tuple((error.stderr or "").strip().splitlines()[-3:])
        raise PlanError(f"{found}, which does not run: exit code {error.returncode}.", hint=hint, log=last) from error
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise PlanError(f"{found}, which does not run: {error}.", hint=hint) from error
    if parts < OLDEST:
        raise PlanError(f"{found}, which is Python {version}. Allowed: Python 3.9 or newer.", hint=hint)
    return Interpreter(str(python), how, version)
