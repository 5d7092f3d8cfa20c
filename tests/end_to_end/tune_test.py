"""`palimpsest tune`: a search finds better settings than bad ones, the same every time, and refuses what it must not do."""

import re
import subprocess
import time
import unittest

import h5py
import xarray

from documented import not_there, undocumented
from world import World, kill_group

# A bad start: next to no training.
TUNE = """
[editor]
id = "ft"
layers = [1]
loss = "target"
lr = 1e-6
num_steps = 2

[tune]
trials = 5
seed = 4

[tune.search]
lr = { min = 0.02, max = 0.1, log = true }
num_steps = { min = 60, max = 120 }
"""
EDIT_ONLY = ('experiment.stages=["edit"]', 'edit.scope="batch"', "experiment.replicates=1", "facts.intrinsic=0")


def searching(world, tune=TUNE):
    """The tiny experiment as a search."""
    text = world.config.read_text(encoding="utf-8")
    start, end = text.index("[editor]"), text.index("[task]")
    text = text[:start] + tune + text[end:]
    text = text[:text.index("[[sweep.variants]]")]
    world.config.write_text(text, encoding="utf-8")
    return world


def tune(world, *words, sets=EDIT_ONLY, **how):
    sets = (f"experiment.output={world.output}", *sets)
    return world.do("tune", world.config, *words, *(word for s in sets for word in ("--set", s)), **how)


def trials(world):
    with xarray.open_dataset(world.output / "tiny.h5", group="trials", engine="h5netcdf") as table:
        return table.to_dataframe()


