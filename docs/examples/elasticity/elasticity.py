#!/usr/bin/env python3
"""How compression changes with fine-tuning: d gamma / dl by finite differences between successive measuring points.

    python3 elasticity.py FILE.h5

Reads /metrics/compression of a results file. gamma is in bits per byte: of D1, general text, the stand-in for pre-training; of D2,
what the edits taught; of D3, the task's validation text. l = |D3| / |D2| and k = |D1| / |D2| in tokens. The paper's equation
(arXiv 2507.14198), d gamma(D2)/dl = Theta(-k d gamma(D1)/dl), is for l << 1: a point with l < 1 is marked with *, and the last line
says whether there is any. The right side is printed where k is known (`pretraining_tokens` of the metric). Needs h5py.
"""

import itertools
import math
import sys

import h5py

GAMMAS = {"gamma(D1)": "gamma_general", "gamma(D2)": "gamma_edits_taught", "gamma(D3)": "gamma_task"}


def read(path):
    """The rows of /metrics/compression, one dictionary each."""
    with h5py.File(path) as file:
        if "metrics/compression" not in file:
            raise SystemExit(f"{path}: no metric compression was measured")
        columns = {name: column.asstr()[:] if h5py.check_string_dtype(column.dtype) else column[:]
                   for name, column in file["metrics/compression"].items() if name != "row"}
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def curves(rows):
    """Measuring points by model and size of D2, in the order of l, each l once. Where nothing was edited there is no l."""
    def model(row):
        return row["cell"], row["edit"], int(row["edit_tokens"])

    found = {}
    for key, points in itertools.groupby(sorted(rows, key=lambda row: (*model(row), row["l"])), key=model):
        points = [row for row in points if math.isfinite(row["l"])]
        found[key] = [row for i, row in enumerate(points) if i == 0 or row["l"] > points[i - 1]["l"]]
    return {key: points for key, points in found.items() if points}


def slope(before, after, column):
    return (after[column] - before[column]) / (after["l"] - before["l"])


def lines(points):
    """The table of one curve. A slope stands at the later of its two points."""
    yield ["stage", "step", "l", *GAMMAS, "d gamma(D2)/dl", "d gamma(D1)/dl", "-k d gamma(D1)/dl"]
    for before, row in zip([None, *points], points):
        slopes = [math.nan] * 3
        if before is not None:
            general = slope(before, row, "gamma_general")
            slopes = [slope(before, row, "gamma_edits_taught"), general, -row["k"] * general]
        yield [row["stage"], str(row["step"]), f"{row['l']:.3g}{'*' if 0 < row['l'] < 1 else ''}",
               *(number(row[column], ".4f") for column in GAMMAS.values()), *(number(value, "+.3e") for value in slopes)]


def number(value, form):
    return format(value, form) if math.isfinite(value) else "-"


def report(rows):
    out, sampled = [], 0
    found = curves(rows)
    for (cell, edit, edit_tokens), points in found.items():
        out.append(f"{cell}{', ' + edit if edit else ''}: |D2| = {edit_tokens} tokens")
        table = list(lines(points))
        widths = [max(map(len, column)) for column in zip(*table)]
        out += ["  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in table]
        sampled += sum(0 < row["l"] < 1 for row in points)
    for cell in sorted({row["cell"] for row in rows} - {key[0] for key in found}):
        out.append(f"{cell}: nothing was edited, so there is no l")
    if sampled:
        out.append(f"* l < 1, at {sampled} measuring points; the equation is for l << 1 and says nothing about the others.")
    else:
        out.append("No measuring point has l < 1: the equation, which is for l << 1, says nothing about this file.")
    return "\n".join(out)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(report(read(sys.argv[1])))
