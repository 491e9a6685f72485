"""The tables in the code in, docs/reference.md and docs/json.md out: `make docs`; tests/test_docs.py checks them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from prony.cli import cli
from prony.document import Document
from prony.doubts import KINDS
from prony.knobs import Knob, database, server
from prony.plan import keys
from prony.plan.keys import Key
from prony.recording import OUTCOMES
from prony.verdict import CAUSES, GRADES, TIERS

FOLDER = Path(__file__).parent
MADE = "<!-- Made by `make docs` from the code. Edit there. -->\n"


def cell(text: object) -> str:
    """A text as it may stand in a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def shown(key: Key | Knob) -> str:
    """A key's default as it would be written in prony.toml."""
    value = key.default
    if value is None:
        return "required" if isinstance(key, Key) and key.required else "unset"
    if key.kind == "duration":
        return f'"{value * 1000:g}ms"' if 0 < value < 1 else f'"{value:g}s"'
    if key.kind == "share":
        return f'"{value * 100:g}%"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return "[]" if value == () else str(value)


def table(rows: list[tuple[Key | Knob, str]]) -> list[str]:
    """Keys or knobs as a Markdown table."""
    lines = ["| key | allowed | default | why |", "|---|---|---|---|"]
    for key, name in rows:
        lines.append(f"| `{name}` | {cell(key.allowed())} | `{cell(shown(key))}` | {cell(key.why)} |")
    return [*lines, ""]


def keys_of_the_plan() -> list[str]:
    """Every key of prony.toml."""
    lines = ["## prony.toml", "", "Unknown keys are errors that name the nearest known one.", ""]
    plain: list[tuple[str, tuple[Key | Knob, ...]]] = [
        ("[app]", keys.APP),
        ("[stores.database]", database.POSTGRES),
        ("[traffic]", keys.TRAFFIC),
        ("[[traffic.request]]", keys.REQUEST),
        ("[limits]", keys.LIMITS),
    ]
    for title, found in plain:
        lines += [f"### {title}", ""]
        lines += table([(key, key.key if isinstance(key, Knob) else key.name) for key in found])
        if title == "[[traffic.request]]":
            lines += [
                '`expect = { status = 200, contains = "…" }`: the status (or a list) and a text of a right answer.',
                "",
            ]
    lines += [
        "### [server]",
        "",
        f"`kind`: one of {', '.join(server.KINDS)}. For gunicorn, `worker_class` as below.",
        "",
    ]
    for (kind, worker_class), knobs in server.KNOBS.items():
        lines += [f"#### {kind} {worker_class}".rstrip(), "", *table([(knob, knob.key) for knob in knobs])]
    return lines


def closed_sets() -> list[str]:
    """Outcomes, doubts, tiers, causes and grades."""
    lines = ["## Outcomes of a request", "", ", ".join(f"`{name}`" for name in OUTCOMES), ""]
    lines += ["## Doubts", "", "A *note* informs; a *void* makes the figures it names null.", ""]
    lines += ["| doubt | means | voids | what to do |", "|---|---|---|---|"]
    for kind in KINDS.values():
        voids = ", ".join(f"`{name}`" for name in kind.voids) or "nothing: a note"
        lines.append(f"| `{kind.name}` | {cell(kind.means)} | {voids} | {cell(kind.todo)} |")
    for title, tokens in (("Tiers", TIERS), ("Causes", CAUSES), ("Grades", GRADES)):
        lines += ["", f"## {title} of a verdict", "", "| token | means |", "|---|---|"]
        lines += [f"| `{name}` | {cell(text)} |" for name, text in tokens.items()]
    return [*lines, ""]


def command_line() -> list[str]:
    """The help of every verb."""
    lines = ["## The command line", ""]
    root = cli.make_context("prony", [], resilient_parsing=True, max_content_width=100, terminal_width=100)
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        if command is None:
            continue
        context = click.Context(command, info_name=name, parent=root, max_content_width=100, terminal_width=100)
        lines += [f"### prony {name}", "", "```text", command.get_help(context).rstrip(), "```", ""]
    codes = (
        "Exit codes: 0 done and within limits; 1 measured and outside limits; 2 the command or configuration is wrong; "
        "3 this machine lacks something; 4 the measurement is not to be believed; 130 interrupted. "
        "A replay ends 0 when it could tell its story."
    )
    lines += [codes, ""]
    return lines


def reference() -> str:
    """docs/reference.md."""
    return "\n".join([MADE, "# Reference", "", *keys_of_the_plan(), *closed_sets(), *command_line()]).rstrip() + "\n"


def json_schema() -> dict[str, Any]:
    """The schema of what --json prints."""
    return msgspec.json.schema(Document)


def json_page() -> str:
    """docs/json.md."""
    lines = [
        MADE,
        "# What --json prints",
        "",
        "Every verb that measures takes `--json` and then prints one JSON document on stdout; progress goes to stderr.",
        "Units are in the names: `_s` seconds, `_rps` requests per second, `_bytes` bytes; shares run from 0 to 1.",
        "A figure that a doubt voids is null. Tokens of tiers, causes, grades, outcomes and doubts are closed sets:",
        "[reference.md](reference.md) lists them.",
        "",
        "```json",
        json.dumps(json_schema(), indent=1, ensure_ascii=False),
        "```",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Writes both."""
    (FOLDER / "reference.md").write_text(reference(), encoding="utf-8")
    (FOLDER / "json.md").write_text(json_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
