"""The quickstart on the real model, shortened: what it must show whatever the machine, and that a second run is served.

Needs models/smollm2-135m-instruct and data/ in PALIMPSEST_TEST_HOME, which `palimpsest prepare` makes.
"""

import os
import shutil
import tempfile
import pathlib
import re
import subprocess
import time
import unittest

import xarray

from world import PROGRAM, REAL_HOME, SOURCE

# The facts and the edits are the quickstart's own; what is cut is fine-tuning and measuring.
SHORT = ("second_moments.tokens=8000", "training.max_steps=6", "training.measure_steps=[0, 3]",
         "training.validation_blocks=4", "task.score_documents=5", "run.threads=1")


class Quickstart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.assertTrue(cls(), (REAL_HOME / "models" / "smollm2-135m-instruct" / "model.safetensors").exists(),
                       f"{REAL_HOME} has no model: run `palimpsest prepare`")
        cls.folder = tempfile.TemporaryDirectory(prefix="palimpsest-test-")
        cls.root = pathlib.Path(cls.folder.name)
        # A home of its own, so that nothing is served from an earlier run; model and data by link.
        home = cls.root / "home"
        home.mkdir()
        for name in ("models", "data"):
            (home / name).symlink_to(REAL_HOME / name)
        cls.environment = {k: v for k, v in os.environ.items() if not k.startswith("PALIMPSEST_")}
        cls.environment["PALIMPSEST_HOME"] = str(home)
        cls.first, cls.first_seconds = cls.run_it()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root, ignore_errors=True)
        cls.folder.cleanup()

    def runTest(self):
        """Only an instance for setUpClass."""

    @classmethod
    def run_it(cls):
        line = [PROGRAM, "run", SOURCE / "configs" / "quickstart.toml", "--jobs", str(min(2, os.cpu_count() or 1))]
        for setting in (*SHORT, f"experiment.output={cls.root / 'out'}"):
            line += ["--set", setting]
        begin = time.monotonic()
        done = subprocess.run(line, cwd=cls.root, env=cls.environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=900, check=False)
        return done, time.monotonic() - begin

    def table(self, name):
        with xarray.open_dataset(self.root / "out" / "quickstart.h5", group=name, engine="h5netcdf") as table:
            return table.load().to_dataframe()

    def test_it_ends_well_and_says_what_it_found(self):
        self.assertEqual(self.first.returncode, 0, self.first.stderr)
        for word in ("edited", "intrinsic", "retention", "demonstration"):
            self.assertIn(word, self.first.stdout)
        print(self.first.stdout, f"{self.first_seconds:.0f} s")

    def test_edits_succeed(self):
        self.assertEqual(self.first.returncode, 0, self.first.stderr)
        rows = self.table("metrics/retention")
        edited = rows[(rows.role == "edited") & (rows.stage == "edited") & (rows.cell == "plain,r0")]
        self.assertEqual(len(edited), 5)
        self.assertGreaterEqual(edited.all_top1.mean(), 0.8)
        before = rows[(rows.role == "edited") & (rows.stage == "base") & (rows.cell == "plain,r0")]
        self.assertLess(before.all_top1.mean(), 0.5)

    def test_intrinsic_facts_are_known_at_the_base(self):
        rows = self.table("metrics/retention")
        base = rows[(rows.role == "intrinsic") & (rows.stage == "base")]
        # Another padding of the same prompt may turn a near-tie.
        self.assertGreaterEqual(base.all_top1.mean(), 0.9)

    def test_the_summary_has_both_roles_and_retention_is_a_share(self):
        summary = self.table("summary")
        self.assertEqual(set(summary.role), {"edited", "intrinsic"})
        for column in ("retention_edited", "retention_base"):
            values = summary[summary.outcome == "all_top1"][column].dropna()
            self.assertGreater(len(values), 0, column)
            self.assertTrue(((values >= 0) & (values <= 1)).all(), column)

    def test_the_plan_knows_what_memory_it_takes(self):
        rows = self.table("timing")
        peak = rows.peak_memory.max()
        line = [PROGRAM, "plan", SOURCE / "configs" / "quickstart.toml"]
        # Nothing of it is stored yet under this seed: a plan of what is done tells no estimate.
        for setting in (*SHORT, f"experiment.output={self.root / 'out'}", "experiment.seed=2"):
            line += ["--set", setting]
        done = subprocess.run(line, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=300,
                              check=True)
        predicted = int(re.search(r"about (\d+) MiB of memory each", done.stdout)[1])
        print(f"peak memory of a worker: predicted {predicted} MiB, measured {peak} MiB "
              f"({rows.label[rows.peak_memory.idxmax()]})")
        self.assertLess(abs(predicted / peak - 1), 0.15)

    def test_the_second_run_is_served(self):
        again, seconds = self.run_it()
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("0 nodes to run", again.stderr + again.stdout)
        self.assertLess(seconds, 5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
