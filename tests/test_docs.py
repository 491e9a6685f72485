"""The docs say what the code says: every key, knob, server, store, size, doubt, verb and flag is there, and current."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from prony.cli import cli
from prony.doubts import KINDS
from prony.knobs import link, outside, pooler, proxy, server, stores
from prony.knobs.sizes import SIZES
from prony.plan import keys
from prony.plan.changes import live_change
from prony.plan.keys import Key
from prony.plan.read import parse_sets, read_document
from prony.recording import OUTCOMES
from prony.report.columns import COLUMNS
from prony.verdict import CAUSES, GRADES, TIERS
from prony.visit import candidates, diagnosis

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS) for path in DOCS.rglob("*.md"))
APP = '[app]\nentry = "config.wsgi:application"\n'


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(name: str, title: str) -> str:
    """A generated page from one `## title` to the next."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page(name), re.MULTILINE | re.DOTALL)
    assert found, f"docs/{name} has no section {title}"
    return found[1]


def row(text: str, name: str) -> str:
    """The line of a table that begins with a name."""
    found = re.search(rf"^\| `{re.escape(name)}` \|.*$", text, re.MULTILINE)
    assert found, f"no row {name}"
    return found[0]


# ---- what is generated


def test_the_generated_pages_are_current_and_no_other_lies_beside_them(generate: ModuleType) -> None:
    made: dict[str, str] = generate.pages()
    for name, text in made.items():
        assert page(name) == text, f"docs/{name}: run make docs"
    assert {str(path) for path in PAGES if path.parts[0] == "reference"} <= {*made}


def test_every_table_of_prony_toml_is_in_the_reference(generate: ModuleType) -> None:
    assert set(generate.TABLES) == set(keys.TABLES)
    for how, _, _ in generate.TABLES.values():
        assert how in page("reference.md")


def named_keys() -> Iterator[tuple[str, Key]]:
    """(the name it has in `keys`, key) of every key that is no knob."""
    for name, value in vars(keys).items():
        if isinstance(value, Key):
            yield name, value
        elif isinstance(value, tuple):
            yield from ((name, each) for each in value if isinstance(each, Key))


# Where a group of keys is to be found: (page, section; empty for what stands above all sections).
PLACES = {
    "APP": ("reference.md", "[app]"),
    "WORKER": ("reference.md", "[workers.NAME]"),
    "TRAFFIC": ("reference.md", "[traffic]"),
    "THINK": ("reference.md", "[traffic]"),
    "REQUEST": ("reference.md", "[[traffic.request]]"),
    "STREAM": ("reference.md", "[[traffic.request]] stream"),
    "JOURNEY": ("reference.md", "[[traffic.journey]]"),
    "PARAMS": ("reference.md", "[[traffic.request]]"),
    "PATHS": ("reference.md", "[[traffic.request]]"),
    "GUESSED": ("reference.md", "The file that [traffic] file names"),
    "RATE": ("reference.md", "The file that [traffic] file names"),
    "LOGIN": ("reference.md", "[login]"),
    "LIMITS": ("reference.md", "[limits]"),
    "INSTANCES": ("reference/servers.md", ""),
    "SERVER_ENTRY": ("reference/servers.md", ""),
    "STORE_ENV": ("reference/stores.md", "Keys of every store"),
    **dict.fromkeys(
        ("STORE_URL", "STORE_AT", "STORE_DUMP", "STORE_FILE", "STORE_FRESH"),
        ("reference/stores.md", "Keys of every store"),
    ),
    "POOLER_KIND": ("reference/stores.md", "[pooler]"),
    "PROXY": ("reference/proxy.md", "[proxy]"),
    "ROUTE": ("reference/proxy.md", "[[proxy.route]]"),
    "OUTSIDE_ENV": ("reference/links.md", "[services.NAME]"),
    "BOX": ("reference/boxes.md", "[box.NAME]"),
}


@pytest.mark.parametrize(("group", "key"), list(named_keys()), ids=lambda each: getattr(each, "name", each))
def test_every_key_is_in_its_table_with_what_it_is_for(group: str, key: Key) -> None:
    assert group in PLACES, f"say in PLACES where the keys {group} are documented"
    name, title = PLACES[group]
    text = section(name, title) if title else page(name).partition("\n## ")[0]
    assert key.why.replace("|", "\\|") in row(text, key.name)


