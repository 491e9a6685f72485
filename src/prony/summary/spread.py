"""Durations in, their mean, quantiles and maximum out."""

from __future__ import annotations

from typing import Any

import numpy as np

from prony import stats

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


def spread(values_s: Any) -> dict[str, float | None]:
    """Mean, quantiles and maximum of durations; None throughout where there are none."""
    names = ("mean", *QUANTILES, "max")
    if len(values_s) == 0:
        return dict.fromkeys(names)
    ordered = np.sort(values_s)
    quantiles = {name: stats.quantile(ordered, q) for name, q in QUANTILES.items()}
    return {"mean": float(ordered.mean()), **quantiles, "max": float(ordered[-1])}
