"""Turns a folder into one that, on PYTHONPATH, brings the gauge into every interpreter that starts with it."""

import shutil
from pathlib import Path


def lay_out(target: str) -> None:
    """Copy the package into `target`, and beside it the sitecustomize.py that starts it.

    The folder should hold nothing else: whatever is in it can be imported by the app.
    """
    folder, source = Path(target), Path(__file__).parent
    package = folder / "prony_gauge"
    package.mkdir(parents=True, exist_ok=True)
    copies = {path: package / path.name for path in source.glob("*.py") if path.name != "sitecustomize.py"}
    copies[source / "sitecustomize.py"] = folder / "sitecustomize.py"
    for path, copy in copies.items():
        shutil.copyfile(path, copy)
        copy.chmod(0o644)  # the app may run as somebody else
    for each in (folder, package):
        each.chmod(0o755)
