"""An app's folder in, a scratch cover over it out: what the app writes there never reaches it, and can be put back."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from prony.errors import StackError
from prony.plan import Plan
from prony.stack.services.store import Key
from prony.stack.tiers import Ground

COPY_BYTES_MAX = 1024**3
NOT_COPIED = {".git", ".hg", ".prony", "node_modules"}  # and virtual environments: large, and no app writes to them
DATABASES = {".db", ".sqlite", ".sqlite3", ".db3"}
REMARK = "folder_written"


class Cover:
    """What lies over the folder of prony.toml, which holds the app's, in the stack's own mounts.

    It is an overlay of the kernel's, whose changes are kept in layers: the prepared state is the layer that the prepare
    commands wrote, and each start gets an empty one above it. Where the kernel has no overlay, a copy is bound over the
    folder. Like a store's, the order is: settle; then, once for each prepared state, empty and keep; and before each
    start, restore.

    Args:
        ground: The stack's.
        through: Folders of prony's own that stay visible, where they lie in the app's.

    Attributes:
        why_not: Why there is none, though one was asked for; empty where there is one.
    """

    def __init__(self, ground: Ground, through: Iterable[Path]) -> None:
        self._ground = ground
        self._through = tuple(through)
        self._home = ground.run_folder / "cover"
        self._folder = ""
        self._copied = False
        self._declared = False  # whether the plan names a database file in it
        self._layer: Path | None = None
        self._kept: dict[Key, Path] = {}
        self._count = 0
        self.why_not = ""

    @property
    def there(self) -> bool:
        """Whether the folder is covered."""
        return bool(self._folder) and not self.why_not

    def settle(self, plan: Plan) -> None:
        """Finds out whether this plan's folder is to be covered, and can be; says so where it cannot."""
        self._declared = any(store.file for store in plan.stores.values())
        folder = os.path.realpath(plan.app.home or plan.app.folder) if plan.app.scratch else ""
        if folder != self._folder:
            if self._folder:
                self._ground.launcher.uncover(self._folder)
            self._folder, self._copied = folder, False
            self.why_not = self._reason() if folder else ""
        self._say()

    def _say(self) -> None:
        self._ground.forget(REMARK)
        if self.why_not:
            text = f"what the app writes into {self._folder} stays there, and stays from start to start: {self.why_not}"
            self._ground.remark(REMARK, "app", text)

    def _reason(self) -> str:
        """Why the folder cannot be covered; the empty text where it is, by an empty layer."""
        launcher = self._ground.launcher
        if not launcher.namespace:
            return f"it is covered in mounts of the stack's own only ({launcher.why_no_namespace})"
        if self._ground.run_folder.resolve().is_relative_to(self._folder):
            return "prony's own files lie in it"
        self._home.mkdir(mode=0o700, exist_ok=True)
        inner = _mounted_in(self._folder)
        why = f"{inner} is mounted in it" if inner else self._put(None)
        if not why:
            return ""
        self._copied = True
        copied = self._put(None)
        return f"the kernel lays nothing over it ({why}), and {copied}" if copied else ""

    def empty(self) -> None:
        """Makes the folder as it is in the project.

        Raises:
            StackError: it was covered, and cannot be any more; what runs now would write to the project itself.
        """
        self._put_well(None)

    def keep(self, key: Key) -> None:
        """Notes that what is in it now is the prepared state `key`; to be followed by `restore`."""
        if self.there and self._layer is not None:
            self._kept[key], self._layer = self._layer, None

    def prepared(self, key: Key) -> bool:
        """Whether that state was kept, or none needs to be."""
        return not self.there or key in self._kept

    def restore(self, key: Key) -> None:
        """Makes it as it was at `keep(key)`; raises as `empty` does."""
        self._put_well(self._kept.get(key))

    def _put_well(self, kept: Path | None) -> None:
        why = self._put(kept) if self.there else ""
        if why:
            self._clear()  # nothing lies over the folder now, and what was half made takes room
            raise StackError(
                f"{self._folder} was covered, so that the app cannot write to it, and cannot be covered again: {why}.",
                hint="free some space below /var/tmp, or see what was mounted in the folder meanwhile",
            )

    def _put(self, kept: Path | None) -> str:
        """Covers the folder by a new layer above one that was kept; the empty text, or why that cannot be."""
        if self._layer is not None:
            self._ground.launcher.uncover(self._folder)
            self._clear()
        self._count += 1
        self._layer = self._home / str(self._count)
        through = [path for path in self._own() if os.path.lexists(path)]
        if self._copied:
            why = _copy(kept or Path(self._folder), self._layer)
            through += [] if why else [str(path) for path in Path(self._folder).iterdir() if _left_out(path)]
            layers, upper = [str(self._layer)], ""
        else:
            why = ""
            self._layer.mkdir()
            like = Path(self._folder).stat()
            self._layer.chmod(stat.S_IMODE(like.st_mode))  # the uppermost layer's is what is seen
            if os.getuid() == 0:
                os.chown(self._layer, like.st_uid, like.st_gid)
            layers, upper = [str(kept)] if kept else [], str(self._layer)
        if why:
            return why
        synced = self._declared or any(_has_database(path) for path in (Path(self._folder), kept) if path is not None)
        return self._ground.launcher.cover(self._folder, layers, upper, sorted({*through}), synced=synced)

    def _clear(self) -> None:
        """Removes the uppermost layer."""
        if self._layer is not None:
            shutil.rmtree(self._layer, ignore_errors=True)
            shutil.rmtree(f"{self._layer}.work", ignore_errors=True)
            self._layer = None

    def _own(self) -> list[str]:
        """Folders in the app's that are prony's own."""
        found = [os.path.realpath(path) for path in (Path(self._folder, ".prony"), *self._through)]
        return [path for path in found if path.startswith(f"{self._folder.rstrip('/')}/")]