def test_every_shape_of_a_phase_and_its_keys_are_in_the_reference() -> None:
    text = section("reference.md", "[[traffic.phase]]")
    for shape, own in keys.PHASES.items():
        line = row(text, shape)
        assert keys.PHASES_WHY[shape] in line
        for key in own:
            assert f"`{key.name}`" in line
            rows = [each for each in text.splitlines() if each.startswith(f"| `{key.name}` |")]
            assert any(shape in each.split(" | ")[1].split(", ") and key.why in each for each in rows)


def test_every_part_of_an_expectation_is_in_the_reference() -> None:
    for name, what in keys.EXPECT.items():
        assert what in row(section("reference.md", "[[traffic.request]]"), name)


@pytest.mark.parametrize(("kind", "worker_class"), list(server.KNOBS), ids=lambda each: each or "-")
def test_every_server_its_interfaces_and_its_knobs_are_in_the_reference(kind: str, worker_class: str) -> None:
    name = f"`{worker_class}`" if worker_class else "–"
    served = re.search(rf"^\| `{kind}` \| {name} \| (.*) \|$", page("reference/servers.md"), re.MULTILINE)
    assert served
    assert served[1].lower().split(", ") == list(server.INTERFACES[kind, worker_class])
    several = bool(worker_class)
    rows = [line.split(" | ") for line in section("reference/servers.md", kind).splitlines()]
    for knob in server.KNOBS[kind, worker_class]:
        mine = [cells for cells in rows if cells[0] == f"| `{knob.key}`" and knob.why in cells[-1]]
        assert mine, knob.key
        if several:
            assert any(cells[1] == "all" or worker_class in cells[1].split(", ") for cells in mine), knob.key


@pytest.mark.parametrize("kind", stores.STORES)
def test_every_store_its_variable_and_its_knobs_are_in_the_reference(kind: str) -> None:
    text = page("reference/stores.md")
    assert f"`{keys.STORE_VARIABLES[kind]}`" in row(section("reference/stores.md", "Kinds"), kind)
    title = next(title for title in re.findall("^## (.*)$", text, re.MULTILINE) if kind in title.split(" and "))
    for knob in stores.STORES[kind]:
        assert knob.why in row(section("reference/stores.md", title), knob.key)


def test_every_kind_of_store_has_knobs_or_is_the_users_own() -> None:
    assert {*keys.SQL_KINDS, *keys.OTHER_KINDS} == {*stores.STORES, "url"}
    assert row(section("reference/stores.md", "Kinds"), "url")


def test_every_knob_of_pooler_proxy_links_and_services_is_in_the_reference() -> None:
    for knobs, name, title in (
        (pooler.POOLER, "reference/stores.md", "[pooler]"),
        (proxy.PROXY, "reference/proxy.md", "[proxy]"),
        (link.LINK, "reference/links.md", "[link.NAME]"),
        (outside.OUTSIDE, "reference/links.md", "[services.NAME]"),
    ):
        for knob in knobs:
            assert knob.why in row(section(name, title), knob.key)


def test_every_preset_is_in_the_reference_with_what_it_sets() -> None:
    for name, values in proxy.PRESETS.items():
        for key in values:
            assert row(section("reference/proxy.md", f'preset = "{name}"'), key)


def test_every_size_is_in_the_reference_with_its_figures_and_source() -> None:
    for size in SIZES.values():
        found = row(section("reference/boxes.md", "Sizes"), size.name)
        cells = found.split(" | ")
        assert cells[1:4] == [f"{size.cpus:g}", str(size.memory_mb), f"{size.period_ms:g}"]
        assert cells[5] == ("yes" if size.checked else "no")
        assert size.source in found
        assert size.note in found


def test_every_outcome_doubt_and_token_of_a_verdict_is_in_the_reference() -> None:
    for title, names in (
        ("Outcomes of a request", OUTCOMES),
        ("Doubts", KINDS),
        ("Tiers of a verdict", TIERS),
        ("Causes of a verdict", CAUSES),
        ("Grades of a verdict", GRADES),
    ):
        text = section("reference/results.md", title)
        assert not [name for name in names if f"`{name}`" not in text]


def test_every_cause_and_reason_of_a_check_is_in_the_reference() -> None:
    for title, names in (
        ("Causes of a check", diagnosis.CAUSES),
        ("Reasons to leave a route out", candidates.REASONS),
    ):
        for name in names:
            assert row(section("reference/results.md", title), name)


