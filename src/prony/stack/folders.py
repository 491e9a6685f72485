"""Where a run keeps its files: a folder of its own that an unprivileged Postgres can reach, gone with the run.

Whoever makes such a folder holds a lock on it for as long as it lives; that lock is the evidence that a run lasts.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
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
    folder.chmod(0o711)  # whatever the umask, or an earlier version, made of it
    return folder


def run_folder() -> Path:
    """A name for a new run's folder. Its guard makes it, and removes it: so there is none that nobody minds."""
    return own_folder() / f"run-{os.getpid()}-{secrets.token_hex(4)}"


def take(folder: Path) -> int:
    """Makes a folder (or cgroup) where missing, and holds it: until the descriptor is closed it is not `over`.

    Others may pass through it but not read it.

    Raises:
        OSError: it cannot be made, or is held already.
    """
    with turn():
        folder.mkdir(mode=0o711, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder.chmod(0o711)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor


def over(folder: Path) -> bool:
    """Whether nobody holds a folder: the kernel lets go of it whatever ended its holder, and no pid is ever mistaken.

    To be asked in one's `turn`, or a folder may be seen between its making and its holding.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:  # gone, or none of `take`'s; of what cannot be looked at nobody knows
        return error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextlib.contextmanager
def turn() -> Iterator[None]:
    """One of this user's pronys at a time: for a moment only."""
    descriptor = os.open(own_folder(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
    try:
        for place, source in sources.items():
            shutil.copytree(source, scratch / place, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
        for folder, _, _ in os.walk(scratch):
            Path(folder).chmod(0o755)
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            scratch.rename(target)
    except OSError:
        if not target.exists():  # another prony was not quicker
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target