def _mounted_in(folder: str) -> str:
    """The first of this machine's mounts that lies in a folder; empty for none."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    places = [line.split()[4].replace(r"\040", " ") for line in lines]
    return next((place for place in places if place.startswith(f"{folder.rstrip('/')}/")), "")


def _has_database(folder: Path) -> bool:
    """Whether a file there, or in a folder of it, is SQLite's by its name: what it commits waits for the disk."""
    return any(path.suffix in DATABASES for pattern in ("*", "*/*") for path in folder.glob(pattern))


def _left_out(path: Path) -> bool:
    """Whether a copy has this entry of the folder as it is, and not covered."""
    return path.is_dir() and not path.is_symlink() and (path.name in NOT_COPIED or (path / "pyvenv.cfg").is_file())


def _copy(source: Path, target: Path) -> str:
    """Copies a folder without what is left out of it; the empty text, or why not."""
    left = COPY_BYTES_MAX

    def ignored(folder: str, names: list[str]) -> set[str]:
        nonlocal left
        found = set()
        for name in names:
            path = Path(folder, name)
            mode = path.lstat()
            if (folder == str(source) and _left_out(path)) or not (
                stat.S_ISREG(mode.st_mode) or stat.S_ISDIR(mode.st_mode) or stat.S_ISLNK(mode.st_mode)
            ):
                found.add(name)
            elif stat.S_ISREG(mode.st_mode):
                left -= mode.st_size
        if left < 0:
            raise OverflowError
        return found

    try:
        shutil.copytree(source, target, symlinks=True, ignore=ignored)
    except OverflowError:
        return f"it is too large to be copied (more than {COPY_BYTES_MAX // 1024**2} MB)"
    except shutil.Error as error:  # the rest is copied by then: what this user cannot read, the app cannot either
        denied = all("denied" in str(each[2]) for each in error.args[0])
        return "" if denied else f"it cannot be copied: {error.args[0][0][2]}"
    except OSError as error:
        return f"it cannot be copied: {error.strerror}"
    return ""
