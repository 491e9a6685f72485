"""Starts prony's gauge with the interpreter, then runs the sitecustomize that would have run without it."""

# ruff: noqa: PTH100, PTH120 (what need not be imported into somebody's interpreter is not)

import os
import sys


def _chain() -> None:
    """Import the next `sitecustomize` on the path. What it raises passes: Python reports it as it always does."""
    here = os.path.dirname(os.path.abspath(__file__))
    ours = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) == here]
    at = sys.path.index(ours[0]) if ours else 0
    for entry in ours:
        sys.path.remove(entry)
    this = sys.modules.pop("sitecustomize", None)
    try:
        __import__("sitecustomize")
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        sys.path[at:at] = ours[:1]
        if this is not None:
            sys.modules.setdefault("sitecustomize", this)


try:
    from prony_gauge import boot

    boot.start()
except Exception:
    pass
_chain()