class Tune(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = searching(World())
        cls.done = tune(cls.world)

    @classmethod
    def tearDownClass(cls):
        cls.world.__exit__()

    def test_trials_are_the_start_and_draws_from_the_ranges(self):
        found = trials(self.world)
        self.assertEqual(list(found.trial), [0, 1, 2, 3, 4])
        self.assertEqual(found.at_lr[0], 1e-6)
        self.assertEqual(found.at_num_steps[0], 2)
        self.assertTrue(found.at_lr[1:].between(0.02, 0.1).all())
        self.assertTrue(found.at_num_steps[1:].between(60, 120).all())
        self.assertEqual(found.best.sum(), 1)
        self.assertEqual(found[found.best == 1].iloc[0].score, found.score.max())

    def test_the_trials_are_documented(self):
        self.assertEqual(undocumented(self.world.output / "tiny.h5"), [])
        self.assertEqual(not_there(self.world.output / "tiny.h5"), [])

    def test_finds_better_than_the_bad_start(self):
        # A random model prefers one target to another by chance; that it says the new one is the edit's doing.
        with searching(World(self.world)) as world:
            tune(world, sets=(*EDIT_ONLY, 'tune.objective=["edit_success.target_exact_match", "edit_success.token_accuracy"]'))
            found = trials(world)
        self.assertEqual(found.score[0], 0)
        self.assertGreater(found.score.max(), 0.9)
        self.assertEqual(found[found.best == 1].iloc[0].score, found.score.max())

    def test_the_score_is_the_harmonic_mean_of_the_means(self):
        found = trials(self.world)
        with xarray.open_dataset(self.world.output / "tiny.h5", group="metrics/edit_success", engine="h5netcdf") as table:
            rows = table.to_dataframe()
        with xarray.open_dataset(self.world.output / "tiny.h5", group="quality_gate", engine="h5netcdf") as table:
            gate = table.to_dataframe().set_index("cell")
        self.assertEqual(set(gate.edit_score_source), {"edit_success.efficacy, edit_success.paraphrase_success, "
                                                       "edit_success.neighbourhood_success"})
        for trial, row in found.iterrows():
            own = rows[(rows.cell == f"trial=0{trial},r0") & (rows.stage == "edited") & (rows.role == "edited")]
            self.assertEqual(len(own), 3)
            means = [own[column].mean() for column in ("efficacy", "paraphrase_success", "neighbourhood_success")]
            for column, mean in zip(("efficacy", "paraphrase_success", "neighbourhood_success"), means):
                self.assertAlmostEqual(row[column], mean)
            wanted = 0 if min(means) == 0 else 3 / sum(1 / m for m in means)
            self.assertAlmostEqual(row.score, wanted)
            self.assertAlmostEqual(gate.edit_score[f"trial=0{trial},r0"], wanted)
            self.assertEqual(row.facts, 3)

    def test_prints_the_trials_and_writes_the_best_as_toml(self):
        best = self.world.output / "tiny.best.toml"
        text = best.read_text(encoding="utf-8")
        self.assertIn(text, self.done.stdout)
        self.assertRegex(self.done.stdout, r"trial +lr +num_steps +efficacy")
        self.assertEqual(len(re.findall(r"^ +\d+ .* best$", self.done.stdout, re.M)), 1)
        self.assertTrue(text.startswith("# Found by `palimpsest tune "), text)
        self.assertIn("No fine-tuned model was looked at.", text.replace("\n# ", " "))
        found = trials(self.world)
        row = found[found.best == 1].iloc[0]
        self.assertIn("[defaults.editor.ft]\n", text)
        self.assertIn("layers = [1]\n", text)
        self.assertIn(f"num_steps = {int(row.at_num_steps)}\n", text)
        # Laid over another experiment it is what that one edits with.
        (self.world.tiny / "again.toml").write_text(
            f'extends = ["{best}"]\n' + self.world.config.read_text(encoding="utf-8").replace(TUNE, '[editor]\nid = "ft"\n'),
            encoding="utf-8")
        self.world.do("validate", self.world.tiny / "again.toml", sets=EDIT_ONLY)
        shown = self.world.do("show", self.world.output / "tiny.h5")
        self.assertIn(shown.stdout.strip(), self.done.stdout)

    def test_attributes_say_what_was_searched(self):
        with h5py.File(self.world.output / "tiny.h5") as file:
            self.assertEqual(file["trials"].attrs["seed"], 4)
            self.assertIn("at_editor_lr", file["cells"])
            for column in file["trials"].values():
                if column.name != "/trials/row":
                    self.assertTrue(column.attrs["definition"], column.name)

    def test_the_same_again_and_stopped_on_the_way(self):
        with searching(World()) as other:
            tune(other)
            self.assertEqual(other.cells(), self.world.cells())
        with searching(World()) as stopped:
            sets = [w for s in (f"experiment.output={stopped.output}", *EDIT_ONLY) for w in ("--set", s)]
            started = subprocess.Popen(stopped.command("tune", stopped.config, *sets), cwd=stopped.root,
                                       env=stopped.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, start_new_session=True)
            while not stopped.cells() and started.poll() is None:
                time.sleep(0.05)
            kill_group(started)
            self.assertLess(len(stopped.cells()), 5)
            tune(stopped)
            self.assertEqual(stopped.cells(), self.world.cells())

    def test_more_trials_begin_with_the_same(self):
        with searching(World(self.world)) as more:
            done = tune(more, sets=(*EDIT_ONLY, "tune.trials=6"))
            self.assertEqual(len(trials(more)), 6)
            for name, digest in self.world.cells().items():
                self.assertEqual(more.cells()[name], digest)
            self.assertNotIn("error", done.stderr)

    def test_another_seed_is_another_search(self):
        with searching(World(self.world)) as other:
            plan = other.do("plan", other.config, sets=(*EDIT_ONLY, "tune.seed=5"))
            self.assertIn("trial=04,r0", plan.stdout)
            # The first trial does not follow from the seed.
            self.assertRegex(plan.stdout, r"stored +trial=00,r0: edit")
            self.assertRegex(plan.stdout, r"to run +trial=01,r0: edit")


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = searching(World())

    @classmethod
    def tearDownClass(cls):
        cls.world.__exit__()

    def refused(self, sentence, sets=EDIT_ONLY):
        done = tune(self.world, sets=sets, expect=1)
        self.assertIn(sentence, done.stderr)
        self.assertFalse(self.world.output.exists())

    def test_fine_tuning(self):
        self.refused('experiment.stages: found ["edit", "finetune"], expected ["edit"] with [tune]', sets=())

    def test_facts_of_others(self):
        published = self.world.tiny / "published.toml"
        with World() as plain:
            published.write_text(plain.config.read_text(encoding="utf-8"), encoding="utf-8")
        sets = (*EDIT_ONLY, 'tune.apart_from=["tiny/published.toml"]')
        self.refused("tune.apart_from: tiny/published.toml uses the rows from 0 on of facts.jsonl, and this search the rows "
                     "from 0 on, expected no row in both", sets)
        published.write_text(published.read_text(encoding="utf-8").replace("[facts]\n", "[facts]\nlimit = 12\n"),
                             encoding="utf-8")
        self.refused("uses the rows 0 to 11 of facts.jsonl", sets)
        self.world.do("validate", self.world.config, sets=(*sets, "facts.first=12"))

    def test_unknown_parameters(self):
        self.refused("tune.search.num_step: found an unknown key, expected a parameter of the editor ft (did you mean "
                     "\"num_steps\"?)", (*EDIT_ONLY, "tune.search={ num_step = { min = 1, max = 2 } }"))

    def test_columns_that_the_metric_has_not(self):
        self.refused('found edit_success.eficacy, expected a column that the metric edit_success declares (did you mean '
                     '"efficacy"?)', (*EDIT_ONLY, 'tune.objective=["edit_success.eficacy"]'))
        self.refused("found edit_success.x, expected a column that the metric edit_success declares: efficacy, ",
                     (*EDIT_ONLY, 'tune.objective=["edit_success.x"]'))

    def test_results_of_an_earlier_search_are_not_this_ones(self):
        with searching(World()) as world:
            tune(world)
            best = world.output / "tiny.best.toml"
            before = best.read_bytes()
            # The same name; every trial fails.
            done = tune(world, sets=(*EDIT_ONLY, "editor.lr=1e33",
                                     "tune.search={ lr = { min = 1e32, max = 1e34, log = true } }"), expect=1)
            self.assertIn("trial=00,r0: edit", done.stderr)
            self.assertEqual(best.read_bytes(), before)
            self.assertNotIn("best trial", done.stdout)

    def test_each_command_wants_its_own_files(self):
        done = self.world.run(sets=EDIT_ONLY, expect=1)
        self.assertIn("found a table [tune], which makes it a search; start it with `palimpsest tune ", done.stderr)
        with World() as plain:
            done = tune(plain, expect=1)
            self.assertIn("found no table [tune], expected one with the parameters to search", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
