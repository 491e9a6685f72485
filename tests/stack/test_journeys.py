from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from prony.load import journeys
from prony.load.account import LoadResult
from prony.load.spec import LoadSpec, RequestSpec
from prony.stack.services.nginx import certify
from tests.stack.journey_case import WHOLE, journey, load, seen, shop

BUY = """
async def go(visitor):
    await visitor.get("/")
    visitor.see("Product 3")
    await visitor.follow("a.product", at_random=True)
    await visitor.submit("form#add", qty=2)
    visitor.see("Thanks & goodbye: 2")
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with shop() as found:
        yield found


def test_a_journey_buys_with_the_forms_own_token_and_each_step_is_a_sample(port: int, tmp_path: Path) -> None:
    before = seen(port)
    came = load(port, tmp_path, journey(tmp_path, BUY), **WHOLE)
    assert came.steps == {
        ("/", "ok"): 3,
        ("/products/{id}/", "ok"): 3,
        ("POST /cart/", "ok"): 3,
        ("/cart/", "ok"): 3,
    }
    sold = {name: n - before.get(name, 0) for name, n in seen(port).items() if name.startswith("sold")}
    assert sum(sold.values()) == 3
    assert all(name.endswith(" 2 l") for name, n in sold.items() if n), "what was chosen already is sent along"
    assert not came.result.failed_checks
    assert came.result.done == came.result.sent == 12


def test_over_https_a_journey_is_a_browsers_over_https(tmp_path: Path) -> None:
    """A form is sent with the origin that Django and others look for, and Secure cookies are nothing to be told."""
    certify(tmp_path / "certificate.pem", tmp_path / "key.pem")
    code = """
    async def go(visitor):
        await visitor.get("/secure/")
        await visitor.get("/products/3/")
        await visitor.submit("form#add", qty=4)
        visitor.see("goodbye: 4")
    """
    with shop(str(tmp_path)) as port:
        came = load(port, tmp_path, journey(tmp_path, code), https=True, **WHOLE)
    assert not came.result.failed_checks
    assert not came.result.remarks
    assert came.steps["POST /cart/", "ok"] == came.steps["/cart/", "ok"] == 3


def test_a_step_is_due_when_the_former_had_ended_plus_the_pause(port: int, tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        await visitor.get("/")
        await visitor.get("/cart/")
        await visitor.pause(0.05)
        await visitor.get("/products/1/")
    """
    came = load(port, tmp_path, journey(tmp_path, code), **WHOLE | {"users": 1})
    first, second, third = came.samples
    assert second["due_ns"] == first["done_ns"]
    assert third["due_ns"] == second["done_ns"] + 50_000_000
    assert (came.samples["sent_ns"] >= came.samples["due_ns"]).all()


