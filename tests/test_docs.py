"""The docs say what the code says: every knob, doubt, cause and flag is there, and what is generated is current."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import click
import pytest

from prony.cli import cli
from prony.doubts import KINDS
from prony.knobs import database, server
from prony.plan import keys
from prony.verdict import CAUSES, GRADES, TIERS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_pages_are_current(generate: ModuleType) -> None:
    assert (DOCS / "reference.md").read_text(encoding="utf-8") == generate.reference(), "run: make docs"
    assert (DOCS / "json.md").read_text(encoding="utf-8") == generate.json_page(), "run: make docs"


def test_every_key_knob_doubt_and_token_is_in_the_reference() -> None:
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    names = {knob.key for knobs in server.KNOBS.values() for knob in knobs}
    names |= {knob.key for knob in database.POSTGRES}
    names |= {key.name for group in (keys.APP, keys.TRAFFIC, keys.REQUEST, keys.LIMITS) for key in group}
    names |= {*KINDS, *TIERS, *CAUSES, *GRADES}
    missing = sorted(name for name in names if f"`{name}`" not in text)
    assert not missing


def test_every_flag_is_in_the_reference_and_every_verb_has_an_example() -> None:
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    for name, command in cli.commands.items():
        assert f"### prony {name}" in text
        assert "Example:" in (command.help or ""), name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.opts[0] in text, f"{name} {parameter.opts[0]}"
                assert parameter.help, f"{name} {parameter.opts[0]} has no help"


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in target or (ROOT / target).exists(), target


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target
