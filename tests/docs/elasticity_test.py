#!/usr/bin/env python3
"""docs/examples/elasticity/elasticity.py, on a results file whose slopes are known."""

import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = SOURCE / "docs" / "examples" / "elasticity" / "elasticity.py"
sys.path.insert(0, str(PROGRAM.parent))
sys.dont_write_bytecode = True

import elasticity  # noqa: E402

TEXTS = ("cell", "edit", "stage")
WHOLE = ("ordinal", "step", "edit_tokens")
NUMBERS = ("l", "k", "gamma_general", "gamma_edits_taught", "gamma_task")
NAN = math.nan


def write(path, rows):
    with h5py.File(path, "w") as file:
        table = file.create_group("metrics/compression")
        table["row"] = numpy.arange(len(rows))
        for i, name in enumerate((*TEXTS, *WHOLE, *NUMBERS)):
            kind = h5py.string_dtype() if name in TEXTS else "int64" if name in WHOLE else "float64"
            table.create_dataset(name, data=[row[i] for row in rows], dtype=kind)


def row(cell, stage, step, l, general, taught, edit_tokens=200, k=1000.0):
    return (cell, "", stage, {"base": 0, "edited": 1}.get(stage, 2), step, edit_tokens, l, k, general, taught, NAN)


# gamma(D2) rises by 0.2 per unit of l up to 0.5 and by 0.04 beyond; gamma(D1) falls by 0.001 and rises by 0.002.
MEMIT = [row("memit,r0", "base", 0, NAN, 0.9, 2.0, 0, NAN),
         row("memit,r0", "edited", 0, 0.0, 0.91, 1.0),
         row("memit,r0", "step", 0, 0.0, 0.91, 1.0),
         row("memit,r0", "step", 2, 0.5, 0.9095, 1.1),
         row("memit,r0", "finetuned", 10, 3.0, 0.9145, 1.2)]
UNEDITED = [row("unedited,r0", "base", 0, NAN, 0.9, 2.0, 0, NAN), row("unedited,r0", "finetuned", 10, NAN, 0.92, 2.1, 0, NAN)]


class Elasticity(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="palimpsest-test-")
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / "elasticity.h5"

    def rows(self, rows):
        write(self.file, rows)
        return elasticity.read(self.file)

    def test_slopes_are_finite_differences_of_successive_points(self):
        # The rows of a file need no order.
        (key, points), = elasticity.curves(self.rows(list(reversed(MEMIT)))).items()
        self.assertEqual(key, ("memit,r0", "", 200))
        self.assertEqual([point["l"] for point in points], [0, 0.5, 3])
        slopes = [elasticity.slope(*pair, "gamma_edits_taught") for pair in zip(points, points[1:])]
        self.assertTrue(numpy.allclose(slopes, [0.2, 0.04]), slopes)
        slopes = [elasticity.slope(*pair, "gamma_general") for pair in zip(points, points[1:])]
        self.assertTrue(numpy.allclose(slopes, [-0.001, 0.002]), slopes)

    def test_curves_are_of_one_model_and_one_set_of_edits(self):
        again = [row("memit,r0", "edited", 0, 1.5, 0.9145, 0.5, edit_tokens=400),
                 row("memit,r0", "finetuned", 10, 2.5, 0.92, 0.7, edit_tokens=400)]
        other = [row("memit,r1", "edited", 0, 0.0, 0.9, 1.0)]
        found = elasticity.curves(self.rows(MEMIT + again + other))
        self.assertEqual({key: len(points) for key, points in found.items()},
                         {("memit,r0", "", 200): 3, ("memit,r0", "", 400): 2, ("memit,r1", "", 200): 1})

    def printed(self, rows):
        write(self.file, rows)
        done = subprocess.run([sys.executable, "-B", PROGRAM, self.file], capture_output=True, text=True, check=True)
        return done.stdout

    def test_prints_the_slopes_and_marks_the_points_that_the_equation_is_about(self):
        text = self.printed(MEMIT + UNEDITED)
        lines = text.splitlines()
        self.assertEqual(lines[0], "memit,r0: |D2| = 200 tokens")
        self.assertEqual(lines[2].split(), ["edited", "0", "0", "0.9100", "1.0000", "-", "-", "-", "-"])
        self.assertEqual(lines[3].split(),
                         ["step", "2", "0.5*", "0.9095", "1.1000", "-", "+2.000e-01", "-1.000e-03", "+1.000e+00"])
        self.assertEqual(lines[4].split(),
                         ["finetuned", "10", "3", "0.9145", "1.2000", "-", "+4.000e-02", "+2.000e-03", "-2.000e+00"])
        self.assertEqual(lines[5], "unedited,r0: nothing was edited, so there is no l")
        self.assertTrue(lines[6].startswith("* l < 1, at 1 measuring points;"), text)

    def test_says_where_the_equation_says_nothing(self):
        self.assertIn("No measuring point has l < 1", self.printed([MEMIT[1], MEMIT[4]]))

    def test_a_file_without_the_metric_is_refused(self):
        with h5py.File(self.file, "w"):
            pass
        done = subprocess.run([sys.executable, "-B", PROGRAM, self.file], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no metric compression was measured", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
