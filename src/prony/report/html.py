"""A document and the course of its trials in, one self-contained HTML page out: it asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from prony import figures
from prony.capacity import Capacity
from prony.document import Configuration, Document, Trial
from prony.doubts import KINDS, Doubt
from prony.report import curves, tiers
from prony.report.histogram import bars
from prony.report.inside import subject
from prony.report.intervals import sections
from prony.report.series import Series
from prony.report.spent import FILTERS
from prony.report.tokens import CAUSE_WORDS, GRADE_SIGNS, GRADE_WORDS, TIER_WORDS, word
from prony.verdict import CAUSES, GRADES, TIERS, Verdict

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
UPLOT = HERE / "vendor" / "uplot"
UPLOT_VERSION = "1.6.32"


@dataclass(frozen=True, slots=True)
class _Finding:
    """One test of a replay, or one verdict of another verb: what the page gives a section to."""

    title: str
    account: str
    load: str
    text: tuple[str, ...]
    verdict: Verdict | None
    trial: Trial | None
    trial_id: str
    relief_trials: tuple[str, ...]
    doubts: list[Doubt]
    course: int | None


@dataclass(frozen=True, slots=True)
class _Bar:
    """A capacity on the table's common scale: where its bar starts and how wide it is, in per cent of the scale."""

    start: float
    width: float
    opens: str  # "up": no upper end is known; "down": no lower end is; "": both are


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the table of configurations."""

    configuration: Configuration
    bar: _Bar | None
    chosen: bool


@dataclass(frozen=True, slots=True)
class _DoubtGroup:
    """All doubts of one name."""

    name: str
    means: str
    kind: str
    voids: str
    todos: tuple[str, ...]
    seen: list[tuple[str, list[str]]]  # what was seen, and in which trials


def render(document: Document, series: Mapping[str, Series]) -> str:
    """The page.

    Args:
        document: What was found.
        series: Trials' courses over time, by trial id; those to draw.
    """
    page = _Page(document, series)
    findings = page.findings()
    others = [(trial, page.course(trial.id)) for trial in document.trials if page.undrawn(trial.id)]
    script = "\n".join(_read(path) for path in (UPLOT / "uPlot.iife.min.js", TEMPLATES / "report.js"))
    template = _environment().get_template("report.html.j2")
    page_text = template.render(
        document=document,
        page=page,
        title=document.title or f"prony {document.verb}",
        findings=findings,
        rows=page.rows(),
        compared=sections(document.comparisons),
        scale_rps=page.scale_rps,
        others=others,
        tiers=tiers,
        subject=subject(document),
        doubt_groups=page.doubt_groups(),
        machine=machine_text(document.machine),
        started=_date(document.started_at),
        grades=[word(GRADES, grade, GRADE_WORDS, GRADE_SIGNS) for grade in GRADES],
        data=_as_json(
            {"courses": page.courses, "curves": [curves.drawn(c, document.capacities) for c in document.curves]}
        ),
        curves=curves,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=_read(UPLOT / "uPlot.min.css") + "\n" + _read(TEMPLATES / "report.css"),
        uplot_version=UPLOT_VERSION,
        uplot_licence=_read(UPLOT / "LICENSE"),
    )
    return page_text.strip() + "\n"


def machine_text(machine: Mapping[str, Any]) -> str:
    """What was measured on, in one line."""
    parts = []
    if machine.get("cpus") is not None:
        cpus = machine["cpus"]
        parts.append(f"{cpus} {'core' if cpus == 1 else 'cores'}")
    if machine.get("cpu"):
        parts.append(str(machine["cpu"]))
    if isinstance(machine.get("memory_bytes"), int | float):
        parts.append(figures.size(machine["memory_bytes"]))
    parts += [f"{name} {machine[key]}" for key, name in (("kernel", "Linux"), ("python", "Python")) if machine.get(key)]
    known = {"cpus", "cpu", "memory_bytes", "kernel", "python"}
    parts += [f"{key} {value}" for key, value in machine.items() if key not in known and value not in (None, "")]
    return ", ".join(parts)


class _Page:
    """Look-ups in a document that the template asks for."""

    def __init__(self, document: Document, series: Mapping[str, Series]) -> None:
        self._document = document
        self._series = series
        self._trials = {trial.id: trial for trial in document.trials}
        self._doubts: dict[str, list[Doubt]] = {}
        self._drawn: dict[str, int] = {}
        self.courses: list[dict[str, Any]] = []
        self.anchors = {trial.id: f"trial-{n}" for n, trial in enumerate(document.trials, start=1)}
        self.scale_rps = _scale(row.capacity for row in document.configurations)
        for doubt in document.doubts:
            self._doubts.setdefault(doubt.trial, []).append(doubt)

    def findings(self) -> list[_Finding]:
        """The replay's tests, then every verdict that is of none of them."""
        tests = self._document.tests
        told = {test.trial for test in tests if test.trial}
        found = [
            self._finding(
                test.trial,
                test.verdict,
                test.title or test.name,
                account=test.account,
                load=test.load,
                text=test.text,
                relief_trials=test.relief_trials,
            )
            for test in tests
        ]
        for verdict in self._document.verdicts:
            if verdict.trial not in told or not verdict.trial:
                trial = self._trials.get(verdict.trial)
                title = trial.label if trial else "What was found"
                found.append(self._finding(verdict.trial, verdict, title, load=_changing(trial) if trial else ""))
        return found

    def _finding(
        self,
        trial_id: str,
        verdict: Verdict,
        title: str,
        *,
        account: str = "",
        load: str = "",
        text: tuple[str, ...] = (),
        relief_trials: tuple[str, ...] = (),
    ) -> _Finding:
        course = self.course(trial_id) if self.undrawn(trial_id) else self._drawn.get(trial_id)
        return _Finding(
            title=title,
            account=account,
            load=load,
            text=text,
            verdict=verdict,
            trial=self._trials.get(trial_id),
            trial_id=trial_id,
            relief_trials=relief_trials,
            doubts=self._doubts.get(trial_id, []),
            course=course,
        )

    def undrawn(self, trial_id: str) -> bool:
        """Whether a trial has a course that no chart shows yet."""
        return trial_id in self._series and trial_id not in self._drawn

    def course(self, trial_id: str) -> int:
        """The number under which the script finds a trial's course; from here on it counts as drawn."""
        series, trial = self._series[trial_id], self._trials.get(trial_id)
        p50_s, p99_s = series.p50_s, series.p99_s
        if self.hides_latency(trial_id):
            p50_s = p99_s = [None] * len(series.t_s)
        seen = trial.tiers if trial else {}
        self._drawn[trial_id] = len(self.courses)
        self.courses.append(
            {
                "t_s": series.t_s,
                "offered_rps": _rounded(series.offered_rps),
                "right_rps": _rounded(series.right_rps),
                "failed_rps": _rounded(series.failed_rps),
                "p50_s": _rounded(p50_s),
                "p99_s": _rounded(p99_s),
                "connections": _rounded(series.connections),
                "connections_limit": seen.get("connections", {}).get("limit"),
                "in_flight": _rounded(series.in_flight),
                "slots": seen.get("workers", {}).get("slots"),
            }
        )
        return self._drawn[trial_id]

    def hides_latency(self, trial_id: str) -> str:
        """The doubt because of which not even the course of the latency is shown; the empty text where it is."""
        doubts = self._doubts.get(trial_id, [])
        return next((doubt.name for doubt in doubts if "all" in doubt.voids or doubt.name == "nothing_valid"), "")

    def why(self, trial_ids: str | Iterable[str], figure: str) -> str:
        """Why a figure of a trial is null: the doubts that voided it, in a sentence."""
        names = [trial_ids] if isinstance(trial_ids, str) else list(trial_ids)
        covers = {"all", figure, figure.split(".", maxsplit=1)[0]}
        known = [doubt for name in names for doubt in self._doubts.get(name, []) if covers & set(doubt.voids)]
        if known:
            return "; ".join(f"Voided by {doubt.name}: {doubt.text}" for doubt in known)
        listed = {name for trial in names if trial in self._trials for name in self._trials[trial].doubts}
        kinds = [KINDS[name] for name in sorted(listed & KINDS.keys()) if covers & set(KINDS[name].voids)]
        if kinds:
            return "; ".join(f"Voided by {kind.name}: {kind.means}" for kind in kinds)
        return "Not measured"

    def error_share(self, trial: Trial) -> float | None:
        """Its share of failed requests; None where nothing of the trial is to be believed."""
        everything = any("all" in doubt.voids for doubt in self._doubts.get(trial.id, []))
        return None if everything else trial.errors.share

    def rows(self) -> list[_Row]:
        """The table of configurations."""
        chosen = self._document.recommended.name if self._document.recommended else None
        return [
            _Row(configuration, self.bar(configuration.capacity), configuration.name == chosen)
            for configuration in self._document.configurations
        ]

    def bar(self, capacity: Capacity) -> _Bar | None:
        """A capacity's interval on the common scale; None where nothing is known of it."""
        low, high = capacity.low_rps, capacity.high_rps
        if low is None and high is None:
            return None
        start = 100 * (low or 0) / self.scale_rps
        end = 100 if high is None else 100 * high / self.scale_rps
        opens = "up" if high is None else "down" if low is None else ""
        return _Bar(round(start, 2), round(max(end - start, 0.6), 2), opens)

    def doubt_groups(self) -> list[_DoubtGroup]:
        """All doubts by name: those that void figures first, what was seen alike told once."""
        by_name: dict[str, list[Doubt]] = {}
        for doubt in sorted(self._document.doubts, key=lambda doubt: doubt.kind != "void"):
            by_name.setdefault(doubt.name, []).append(doubt)
        groups = []
        for name, doubts in by_name.items():
            seen: dict[str, list[str]] = {}
            for doubt in doubts:
                seen.setdefault(doubt.text, []).append(doubt.trial)
            voids = list(dict.fromkeys(figure for doubt in doubts for figure in doubt.voids))
            groups.append(
                _DoubtGroup(
                    name=name,
                    means=KINDS[name].means if name in KINDS else "",
                    kind="void" if any(doubt.kind == "void" for doubt in doubts) else "note",
                    voids=", ".join(voids),
                    todos=tuple(dict.fromkeys(doubt.todo for doubt in doubts)),
                    seen=[(text, [trial for trial in trials if trial]) for text, trials in seen.items()],
                )
            )
        return groups

    def configuration_title(self, name: str) -> str:
        """A configuration's title, by name."""
        return next((c.title for c in self._document.configurations if c.name == name), name)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": figures.duration,
        "rate": figures.rate,
        "share": figures.share,
        "count": figures.count,
        "percent": figures.percent,
        "size": figures.size,
        "milliseconds": figures.milliseconds,
        "megabytes": figures.megabytes,
        "tier": lambda token: word(TIERS, token, TIER_WORDS),
        "cause": lambda token: word(CAUSES, token, CAUSE_WORDS),
        "grade": lambda token: word(GRADES, token, GRADE_WORDS, GRADE_SIGNS),
        "setting": _setting,
        "sentence": _sentence,
        "bars": bars,
        **FILTERS,
    }
    return environment


