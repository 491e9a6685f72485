"""The way to a tier as a program: a round trip, a bandwidth, drops and freezes in, a port that behaves like it out.

`link FD SOCKET SETTINGS` accepts at the descriptor it was handed and takes changes, while it runs, at a Unix socket.
The whole round trip is added on the way to the server, which a client cannot tell from half on each way; and a
connection's first bytes wait for one more, because over a network opening the connection would itself have cost one.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from prony.knobs.link import LINK
from prony.stack.launch import Launcher, Process
from prony.stack.services import control
from prony.stack.services.wire import Line

if TYPE_CHECKING:
    from prony.plan import Link as Settings

DEFAULTS = {"to_port": 1, "round_trip_s": 0.0, "bandwidth_bps": 0, "drop": 0.0, "frozen": False}
_KNOBS = {"round_trip_s": "round_trip", "bandwidth_bps": "bandwidth", "drop": "drop"}
BOUNDS = {"to_port": (1.0, 65_535.0)} | {
    name: (knob.low or 0.0, knob.high or 0.0) for name, key in _KNOBS.items() for knob in LINK if knob.key == key
}


class Link:
    """A link before one tier, which keeps its port while the tier's own may change.

    Args:
        launcher: Starts it.
        logs: Folder of its log.
        run_folder: Folder of its control socket.
        cores: Cores it may run on.
        name: The tier's name.
        place: Address and port where it must listen; port 0: where it likes.
    """

    def __init__(
        self,
        launcher: Launcher,
        logs: Path,
        run_folder: Path,
        cores: tuple[int, ...],
        name: str,
        *,
        place: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self.place = place
        self._remote = control.Remote(
            launcher,
            "prony.stack.services.link",
            f"the link before {name}",
            logs=logs,
            path=run_folder / f"link-{name}.socket",
            cores=cores,
            place=place,
        )

    @property
    def port(self) -> int:
        """Where to connect instead; 0 before the first start."""
        return self._remote.port

    @property
    def process(self) -> Process | None:
        """The running program."""
        return self._remote.process

    def start(self, to_port: int, settings: Settings) -> None:
        """Starts it before a port, or changes the one that runs; returns when both hold.

        Raises:
            StackError: it did not come up.
        """
        wanted = {name: getattr(settings, name, to_port) for name in DEFAULTS}
        if self._remote.alive:
            self.change(**wanted)
        else:
            self._remote.start(wanted)

    def change(self, **settings: Any) -> dict[str, Any]:
        """Changes some settings while it runs: to_port, round_trip_s, bandwidth_bps, drop, frozen.

        Bytes already on their way keep the round trip they were given; a new `to_port` is for new connections.

        Returns:
            All settings now in force.

        Raises:
            StackError: no such setting or value, or the program is gone.
        """
        found: dict[str, Any] = self._remote.ask(settings)["settings"]
        return found

    def stats(self) -> dict[str, int]:
        """Counts since its start: connections open, opened, dropped, refused; up_bytes, down_bytes, held_bytes."""
        found: dict[str, int] = self._remote.ask({})["stats"]
        return found

    def stop(self) -> None:
        """Ends it and every connection through it; it may be started again, on the same port."""
        self._remote.stop()


async def serve(listening: socket.socket, path: str, wanted: dict[str, Any]) -> None:
    """Passes connections on until ended."""
    line = Line(asyncio.get_running_loop(), "127.0.0.1", 1)
    settings: dict[str, Any] = DEFAULTS

    def answer(order: dict[str, Any]) -> dict[str, Any]:
        nonlocal settings
        if order:
            settings = control.changed(settings, order, BOUNDS)
            line.to_port = settings["to_port"]
            line.change(**{name: value for name, value in settings.items() if name != "to_port"})
        return {"settings": settings, "stats": line.stats()}

    answer(wanted)
    async with await line.serve(listening) as server, await control.listen(path, answer):
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], json.loads(sys.argv[3])))
