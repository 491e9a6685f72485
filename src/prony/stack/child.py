"""One of the gauge's programs and a task in, what it answers from within the app's own interpreter out."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prony.errors import StackError
from prony.plan import App
from prony.stack.environment import environment
from prony.stack.tiers import Ground


def answer(
    ground: Ground, app: App, handed: Mapping[str, str], module: str, task: Mapping[str, Any], *, timeout_s: float
) -> Any:
    """Runs `python -m prony_gauge.MODULE TASK ANSWER` like the app: its environment, its folder, contained.

    Task and answer are files of JSON that only this user can read, gone when this returns: they may hold secrets.

    Raises:
        StackError: it did not end in time, or gave no answer.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{module}-", dir=ground.run_folder))
    log = ground.logs / f"{module}.log"
    try:
        (folder / "task").write_text(json.dumps(task), encoding="utf-8")
        process = ground.launcher.spawn(
            f"{module} in the app's interpreter",
            [app.python, "-m", f"prony_gauge.{module}", str(folder / "task"), str(folder / "answer")],
            env=environment(ground, app, handed),
            cwd=Path(app.folder),
            log=log,
            cores=ground.cores.stack,
        )
        try:
            done = ground.launcher.wait(process, timeout_s)
        finally:
            ground.launcher.kill_group(process)  # what the app's import may have left in the background
            ground.launcher.signal(process, signal.SIGKILL)
        if not done:
            raise StackError(f"{process.name} was not done after {timeout_s:.0f} s.", log=process.last_lines())
        try:
            return json.loads((folder / "answer").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StackError(f"{process.name} gave no answer.", log=process.last_lines()) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
