"""Turns "this module has just been imported" into a call, for modules that the app may or may not import."""

# ruff: noqa: SIM105 (what need not be imported into somebody's interpreter is not)

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Optional

    After = Callable[[Any], None]


class Loader:
    """A module's own loader, with one call after it has run the module."""

    def __init__(self, loader: Any, after: After) -> None:
        self.loader = loader
        self.after = after

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        """What the module's own loader creates."""
        create = getattr(self.loader, "create_module", None)
        return create(spec) if create else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the module under its own loader, then make the call."""
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        _quietly(self.after, module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


class Finder:
    """Asks the other finders for the few modules it knows; for any other it costs one look into a dict.

    Attributes:
        after: What to call with a module, by the module's full name.
    """

    def __init__(self, after: dict[str, After]) -> None:
        self.after = after

    def find_spec(self, name: str, path: Optional[Sequence[str]] = None, target: Any = None) -> Optional[ModuleSpec]:
        """The spec that the others find, its loader wrapped."""
        after = self.after.get(name)
        if after is None:
            return None
        for finder in list(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: Optional[ModuleSpec] = find(name, path, target) if find else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = Loader(spec.loader, after)  # type: ignore[assignment] # it does what one does
                return spec
        return None


def watch(after: dict[str, After]) -> None:
    """Call these with their modules: at once where a module is loaded already, else when it has been imported."""
    for name, call in after.items():
        if name in sys.modules:
            _quietly(call, sys.modules[name])
    known = next((finder for finder in sys.meta_path if isinstance(finder, Finder)), None)
    if known is None:
        sys.meta_path.insert(0, Finder(after))
        return
    for name, call in after.items():  # two finders would ask each other without end
        known.after[name] = both(known.after[name], call) if name in known.after else call


def both(first: After, second: After) -> After:
    """One call that makes both."""

    def called(module: Any) -> None:
        _quietly(first, module)
        second(module)

    return called


def _quietly(call: After, module: Any) -> None:
    try:
        call(module)
    except Exception:
        pass
