"""A Debian or Ubuntu package's name in, its files and the libraries it lacks out: in the cache, and without root."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from prony.app.child import die_with_parent
from prony.stack.folders import own_folder

LIMIT_S = 180.0
_INSTALLED = re.compile(r"^Inst (\S+)", re.MULTILINE)
_MISSING = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)


class NotToBeHadError(Exception):
    """A package that cannot be had here; the text says why, as the end of a sentence."""


def unpacked(package: str, program: str) -> Path:
    """The folder with a package's files, fetched through apt once and then found in the cache.

    apt checks the package's signature. Nothing of the system is changed, and no root is needed.

    Args:
        package: The package's name.
        program: The program that is wanted of it; its libraries come along where this machine lacks them.

    Raises:
        NotToBeHadError: no Debian, no network, no such package, or a library that is missing still.
    """
    cache = own_folder() / "bin"
    cache.mkdir(exist_ok=True)
    cache.chmod(0o755)
    found = _cached(cache, package)
    if found is not None:
        return found
    for tool in ("apt-get", "dpkg-deb", "ldd"):
        if shutil.which(tool) is None:
            raise NotToBeHadError(f"its package cannot be fetched: there is no {tool} here")
    deadline = time.monotonic() + LIMIT_S
    with _locked(cache / f".{package}.lock", deadline):
        found = _cached(cache, package)  # another prony was quicker
        if found is not None:
            return found
        scratch = cache / f".{package}-{secrets.token_hex(4)}"
        scratch.mkdir(mode=0o755)
        try:
            return _fetch(package, program, scratch, deadline)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def program(folder: Path, name: str) -> Path:
    """A program in an unpacked package."""
    for place in ("usr/sbin", "usr/bin"):
        if (folder / place / name).is_file():
            return folder / place / name
    raise NotToBeHadError(f"its package holds no {name}")


def environment(folder: Path) -> dict[str, str]:
    """Where a program of an unpacked package finds the libraries that came along."""
    found = {path.parent for path in folder.rglob("lib*.so.*")}
    return {"LD_LIBRARY_PATH": os.pathsep.join(map(str, sorted(found)))} if found else {}


def _cached(cache: Path, package: str) -> Path | None:
    return next(iter(sorted(cache.glob(f"{package}-[0-9]*"), reverse=True)), None)


@contextlib.contextmanager
def _locked(path: Path, deadline: float) -> Iterator[None]:
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise NotToBeHadError(f"another prony has been fetching it for {LIMIT_S:.0f} s") from None
                time.sleep(0.1)
        yield


def _fetch(package: str, name: str, scratch: Path, deadline: float) -> Path:
    files = scratch / "files"
    files.mkdir(mode=0o755)
    archives = _download(package, scratch, deadline)
    for archive in archives:
        _run(["dpkg-deb", "-x", str(archive), str(files)], scratch, deadline)
    for folder, _, _ in os.walk(files):
        Path(folder).chmod(0o755)
    path = program(files, name)
    missing = _MISSING.findall(_run(["ldd", str(path)], scratch, deadline, environment(files)))
    if missing:
        raise NotToBeHadError(f"its package lacks {', '.join(sorted(set(missing)))} on this machine")
    own = next((a.name for a in archives if a.name.startswith(f"{package}_")), f"{package}_0")
    version = re.sub(r"^\d+%3a", "", own.split("_")[1])  # the file's name carries the epoch before the version
    target = scratch.parent / f"{package}-{version}"
    files.rename(target)
    return target


def _download(package: str, scratch: Path, deadline: float) -> list[Path]:
    """Fetches a package and its missing libraries; with fresh lists of packages where the system's are of no use."""
    wanted = [package]
    quiet = ["apt-get", "-q", "-o", "APT::Sandbox::User=root"]  # the sandbox's user could not write to our folder
    lists = ["-o", f"Dir::State::lists={scratch / 'lists'}", "-o", f"Dir::Cache={scratch / 'cache'}"]
    why = ""
    for more in ([], lists):
        apt = [*quiet, *more]
        try:
            if more:
                (scratch / "lists").mkdir()
                (scratch / "cache").mkdir()
                with contextlib.suppress(NotToBeHadError):  # one source of many may fail; the download will tell
                    _run([*apt, "update"], scratch, deadline)
            # What installing would bring in tells the libraries' names, which differ between releases.
            would = _INSTALLED.findall(
                _run([*apt, "-s", "--no-install-recommends", "install", package], scratch, deadline)
            )
            wanted = [package, *(each for each in would if each.startswith("lib"))]
            _run([*apt, "download", *wanted], scratch, deadline)
            return sorted(scratch.glob("*.deb"))
        except NotToBeHadError as error:
            why = str(error)
    raise NotToBeHadError(why)


def _run(argv: list[str], folder: Path, deadline: float, env: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            argv,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            cwd=folder,
            timeout=max(0.1, deadline - time.monotonic()),
            env=os.environ | {"LC_ALL": "C"} | (env or {}),
            preexec_fn=die_with_parent,
        )
    except subprocess.TimeoutExpired:
        raise NotToBeHadError(f"fetching its package took longer than {LIMIT_S:.0f} s") from None
    except OSError as error:
        raise NotToBeHadError(f"its package cannot be fetched: {error}") from None
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith(("E:", "dpkg"))]
        what = " ".join(part for part in argv if not part.startswith(("-", "/")) and "=" not in part)
        raise NotToBeHadError(f"`{what}` failed: {said[-1].rstrip('.') if said else f'exit code {done.returncode}'}")
    return done.stdout