def test_arrivals_are_of_visitors_and_requests_by_weight(port: int, tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        await visitor.get("/cart/")
        await visitor.get("/cart/")
    """
    made = journey(tmp_path, code, weight=1)
    request = RequestSpec(path="/products/1/", weight=3)
    came = load(port, tmp_path, made, requests=(request,), rate_rps=400.0, duration_s=1.0)
    plain, steps = came.steps["/products/1/", "ok"], came.steps["/cart/", "ok"]
    assert plain + steps / 2 == pytest.approx(400, abs=2)
    assert 0.6 < plain / 400 < 0.9
    first = came.samples["due_ns"][came.samples["route"] == 0]
    assert (np.diff(np.sort(first)) % 2_500_000 < 1000).all(), "requests keep to the arrivals"


def test_what_is_not_seen_fails_the_step_and_ends_the_journey(port: int, tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        await visitor.get("/")
        await visitor.pause(0.01)
        visitor.see("Elephants")
        await visitor.get("/cart/")
    """
    came = load(port, tmp_path, journey(tmp_path, code), **WHOLE)
    assert came.steps == {("/", "check_failed"): 3}
    assert came.result.failed_checks == {'/: the page does not contain "Elephants"': 3}


@pytest.mark.parametrize(
    ("step", "steps", "why"),
    [
        ('get("/nothing/")', {("/nothing/", "wrong_status"): 1}, ""),
        ('get("/nothing/", expect=404)', {("/nothing/", "ok"): 1, ("/cart/", "ok"): 1}, ""),
        ('get("/account/", follow=False)', {("/account/", "ok"): 1, ("/cart/", "ok"): 1}, ""),
        ('get("/account/", expect=(301, 302))', {("/account/", "ok"): 1, ("/cart/", "ok"): 1}, ""),
        ('get("/account/")', {("/account/", "ok"): 1, ("/login/", "ok"): 1, ("/cart/", "ok"): 1}, ""),
        ('get("/reset/")', {("/reset/", "reset"): 1}, ""),
        ('get("/away/")', {("/away/", "check_failed"): 1}, "redirects out of the stack, to shop.example.com"),
        ('get("/loop/")', {("/loop/", "ok"): 5, ("/loop/", "check_failed"): 1}, "more than 5 redirects"),
        ('get("/big/")', {("/big/", "ok"): 1, ("/cart/", "ok"): 1}, ""),
        ('get("/products/7/", name="one")', {("one", "ok"): 1, ("/cart/", "ok"): 1}, ""),
        ('post("/cart/", form={"a": "b"})', {("POST /cart/", "wrong_status"): 1}, ""),
    ],
)
def test_a_step_ends_in_its_outcome(
    port: int, tmp_path: Path, step: str, steps: dict[tuple[str, str], int], why: str
) -> None:
    code = f"""
    async def go(visitor):
        await visitor.{step}
        await visitor.get("/cart/")
    """
    came = load(port, tmp_path, journey(tmp_path, code), **WHOLE | {"users": 1})
    assert came.steps == steps
    assert why in " ".join(came.result.failed_checks)
    assert bool(why) == bool(came.result.failed_checks)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ('visitor.page.first("h7")', "there is no h7 on the page"),
        ('await visitor.follow("#away")', "a link on / leads out of the stack, to example.com"),
        ('await visitor.follow("a.none")', "there is no link a.none on /"),
        ('await visitor.submit("form#add")', "there is no form at form#add on the page"),
        ('visitor.check(1 > 2, "one is not above two")', "/: one is not above two"),
        ("visitor.page.json()", "its body is no JSON"),
    ],
)
def test_a_page_that_lacks_something_fails_its_step(port: int, tmp_path: Path, code: str, why: str) -> None:
    whole = f'async def go(visitor):\n    await visitor.get("/")\n    {code}\n'
    came = load(port, tmp_path, journey(tmp_path, whole), **WHOLE | {"users": 1})
    assert came.steps == {("/", "check_failed"): 1}
    assert why in next(iter(came.result.failed_checks))


