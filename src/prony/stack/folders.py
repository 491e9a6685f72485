"""Where a run keeps its files: a folder of its own that an unprivileged Postgres can reach, gone with the run."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

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
    if state.st_mode & 0o022:
        folder.chmod(0o711)
    return folder


def run_folder() -> Path:
    """A new folder for one run, that others may pass through but not read."""
    folder = own_folder() / f"run-{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o711)
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
    target.parent.mkdir(mode=0o755, exist_ok=True)
    scratch = target.with_name(f".{name}-{secrets.token_hex(4)}")
    for place, source in sources.items():
        shutil.copytree(source, scratch / place, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    try:
        scratch.rename(target)
    except OSError:  # another prony was quicker
        shutil.rmtree(scratch, ignore_errors=True)
    return target
