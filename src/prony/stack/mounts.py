"""What is to lie over what in, mounts that only the guard and the processes it starts see out."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_MS_PRIVATE_REC = 0x44000
_MS_NOSUID_NODEV = 0x6
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MNT_DETACH = 2
_KEPT_IN_RUN = {"media", "mount", "user", "current-system", "booted-system", "opengl-driver", "wrappers"}

_own_mounts = False  # whether what this process mounts stays its own and its children's
_covered: set[str] = set()


def enter() -> None:
    """Gives this process mounts of its own, where the kernel allows it, and puts what lies in /run out of sight.

    Sockets in files cross network namespaces, and most services' lie there. Folders that hold people's files or a
    system's programs stay.
    """
    global _own_mounts  # noqa: PLW0603 - a process has one set of mounts
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, _MS_PRIVATE_REC, None) != 0:
        return
    _own_mounts = True
    with contextlib.suppress(OSError):
        for entry in os.scandir("/run"):
            path = entry.path.encode()
            if entry.is_dir(follow_symlinks=False) and entry.name not in _KEPT_IN_RUN:
                libc.mount(b"tmpfs", path, b"tmpfs", _MS_NOSUID_NODEV, b"mode=755,size=1m")
            elif not entry.is_dir() and not entry.is_file():
                libc.mount(b"/dev/null", path, None, _MS_BIND, None)


def name_hosts(file: str) -> None:
    """Puts a file in /etc/hosts's place, for this process and what it starts; raises OSError where that cannot be."""
    _mount(file, "/etc/hosts", None, _MS_BIND)


def cover(folder: str, layers: list[str], upper: str, through: list[str], *, synced: bool = True) -> None:
    """Puts a cover over a folder, in place of an earlier one: what is written there goes to `upper`.

    Args:
        folder: What is covered; its path without links.
        layers: What is seen where `upper` has nothing, above the folder itself. With `upper` empty there is one, which
            is a copy of the folder: it is bound over it.
        upper: Where the changes go: a folder, beside which there is room for another; empty to bind.
        through: Folders and files in it that are not covered.
        synced: Whether what is written there gets to the disk when a program waits for that, as a database does. A
            cover that does lets its end wait until all of the disk is written.

    Raises:
        OSError: it cannot be; then the folder is not covered at all.
    """
    uncover(folder)
    opened = [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in [*layers, folder]]
    kept = {path: os.open(path, os.O_PATH) for path in through}
    try:
        if upper:
            # By their descriptors: a path may hold what options of a mount give a meaning.
            lower = ":".join(f"/proc/self/fd/{each}" for each in opened)
            Path(f"{upper}.work").mkdir(exist_ok=True)
            options = f"lowerdir={lower},upperdir={upper},workdir={upper}.work"
            if os.getuid() != 0:
                options += ",userxattr"
            try:
                _mount("overlay", folder, "overlay", 0, options if synced else f"{options},volatile")
            except OSError as error:
                if synced or error.errno != errno.EINVAL:
                    raise
                _mount("overlay", folder, "overlay", 0, options)  # before Linux 5.10
            with contextlib.suppress(OSError):  # the kernel's own, closed even to its owner: it must be removable
                os.chmod(f"{upper}.work/work", 0o700)  # noqa: PTH101 - as paths are texts here
        else:
            _mount(layers[0], folder, None, _MS_BIND)
        _covered.add(folder)
        for path, descriptor in kept.items():
            _place(path, descriptor)
            _mount(f"/proc/self/fd/{descriptor}", path, None, _MS_BIND | _MS_REC)
    except OSError:
        uncover(folder)
        raise
    finally:
        for descriptor in [*opened, *kept.values()]:
            os.close(descriptor)


def uncover(folder: str) -> None:
    """Takes the cover off a folder, if there is one; who still has files of it open keeps those."""
    if folder in _covered:
        ctypes.CDLL(None, use_errno=True).umount2(folder.encode(), _MNT_DETACH)
        _covered.discard(folder)


def _place(path: str, like: int) -> None:
    """Makes what something can be bound over, where a copy lacks it."""
    if os.path.lexists(path):
        return
    if Path(f"/proc/self/fd/{like}").is_dir():
        Path(path).mkdir(parents=True)
    else:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    if not _own_mounts:
        raise OSError(errno.EPERM, "the stack has no mount namespace of its own")
    libc = ctypes.CDLL(None, use_errno=True)
    texts = [text and os.fsencode(text) for text in (source, target, kind)]
    if libc.mount(*texts, flags, os.fsencode(options) or None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{target}: {os.strerror(number)}")
