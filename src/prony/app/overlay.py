"""What a server needs and an environment lacks in, a folder that holds just that out, for the end of sys.path.

It is resolved with everything installed there as a constraint, so that nothing of theirs is shadowed or contradicted,
and nothing is ever written to their environment: pip only lists what is missing, and installs into the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from prony.app.child import die_with_parent
from prony.app.interpreter import ask
from prony.errors import MachineError, PlanError

RESOLVE_S = 180.0
INSTALL_S = 300.0
NOTE = "prony-overlay.json"
_PIP_REPORTS = (22, 2)  # the first pip that lists what it would install
_PIP_ELSEWHERE = (22, 3)  # the first that serves another interpreter
_BARE = re.compile(r"^[A-Za-z0-9._-]+$")
_USABLE = re.compile(
    r"^([0-9]+!)?[0-9]+(\.[0-9]+)*([abc]|rc|\.?(dev|post))?[0-9]*(\.?(post|dev)[0-9]+)*(\+[A-Za-z0-9._-]+)?$"
)
_NO_NETWORK = re.compile(
    r"name resolution|Name or service not known|nodename nor servname|NewConnectionError|Connection refused"
    r"|Network is unreachable|ProxyError|ConnectTimeout|error sending request|dns error"
)
# Runs in any Python from 3.9 on.
_LIST = """
import importlib.metadata, json, platform, sys, sysconfig
sys.path[:] = [entry for entry in sys.path if entry]
found = {}
for entry in importlib.metadata.distributions():
    try:
        found.setdefault(entry.metadata["Name"], entry.version)
    except Exception:
        pass
about = [sys.implementation.cache_tag, sysconfig.get_config_var("SOABI"), platform.machine(), sys.version]
print(json.dumps({"about": about, "versions": {n: v for n, v in found.items() if n and v}}))
"""


@dataclass(frozen=True, slots=True)
class Overlay:
    """What the interpreter has with the overlay behind it.

    Attributes:
        path: The folder for the end of sys.path; None where nothing was lacking.
        versions: Everything installed, by normalised name: theirs, and what the overlay adds.
        added: What the overlay adds.
    """

    path: str | None
    versions: dict[str, str]
    added: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Installer:
    """A program that can list and install for their interpreter: pip's command up to "install", or uv's."""

    command: list[str]
    uv: bool = False


def versions(python: str) -> dict[str, str]:
    """Everything installed in an interpreter: {normalised name: version}.

    Raises:
        PlanError: the interpreter does not run.
    """
    return _installed(python)[1]


def overlay(
    python: str, requirements: tuple[str, ...], folder: Path, say: Callable[[str], None] = lambda _: None
) -> Overlay:
    """What `requirements` ask for and the interpreter lacks, installed once below `folder`.

    Args:
        python: The app's interpreter.
        requirements: As pip takes them: "gunicorn==27.0.*", "packaging".
        folder: Where overlays are kept: the project's .prony/overlays. It is made, and git-ignores itself.
        say: Told before anything takes long.

    Raises:
        PlanError: what is asked for contradicts what is installed there.
        MachineError: there is no installer, no network, or it failed.
    """
    about, frozen = _installed(python)
    if all(_BARE.match(wanted) and _normal(wanted) in frozen for wanted in requirements):
        return Overlay(None, frozen, {})
    key = hashlib.sha256(json.dumps([about, sorted(frozen.items()), sorted(requirements)]).encode()).hexdigest()[:12]
    _prepare(folder)
    target = folder / f"{about[0]}-{key}"
    if not (target / NOTE).exists():
        _build(python, requirements, frozen, target, say)
    added: dict[str, str] = json.loads((target / NOTE).read_text(encoding="utf-8"))
    return Overlay(str(target) if added else None, {**frozen, **added}, added)


def _installed(python: str) -> tuple[list[str], dict[str, str]]:
    try:
        found = json.loads(ask(python, _LIST))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        log = tuple((getattr(error, "stderr", None) or "").strip().splitlines()[-3:])
        raise PlanError(f"[app] python: {python} cannot say what is installed in it: {error}.", log=log) from error
    return found["about"], {_normal(name): version for name, version in sorted(found["versions"].items())}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _prepare(folder: Path) -> None:
    """Makes the folder of all overlays; scratch folders of pronys that died in the act are removed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / ".gitignore").exists():
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise MachineError(
            f"{folder} cannot be written to, and servers that the app's environment lacks are put there: "
            f"{error.strerror}.",
            hint=f"make {folder} writable",
        ) from error
    for left in folder.glob(".scratch-*"):
        pid = left.name.split("-")[1]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _build(
    python: str, requirements: tuple[str, ...], frozen: dict[str, str], target: Path, say: Callable[[str], None]
) -> None:
    """Resolves and installs into a scratch folder, and renames that: whole or not at all, whoever else builds it."""
    wanted = ", ".join(requirements)
    scratch = target.with_name(f".scratch-{os.getpid()}-{secrets.token_hex(4)}")
    files = scratch / "files"
    try:
        files.mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix="prony-") as work:
            installer = _installer(python, frozen, wanted)
            say(f"Looking up what the app's environment lacks of {wanted}")
            added = _missing(installer, requirements, frozen, Path(work), python)
            if added:
                pins = [f"{name}=={version}" for name, version in added.items()]
                say(f"Installing {', '.join(pins)} beside the app's environment, once")
                _install(installer, pins, files, Path(work), wanted)
        (files / NOTE).write_text(json.dumps(added), encoding="utf-8")
        with contextlib.suppress(OSError):  # another prony was quicker: theirs is the same
            files.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _installer(python: str, frozen: dict[str, str], wanted: str) -> _Installer:
    if _pip_version(frozen.get("pip")) >= _PIP_REPORTS:
        return _Installer([python, "-m", "pip"])
    try:
        ours = _installed(sys.executable)[1].get("pip")
    except PlanError:
        ours = None
    if _pip_version(ours) >= _PIP_ELSEWHERE:
        return _Installer([sys.executable, "-m", "pip", "--python", python])
    uv = shutil.which("uv")
    if uv is not None:
        return _Installer([uv, "pip"], uv=True)
    raise MachineError(
        f"The app's environment lacks {wanted}, and nothing here can install it beside that: there is no pip 22.2 or "
        f"newer for {python}, none for prony, and no uv on PATH.",
        hint=f"{sys.executable} -m ensurepip",
    )


