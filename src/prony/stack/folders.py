"""Where a run keeps its files: a folder of its own that an unprivileged Postgres can reach, gone with the run."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

import psutil

from prony.errors import MachineError

ROOT = Path("/var/tmp")  # noqa: S108 - ours is prony-UID below it, checked to be this user's


def own_folder() -> Path:
    """The folder prony-UID, made where missing.

    Raises:
        MachineError: somebody else owns it.
    """
    folder = ROOT / f"prony-{os.getuid()}"
    try:
        folder.mkdir(mode=0o711, exist_ok=True)
        state = folder.lstat()
    except OSError as error:
        raise MachineError(f"{folder} cannot be made: {error.strerror}.", hint=f"make {ROOT} writable") from error
    if state.st_uid != os.getuid() or not folder.is_dir() or folder.is_symlink():
        raise MachineError(f"{folder} belongs to somebody else.", hint=f"remove {folder}")
    folder.chmod(0o711)  # whatever the umask, or an earlier version, made of it
    return folder


def run_folder() -> Path:
    """A new folder for one run, that others may pass through but not read; those of dead runs are removed."""
    own = own_folder()
    for left in own.glob("run-*"):
        pid = left.name.split("-")[1]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
    folder = own / f"run-{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    return folder


def cached(name: str, sources: dict[str, Path]) -> Path:
    """A copy of folders under /var/tmp/prony-UID, made once: a checkout below /root is closed to other users.

    Args:
        name: The copy's folder; a version belongs in it.
        sources: Folders to copy, by their place in the copy.
    """
    target = own_folder() / "bin" / name
    if target.exists():
        return target
    target.parent.mkdir(exist_ok=True)
    target.parent.chmod(0o755)
    scratch = target.with_name(f".{name}-{secrets.token_hex(4)}")
    for place, source in sources.items():
        shutil.copytree(source, scratch / place, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    for folder, _, _ in os.walk(scratch):
        Path(folder).chmod(0o755)
    try:
        scratch.rename(target)
    except OSError:  # another prony was quicker
        shutil.rmtree(scratch, ignore_errors=True)
    return target