def test_a_journey_that_raises_is_told_with_its_line_and_the_load_goes_on(port: int, tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        await visitor.get("/")
        find(visitor)

    def find(visitor):
        return {}[visitor.user["password"]]

    async def fine(visitor):
        await visitor.get("/cart/")

    async def at_once(visitor):
        raise SystemExit(3)
    """
    users = "username,password\nann,s3cret-word\n"
    made = [journey(tmp_path, code, name, users) for name in ("go", "fine", "at_once")]
    came = load(port, tmp_path, *made, rate_rps=300.0)
    assert came.steps["/", "journey_error"]
    assert came.steps["/cart/", "ok"]
    assert came.steps["journeys.py:at_once", "journey_error"]
    assert not came.steps["/", "ok"]
    assert came.result.failed_checks.keys() == {
        "journeys.py:7 in find: KeyError: '…'",
        "journeys.py:13 in at_once: SystemExit: 3",
    }
    assert not came.result.interrupted


def test_awaiting_anything_else_is_refused(port: int, tmp_path: Path) -> None:
    code = """
    import asyncio

    async def go(visitor):
        await visitor.get("/")
        await asyncio.sleep(0.01)

    async def stubborn(visitor):
        await visitor.get("/")
        while True:
            try:
                await asyncio.sleep(0.01)
            except Exception:
                pass
    """
    for name in ("go", "stubborn"):
        came = load(port, tmp_path, journey(tmp_path, code, name), **WHOLE | {"users": 1})
        assert came.steps == {("/", "journey_error"): 1}
        assert "awaits only what its visitor does" in next(iter(came.result.failed_checks))


def test_a_stopped_server_neither_ends_nor_spins_a_journey_that_tries_again(tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        for _ in range(500):
            try:
                await visitor.get("/")
            except Exception:
                pass
    """
    came = load(9, tmp_path, journey(tmp_path, code), arrivals="closed", users=2, duration_s=0.3)
    assert came.steps.keys() == {("/", "refused")}
    assert 2 <= sum(came.steps.values()) <= 2 * 31


def test_a_journey_without_end_stays_within_its_steps(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journeys, "STEPS_MAX", 20)
    code = """
    async def go(visitor):
        while True:
            await visitor.get("/cart/")
    """
    came = load(port, tmp_path, journey(tmp_path, code), **WHOLE | {"users": 1})
    assert came.steps == {("/cart/", "ok"): 20}
    assert "a run was ended after 20 steps" in came.result.remarks[0]


def test_what_is_due_after_the_window_is_not_sent(port: int, tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        try:
            await visitor.get("/")
            await visitor.pause(100)
        finally:
            await visitor.get("/cart/")
    """
    came = load(port, tmp_path, journey(tmp_path, code), drain_s=60.0)
    assert came.steps == {("/", "ok"): 10}


def test_runs_leave_nothing_behind_for_a_collector_that_is_off(port: int, tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        await visitor.get("/")
        visitor.page.all("a")
        visitor.see("Elephants")
    """
    kinds = {"Visitor", "Run", "Page", "coroutine"}

    def alive() -> int:
        return sum(type(each).__name__ in kinds for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = alive()
        load(port, tmp_path, journey(tmp_path, code), rate_rps=300.0)
        assert alive() - before < 10
    finally:
        gc.enable()


def worker(folder: Path, spec: LoadSpec) -> subprocess.CompletedProcess[str]:
    path = folder / "spec.json"
    path.write_bytes(msgspec.json.encode(spec))
    command = [sys.executable, "-P", "-m", "prony.load.worker", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_workers_lines_stay_whole_whatever_a_journey_prints_and_its_folder_is_not_written_to(
    port: int, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "beside.py").write_text("PATH = '/cart/'\n", encoding="utf-8")
    code = """
    import os, sys
    import beside

    async def go(visitor):
        print("x" * 1000)
        os.write(1, b"y" * 1000)
        sys.stderr.write("z" * 1000)
        await visitor.get(beside.PATH)
    """
    made = journey(project, code)
    spec = LoadSpec(
        host="127.0.0.1",
        port=port,
        journeys=(made,),
        arrivals="constant",
        rate_rps=200,
        duration_s=1,
        segment=str(tmp_path / "segment"),
    )
    ended = worker(tmp_path, spec)
    assert ended.returncode == 0, ended.stderr
    result = msgspec.json.decode(ended.stdout.splitlines()[-1], type=LoadResult)
    assert result.done == 200
    assert all(json.loads(line)["kind"] in {"tick", "result"} for line in ended.stdout.splitlines())
    assert len(ended.stderr) <= 64 * 1024
    assert {path.name for path in project.iterdir()} == {"beside.py", "journeys.py"}


def test_a_file_that_cannot_be_run_is_told_with_its_line(port: int, tmp_path: Path) -> None:
    made = journey(tmp_path, "import os\n1 / 0\nasync def go(visitor): ...\n")
    spec = LoadSpec(
        host="127.0.0.1", port=port, journeys=(made,), arrivals="closed", users=1, duration_s=1, segment="/dev/null"
    )
    ended = worker(tmp_path, spec)
    assert ended.returncode == 2
    assert ended.stderr == "prony.load.worker: journeys.py:2: ZeroDivisionError: division by zero\n"


@pytest.mark.long
def test_code_that_does_not_come_to_its_next_step_is_ended(port: int, tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        await visitor.get("/cart/")
        while True:
            pass
    """
    came = load(port, tmp_path, journey(tmp_path, code), **WHOLE | {"users": 1})
    assert came.steps == {("/cart/", "journey_error"): 1}
    assert "TimeoutError: no step for 5 s" in next(iter(came.result.failed_checks))
