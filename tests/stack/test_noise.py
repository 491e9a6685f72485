"""An app compared with itself on real servers: what `prony doctor --noise` does, with a smaller app, in less time."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest

from prony.campaign import noise
from prony.campaign.bench import Bench
from prony.campaign.recall import recall
from prony.doubts import voids_all
from prony.plan import read_file
from prony.recording import Store
from tests.stack.test_trial import FAST

pytestmark = [pytest.mark.alone, pytest.mark.long]


def test_an_app_is_compared_with_itself_and_what_came_of_it_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "one.py").write_text(FAST, encoding="utf-8")
    toml = f'[app]\nentry = "one:application"\npython = "{sys.executable}"\n[[traffic.request]]\npath = "/"\n'
    (tmp_path / "prony.toml").write_text(toml, encoding="utf-8")
    with closing(Store(tmp_path / "prony.db")) as store:
        with Bench(store, "doctor", "noise", tmp_path / "bench", stacks=2) as bench:
            found = noise.measure(bench, read_file(tmp_path), app="a small app", compared=10, trial_s=1.0)
        assert noise.known() == found
        assert (found.starts, found.compared, found.trials) == (8, 10, 17)
        seen = {each.figure: each for each in found.figures}
        throughput = seen["saturated_rps"]
        void = [(each.entry.label, each.doubts) for each in bench.measured if voids_all(each.doubts)]
        assert throughput.starts == 8, void
        assert throughput.least_seen is not None
        assert 0 < throughput.least_seen < 10
        assert seen["database_connections"].starts == 0
        for each in found.canary:
            assert each.times >= 17, "before each trial, and after those that left the app idle"
            assert 0 < each.low_s <= each.median_s <= each.high_s
        campaign = store.campaign(found.campaign)
        document = recall(store, campaign)
    [comparison] = document.comparisons
    assert (document.verb, comparison.a, comparison.b) == ("doctor", "a small app", "a small app again")
    assert found.text.startswith("differences that prony compare sees here with 10 starts of each")