def test_every_column_of_exported_samples_is_in_the_reference() -> None:
    text = section("reference/results.md", "Columns of exported samples")
    for name, column in COLUMNS.items():
        assert column.what in row(text, name)


def test_every_flag_is_in_the_reference_and_every_verb_has_an_example() -> None:
    for name, command in cli.commands.items():
        text = section("reference/cli.md", f"prony {name}").partition("\nOptions:\n")[2]
        assert "Example:" in (command.help or ""), name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert re.search(rf"^ +(-\w, )?{parameter.opts[0]}\b", text, re.MULTILINE), f"{name} {parameter.opts}"
                assert parameter.help, f"{name} {parameter.opts[0]} has no help"


def test_help_lists_every_verb() -> None:
    listed = cli.list_commands(click.Context(cli))
    assert sorted(listed) == sorted(cli.commands)


# ---- what people wrote


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def snippets() -> list[Any]:
    found = []
    for path in [*(DOCS / each for each in PAGES), ROOT / "README.md"]:
        for number, text in enumerate(fenced(path.read_text(encoding="utf-8"), "toml"), 1):
            found.append(pytest.param(path, text, id=f"{path.name}-{number}"))
    return found


@pytest.mark.parametrize(("path", "text"), snippets())
def test_a_snippet_of_prony_toml_is_one(path: Path, text: str, tmp_path: Path) -> None:
    for lines in fenced(path.read_text(encoding="utf-8"), "procfile"):
        (tmp_path / "Procfile").write_text(lines, encoding="utf-8")
    for lines in fenced(path.read_text(encoding="utf-8"), "python"):
        if named := re.match(r"# (\w+\.py)\n", lines):
            (tmp_path / named[1]).write_text(lines, encoding="utf-8")
    for lines in fenced(path.read_text(encoding="utf-8"), "csv"):
        (tmp_path / "users.csv").write_text(lines, encoding="utf-8")
    document = tomllib.loads(text if "[app]" in text else APP + text)
    document["app"].pop("python", None)  # there is none in an empty folder
    for store in document.get("stores", {}).values():
        if "dump" in store:
            (tmp_path / store["dump"]).touch()
    if imported := document.get("traffic", {}).get("file"):
        lines = '[rate]\nstep = "1m"\nrps = [1.0, 2.5]\n[[request]]\npath = "/"\n'
        (tmp_path / imported).write_text(lines, encoding="utf-8")
    read_document(document, "prony.toml", tmp_path)


def test_every_howto_has_a_snippet_and_is_linked_from_where_people_begin() -> None:
    known = page("tutorial.md") + page("reference.md") + (ROOT / "README.md").read_text(encoding="utf-8")
    for path in (DOCS / "howto").glob("*.md"):
        assert fenced(path.read_text(encoding="utf-8"), "toml"), path.name
        assert f"howto/{path.name}" in known, path.name


def commands() -> list[Any]:
    found = []
    for path in [*(DOCS / each for each in PAGES), ROOT / "README.md"]:
        text = path.read_text(encoding="utf-8")
        shown = [line[2:] for block in fenced(text, "console") for line in block.splitlines() if line.startswith("$ ")]
        lines = [line.removeprefix(".venv/bin/") for line in [*shown, *re.findall(r"`(prony [^`]*)`", text)]]
        found += [pytest.param(line, id=f"{path.name}: {line}") for line in lines if line.startswith("prony ")]
    return found


@pytest.mark.parametrize("line", commands())
def test_a_command_in_the_docs_is_one(line: str) -> None:
    _, verb, *arguments = shlex.split(line)
    if verb.startswith("-"):
        return
    assert verb in cli.commands
    if not arguments:
        return  # named, not shown
    # `prony report ID` and the like: what is written in capitals stands for something
    filled = ["3" if word == "ID" else word for word in arguments if word not in {"NAME=VALUE", "…"}]
    context = cli.commands[verb].make_context(verb, filled, help_option_names=["-h", "--help"])  # click keeps them
    if verb == "change":
        for name, value in parse_sets(context.params["changes"]).items():
            live_change(name, value)


@pytest.mark.parametrize("path", [*(DOCS / each for each in PAGES), ROOT / "README.md"], ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        there = path.parent / target if target else path
        assert there.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor[1:] in anchors, f"{target}{anchor}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
