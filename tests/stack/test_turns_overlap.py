from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prony.campaign import compare
from prony.comparison import Contest
from tests.stack.turns_case import burning, opened

pytestmark = [pytest.mark.alone, pytest.mark.long]


def test_answers_that_run_into_the_others_turns_are_measured_again_and_then_one_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path) as rig:
        plans = [burning(rig, "sluggish", 0.03), burning(rig, "as_sluggish", 0.03)]
        contest = Contest(
            2,
            most=4,
            seed=3,
            figures=compare.FIGURES,
            higher_is_better=compare.HIGHER_IS_BETTER,
            follows=compare.FOLLOWS,
        )
        before = len(rig.bench.measured)
        compare.hold(rig.bench, contest, ["one", "two"], plans, rate_rps=10, trial_s=1.0, answer_s=0.001)
        served = [side[compare.SATURATED] for side in contest.found]
        assert np.shape(served) == (2, 4)
        assert np.isfinite(served).all()
        for round_ in (rig.bench.measured[before : before + 4], rig.bench.measured[before + 4 : before + 8]):
            assert "turns_overlap" in {doubt.name for each in round_ for doubt in each.doubts}
        turned = [each.plan.traffic.turns is not None for each in rig.bench.measured[before:]]
        assert turned == [True] * 8 + [False] * 16
        assert len(rig.bench.stacks) == 1, "what would stand beside a start that is measured by itself is gone"
