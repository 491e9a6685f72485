"""prony.traffic.toml: what an import writes, a plan reads; and prony.toml gets one line, nothing else."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.errors import PlanError
from prony.plan import RateSeries, changed, read_file
from prony.traffic import written
from prony.traffic.mix import Route
from prony.traffic.rates import rates

APP = '[app]\nentry = "shop:app"\n'
READS = APP + '[traffic]\nfile = "prony.traffic.toml"\n'
ROUTES = (
    Route(template="/", weight=90),
    Route(template="/p/{id}/", weight=10, paths=("/p/1/", "/p/1/", "/p/7/"), status=(200, 302), note="guessed"),
    Route(template="/s?q=tea", weight=1, method="HEAD", name='the "search"'),
)


def project(folder: Path, toml: str, traffic: str | None = None) -> Path:
    (folder / "prony.toml").write_text(toml, encoding="utf-8", newline="")
    if traffic is not None:
        (folder / "prony.traffic.toml").write_text(traffic, encoding="utf-8")
    return folder / "prony.toml"


def test_a_plan_reads_what_an_import_wrote(tmp_path: Path) -> None:
    found = rates({600: 60, 601: 90})
    plan = read_file(project(tmp_path, READS, written.toml(ROUTES, found, ["From access.log", ""], guessed=False)))
    assert plan.traffic.declared
    assert plan.traffic.recorded == RateSeries(step_s=60.0, rps=(1.0, 1.5))
    root, product, search = plan.traffic.requests
    assert (root.path, root.weight, root.paths, root.expected) == ("/", 90, (), False)
    assert (product.path, product.paths, product.expect.status) == ("/p/{id}/", ("/p/1/", "/p/1/", "/p/7/"), (200, 302))
    assert (search.method, search.name, search.path) == ("HEAD", 'the "search"', "/s?q=tea")
    assert changed(plan, {"server.workers": 3}).traffic == plan.traffic


def test_a_guessed_mix_is_not_a_declared_one(tmp_path: Path) -> None:
    plan = read_file(project(tmp_path, READS, written.toml(ROUTES, None, [], guessed=True)))
    assert not plan.traffic.declared
    assert plan.traffic.recorded is None


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    path = project(tmp_path, READS, '[[request]]\npath = "/a"\n')
    assert read_file(path).traffic.requests[0].path == "/a"
    project(tmp_path, READS, '[[request]]\npath = "/other"\n')
    assert read_file(path).traffic.requests[0].path == "/other"


def test_paths_stand_in_prony_toml_too(tmp_path: Path) -> None:
    text = APP + '[[traffic.request]]\npath = "/p/{id}/"\npaths = ["/p/1/", "/p/1/", "/p/2/"]\n'
    assert read_file(project(tmp_path, text)).traffic.requests[0].paths == ("/p/1/", "/p/1/", "/p/2/")


REQUEST = '[[request]]\npath = "/"\n'
MANY = ", ".join(['"/x"'] * 1001)


@pytest.mark.parametrize(
    ("toml", "traffic", "found"),
    [
        (READS, None, ["[traffic] file", "cannot be read: No such file", "prony import"]),
        (READS, "", ["found no [[request]]", "prony import"]),
        (READS, "[[request", ["prony.traffic.toml is not TOML"]),
        (READS, "x = " + "[" * 30_000, ["prony.traffic.toml"]),
        (READS, "[[requst]]\npath = '/'", ["requst: found an unknown key", "Did you mean request"]),
        (READS, "[[request]]\nwieght = 3", ["wieght", "Did you mean weight?"]),
        (READS, "request = 3", ["found 3", "[[request]]"]),
        (READS, REQUEST * 1001, ["found 1001", "1 to 1000"]),
        (READS, REQUEST + 'paths = ["x"]', ["paths", 'found "x"']),
        (READS, REQUEST + 'paths = ["/a b"]', ["paths", 'found "/a b"']),
        (READS, REQUEST + f"paths = [{MANY}]", ["paths", "found 1001"]),
        (READS, '[[request]]\npath = "/{x}"\nparams = { x = ["1"] }\npaths = ["/2"]', ["found params beside"]),
        (READS, REQUEST + "[rate]\nrps = [1]", ["[rate] step is missing"]),
        (READS, REQUEST + "[rate]\nstep = '60s'\nrps = [-1]", ["[rate] rps: found [-1]"]),
        (READS, REQUEST + "[rate]\nstep = '60s'\nrps = []", ["[rate] rps: found []"]),
        (READS, REQUEST + "[rate]\nstep = '60s'\nrps = [nan]", ["[rate] rps: found [nan]"]),
        (READS, "guessed = 1\n" + REQUEST, ["guessed: found 1", "true or false"]),
        (READS + "[[traffic.request]]\npath = '/'", REQUEST, ["found both file and [[traffic.request]]"]),
        (APP + "[traffic]\nfile = '.'", None, ["which is no file"]),
        (APP + "[traffic]\nfile = 3", None, ["[traffic] file: found 3"]),
        (APP + "[traffic]\nfile = '" + "a" * 5000 + "'", None, ["cannot be read"]),
    ],
)
def test_a_mistake_is_one_paragraph(tmp_path: Path, toml: str, traffic: str | None, found: list[str]) -> None:
    with pytest.raises(PlanError) as caught:
        read_file(project(tmp_path, toml, traffic))
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 700
    for text in found:
        assert text in caught.value.paragraph()


# ---- the line in prony.toml


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (APP, APP + '\n[traffic]\nfile = "prony.traffic.toml"\n'),
        (APP.rstrip(), APP + '\n[traffic]\nfile = "prony.traffic.toml"\n'),
        (
            "# mine\n[traffic]  # load\nrate = 5\n\n" + APP,
            '# mine\n[traffic]  # load\nfile = "prony.traffic.toml"\nrate = 5\n\n' + APP,
        ),
        ("[traffic]\r\nrate = 5\r\n", '[traffic]\r\nfile = "prony.traffic.toml"\r\nrate = 5\r\n'),
        ("[ traffic ]", '[ traffic ]\nfile = "prony.traffic.toml"\n'),
    ],
)
def test_one_line_is_added_and_all_else_kept(tmp_path: Path, before: str, after: str) -> None:
    path = project(tmp_path, before)
    path.chmod(0o640)
    reads, said = written.link(path)
    assert reads
    assert "nothing else was changed" in said
    assert path.read_bytes().decode() == after
    assert path.stat().st_mode & 0o777 == 0o640
    assert written.link(path) == (True, f"{path} reads it already.")


@pytest.mark.parametrize(
    "text",
    [
        "traffic = { rate = 5 }\n" + APP,
        "traffic.rate = 5\n" + APP,
        APP + '[traffic]\nfile = "other.toml"\n',
        APP + "[[traffic.request]]\npath = '/'\n",
        'x = """\n[traffic]\n"""\n[app]\n[ "traffic" ]\n',
        "traffic = 3\n",
    ],
)
def test_where_that_is_not_safe_the_file_stays_and_the_line_is_told(tmp_path: Path, text: str) -> None:
    path = project(tmp_path, text)
    reads, said = written.link(path)
    assert not reads
    assert written.LINE in said
    assert path.read_text(encoding="utf-8") == text


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    path = project(tmp_path, APP)
    assert written.link(path, write=False)[0] is False
    assert path.read_text(encoding="utf-8") == APP


def test_only_a_file_of_ours_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "prony.traffic.toml"
    written.put(path, written.toml(ROUTES, None, [], guessed=False))
    written.put(path, written.toml(ROUTES[:1], None, [], guessed=False))
    assert len(tomllib.loads(path.read_text(encoding="utf-8"))["request"]) == 1
    path.write_text("[[request]]\npath = '/mine'\n", encoding="utf-8")
    with pytest.raises(PlanError, match="did not write it"):
        written.put(path, "")
    assert [each.name for each in tmp_path.iterdir()] == ["prony.traffic.toml"]


@given(
    st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=90).map("/{}".format), max_size=60)
)
def test_any_paths_come_back_as_they_were(paths: list[str]) -> None:
    text = written.toml([Route(template="/{x}", paths=tuple(paths))], None, [], guessed=False)
    (request,) = tomllib.loads(text)["request"]
    assert request.get("paths", []) == paths
