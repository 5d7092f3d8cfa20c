#!/usr/bin/env python3
"""Writes statistics_reference.json: the numbers statistics_test.cpp compares with, computed apart from the C++ code.

Needs numpy only. Bootstrap intervals come from another generator, so they agree within the noise of the resamples; everything
else is exact. Run: python3 statistics_reference.py > statistics_reference.json
"""
import itertools
import json
from statistics import NormalDist

import numpy as np

RESAMPLES = 100_000
rng = np.random.default_rng(20240611)


def interval(draws):
    draws = np.asarray(draws, dtype=float)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return {"low": float(low), "high": float(high)}


def two_level(replicates, statistic):
    """Draws replicates, then rows within each; `replicates` is a list of arrays [rows, columns]."""
    draws = np.empty(RESAMPLES)
    count = len(replicates)
    for i in range(RESAMPLES):
        chosen = rng.integers(count, size=count) if count > 1 else [0]
        rows = [replicates[r][rng.integers(len(replicates[r]), size=len(replicates[r]))] for r in chosen]
        draws[i] = statistic(np.concatenate(rows))
    return draws


def retention(rows):
    held = rows[:, 0].sum()
    return np.nan if held == 0 else (rows[:, 0] * rows[:, 1]).sum() / held


def net_ratio(rows):
    held = rows[:, 0].sum()
    return np.nan if held == 0 else rows[:, 1].sum() / held


def sign_flip(differences):
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=len(differences))))
    sums = np.abs(signs @ differences)
    return float(np.mean(sums >= abs(differences.sum()) - 1e-12 * np.abs(differences).sum()))


def holm(p):
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate((len(p) - np.arange(len(p))) * np.asarray(p)[order]))
    return adjusted.tolist()


def trapezoid(y, x):
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


margins = [np.round(rng.normal(mean, 1.0, size), 3) for mean, size in ((0.2, 12), (0.9, 15), (0.5, 12))]
outcomes = [
    np.stack([rng.random(20) < 0.8, rng.random(20) < share], axis=1).astype(float) for share in (0.5, 0.7, 0.6)
]
others = [np.stack([rng.random(25) < 0.9, rng.random(25) < 0.9], axis=1).astype(float) for _ in range(3)]
differences = np.round(rng.normal(0.4, 1.0, 12), 2)
many = np.round(rng.normal(0.25, 1.0, 40), 2)
p_values = [0.01, 0.04, 0.03, 0.005, 0.5]
steps = [0, 1, 2, 5, 10, 20, 40]
curve = [1.0, 1.0, 0.9, 0.75, 0.5, 0.45, 0.4]

flips = rng.choice([-1.0, 1.0], size=(400_000, len(many)))
many_p = float(np.mean(np.abs(flips @ many) >= abs(many.sum()) - 1e-12))

unpaired = np.empty(RESAMPLES)
for i in range(RESAMPLES):
    chosen = rng.integers(3, size=3)
    a = np.concatenate([outcomes[r][rng.integers(20, size=20)] for r in chosen])
    b = np.concatenate([others[r][rng.integers(25, size=25)] for r in chosen])
    unpaired[i] = a[:, 1].mean() - b[:, 1].mean()

power = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)
pooled = np.concatenate(margins)
print(json.dumps({
    "margins": [m.tolist() for m in margins],
    "outcomes": [o.tolist() for o in outcomes],
    "others": [o.tolist() for o in others],
    "mean": {"estimate": float(pooled.mean()), **interval(two_level([m[:, None] for m in margins], np.mean))},
    "mean_facts_only": {"estimate": float(margins[0].mean()), **interval(two_level([margins[0][:, None]], np.mean))},
    "retention": {"estimate": float(retention(np.concatenate(outcomes))), **interval(two_level(outcomes, retention))},
    "net_ratio": {"estimate": float(net_ratio(np.concatenate(outcomes))), **interval(two_level(outcomes, net_ratio))},
    "mean_difference": {
        "estimate": float(np.concatenate(outcomes)[:, 1].mean() - np.concatenate(others)[:, 1].mean()), **interval(unpaired)},
    "differences": differences.tolist(),
    "sign_flip_p": sign_flip(differences),
    "many": many.tolist(),
    "many_p": many_p,
    "p_values": p_values,
    "holm": holm(p_values),
    "steps": steps,
    "curve": curve,
    "area": trapezoid(np.array(curve), np.array(steps, dtype=float)) / 40,
    "unpaired_60_60": [float(power * np.sqrt(p * (1 - p) * 2 / 60)) for p in (0.5, 0.85)],
    "paired_60": float(power * np.sqrt(0.25 / 60)),
}, indent=1))