def _pip_version(text: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", text or "")[:2])


def _missing(
    installer: _Installer, requirements: tuple[str, ...], frozen: dict[str, str], work: Path, python: str
) -> dict[str, str]:
    """What would have to be installed, by name: only what is not there yet, at versions that fit what is."""
    constraints, report = work / "constraints.txt", work / "report.json"
    lines = [f"{name}=={version}\n" for name, version in frozen.items() if _USABLE.match(version)]
    constraints.write_text("".join(lines), encoding="utf-8")
    argv = [*installer.command, "install", "--dry-run", "--constraint", str(constraints)]
    if installer.uv:
        argv += ["--python", python, "--break-system-packages", "--no-build"]  # a dry run breaks nothing
        printed = _run([*argv, *requirements], work, RESOLVE_S, ", ".join(requirements))
        found = dict(re.findall(r"^ \+ ([A-Za-z0-9._-]+)==(\S+)", printed, re.MULTILINE))
    else:
        argv += ["--prefer-binary", "--report", str(report)]
        _run([*argv, *requirements], work, RESOLVE_S, ", ".join(requirements))
        listed = json.loads(report.read_text(encoding="utf-8"))["install"]
        found = {entry["metadata"]["name"]: entry["metadata"]["version"] for entry in listed}
    return {_normal(name): version for name, version in found.items() if _normal(name) not in frozen}


def _install(installer: _Installer, pins: list[str], files: Path, work: Path, wanted: str) -> None:
    argv = [*installer.command, "install", "--no-deps", "--target", str(files)]
    if not installer.uv:
        argv.append("--prefer-binary")
    _run([*argv, *pins], work, INSTALL_S, wanted)


def _run(argv: list[str], work: Path, limit_s: float, wanted: str) -> str:
    """Runs an installer, which is told of no environment of prony's, and returns all it printed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "CONDA"))}
    # PEP 668 and the like guard an environment that is not written to here at all.
    env |= {"PYTHONDONTWRITEBYTECODE": "1", "PIP_BREAK_SYSTEM_PACKAGES": "1", "PIP_REQUIRE_VIRTUALENV": "0"}
    env |= {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_RETRIES": "1"}
    env |= {"NO_COLOR": "1", "PIP_NO_COLOR": "1", "PIP_QUIET": "0"}
    try:
        with subprocess.Popen(
            argv, cwd=work, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - nothing else runs in this process yet
        ) as child:  # fmt: skip
            try:
                printed, _ = child.communicate(timeout=limit_s)
            except BaseException:  # a limit passed or Ctrl-C: what it started goes with it
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                raise
    except subprocess.TimeoutExpired as error:
        raise MachineError(
            f"The app's environment lacks {wanted}, and installing it beside that took longer than {limit_s:g} s.",
            hint="try once more, or install it in the app's environment",
        ) from error
    except OSError as error:
        raise MachineError(f"The app's environment lacks {wanted}, and {argv[0]} does not run: {error}.") from error
    if child.returncode:
        raise _failure(printed, wanted, child.returncode)
    return printed


def _failure(printed: str, wanted: str, code: int) -> PlanError | MachineError:
    """What an installer's output comes down to."""
    lines = [line.rstrip() for line in printed.splitlines() if line.strip()]
    begins = f"The app's environment lacks {wanted}"
    conflict = _conflict(lines)
    if conflict:
        return PlanError(
            f"{begins}, which cannot be put beside what is installed there: {conflict}.",
            hint="choose another server, or change that version in the app's environment",
        )
    if _NO_NETWORK.search(printed):
        return MachineError(
            f"{begins}, and the package index cannot be reached to get it.",
            hint="connect to the network once (it is kept afterwards), or install it in the app's environment",
        )
    errors = [line for line in lines if line.startswith(("ERROR:", "error:", "  ×", "  ╰─▶"))] or lines
    return MachineError(
        f"{begins}, and it cannot be installed beside that: the installer ended with exit code {code}.",
        log=tuple(errors[-5:]),
    )


def _conflict(lines: list[str]) -> str:
    """The conflict as pip or uv tells of it, in one line; empty where there is none."""
    for at, line in enumerate(lines):
        if line.strip() == "The conflict is caused by:":
            told = []
            for told_line in lines[at + 1 :]:
                if not told_line.startswith("    "):
                    break
                told.append(told_line.strip())
            return "; ".join(told[:6])
        if "No solution found" in line:
            return re.sub(r"\s+", " ", " ".join(lines[at + 1 :])).strip(" ╰─▶.").replace("─▶ ", "")
    return ""
