"""Every tunable of every tier, as data: said once, it feeds the TOML file, --set, the search space and the docs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prony.knobs.values import Kind, allowed, read


@dataclass(frozen=True, slots=True)
class Knob:
    """One tunable of one tier.

    Attributes:
        name: Its dotted name in prony.toml and after --set, such as "server.workers".
        tier: Which tier it tunes: "workers", "database", "proxy" and so on.
        kind: How it is written: see `prony.knobs.values`.
        default: The program's own default, in the kind's unit.
        why: Why it matters, one sentence.
        low: Least allowed value.
        high: Greatest allowed value.
        choices: The allowed texts of a "choice".
        flag: The option of the server's own command line that it becomes.
        inert: A second value that should move nothing: such a knob serves as a placebo. None where it is no placebo.
    """

    name: str
    tier: str
    kind: Kind
    default: Any
    why: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    flag: str = ""
    inert: Any = None

    @property
    def key(self) -> str:
        """The last part of the name."""
        return self.name.rpartition(".")[2]

    def read(self, value: Any) -> Any:
        """The raw value, checked; raises NotAllowedError."""
        return read(self.kind, value, self.low, self.high, self.choices)

    def allowed(self) -> str:
        """What it takes, as the end of a sentence."""
        return allowed(self.kind, self.low, self.high, self.choices)