@cache
def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _as_json(value: Any) -> str:
    """JSON that no HTML parser takes for the end of its script element, nor for anything else."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _rounded(values: Iterable[float | None]) -> list[float | None]:
    """Four digits: more than a chart can show, and a third of the bytes."""
    return [None if value is None else float(f"{value:.4g}") for value in values]


def _scale(capacities: Iterable[Capacity]) -> float:
    """The end of a common scale for capacities: a round number that all their ends fit under."""
    most = max((end for c in capacities for end in (c.high_rps, (c.low_rps or 0) * 1.15) if end), default=1.0)
    power = 10.0 ** (len(str(int(most))) - 1)
    return next(step * power for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= most)


def _date(text: str) -> str:
    """An instant such as "20 November 2026, 19:45 UTC"; a text that is none is shown as it is."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{instant.day} {instant:%B %Y, %H:%M %Z}".strip()


def _setting(value: Any) -> str:
    """A knob's value as a configuration file has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return "default" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _sentence(text: str) -> str:
    """A text with its full stop."""
    return text if not text or text[-1] in ".:!?…" else text + "."


def _changing(trial: Trial) -> str:
    """The load of a trial in words, where the rate that was offered does not say it."""
    traffic = trial.plan.get("traffic", {})
    told = traffic.get("phases") or traffic.get("requests_per_session")
    return figures.load_in_words(traffic, trial.offered_rps) if told else ""
