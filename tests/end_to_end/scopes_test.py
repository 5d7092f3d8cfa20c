"""Edit scopes and orders of stages: isolated, sequential, batch; edit, finetune, reapply."""

import json
import unittest

import h5py
import numpy as np
import xarray
from safetensors.numpy import load_file

from world import World

ONE = ("experiment.replicates=1", 'sweep.variants=[{ name = "plain" }]')


def rewrite(facts, changed):
    """Changes the facts of a file: `changed` gives the fields to set in a fact."""
    lines = [json.loads(line) for line in facts.read_text().splitlines()]
    facts.write_text("".join(json.dumps({**fact, **changed(fact)}) + "\n" for fact in lines))


def points(world):
    with xarray.open_dataset(world.output / "cells" / "plain,r0.h5", group="metrics/retention",
                             engine="h5netcdf") as table:
        frame = table.to_dataframe()
    return frame, set(zip(frame.ordinal, frame.stage))


class Scopes(unittest.TestCase):
    def test_isolated_edits_each_fact_in_a_model_of_its_own(self):
        with World() as world:
            world.run(sets=(*ONE, 'edit.scope="isolated"'))
            frame, _ = points(world)
            after = frame[frame.ordinal > 0]
            self.assertEqual(after.edit.nunique(), 3)
            for edit, rows in after.groupby("edit"):
                self.assertEqual(set(rows.fact[rows.role == "edited"]), {edit})
            with h5py.File(world.output / "cells" / "plain,r0.h5") as file:
                self.assertEqual(len(file["updates/index/parameter"]), 3)
                self.assertEqual(set(file["updates/index/edit"].asstr()), set(after.edit))
                records = file["edit_records"]
                self.assertEqual(set(records["edit"].asstr()), set(after.edit))
                self.assertTrue(all(f in ("", e) for f, e in zip(records["fact"].asstr(), records["edit"].asstr())))

    def test_isolated_starts_every_edit_from_the_base_model(self):
        # The first edit of a sequence and the isolated edit of the same fact are the same edit.
        with World() as one, World() as other:
            one.run(sets=(*ONE, 'edit.scope="isolated"', 'experiment.stages=["edit"]'))
            other.run(sets=(*ONE, 'experiment.stages=["edit"]'))
            with h5py.File(one.output / "cells" / "plain,r0.h5") as a, \
                    h5py.File(other.output / "cells" / "plain,r0.h5") as b:
                first_a, first_b = arrays(a), arrays(b)
        self.assertTrue(first_a and first_b)
        self.assertEqual(sorted(first_a)[0], sorted(first_b)[0])
        self.assertTrue(any((first_a[k].shape == first_b[k].shape and (first_a[k] == first_b[k]).all())
                            for k in first_b if k in first_a))

    def test_batch_is_refused_by_an_editor_of_one_fact(self):
        with World() as world:
            done = world.run(sets=(*ONE, 'edit.scope="batch"'), expect=1)
            self.assertRegex(done.stderr, r'rome takes at most 1 fact.*edit\.scope = "batch".*"sequential" or "isolated"')
            self.assertIn("tiny.toml:", done.stderr)
            self.assertFalse(world.output.exists(), "it was refused after work had begun")


MEMIT = ('editor={ id = "memit", layers = [0, 1], v_num_grad_steps = 3, context_template_length_params = [3, 2] }',
         'experiment.stages=["edit"]', 'edit.scope="batch"')
ALPHAEDIT = ('editor={ id = "alphaedit", layers = [0, 1], v_num_grad_steps = 3, nullspace_threshold = 0.0, '
             'nullspace_energy = 0.2, context_template_length_params = [3, 2] }', 'edit.scope="batch"')


class Batches(unittest.TestCase):
    def index(self, world):
        with xarray.open_dataset(world.output / "cells" / "plain,r0.h5", group="updates/index", engine="h5netcdf") as table:
            return table.load().to_dataframe()

    def test_a_batch_is_one_update_a_layer_and_batches_follow_one_another(self):
        with World() as world:
            world.run(sets=(*ONE, *MEMIT))
            self.assertEqual(list(self.index(world)["rank"]), [3, 3])
            world.forget()
            world.run(sets=(*ONE, *MEMIT, "edit.batch_size=2"))
            made = self.index(world)
            self.assertEqual(list(made["rank"]), [2, 2, 1, 1])
            self.assertEqual(list(made.parameter), ["layers.0.mlp.down.weight", "layers.1.mlp.down.weight"] * 2)

    def test_state_is_kept_between_batches_and_stages(self):
        # The second stage edits the same facts again: with the keys of the first in the editor's cache.
        two = (*ONE, *ALPHAEDIT, "edit.batch_size=2", 'experiment.stages=["edit", "edit"]')
        with World() as through, World() as resumed:
            through.run(sets=two)
            resumed.run(sets=(*ONE, *ALPHAEDIT, "edit.batch_size=2", 'experiment.stages=["edit"]'))
            before = len(list((resumed.home / "store" / "stage").iterdir()))
            resumed.run(sets=two)
            self.assertEqual(len(list((resumed.home / "store" / "stage").iterdir())), before + 1)
            self.assertEqual(through.cells(), resumed.cells())

    def test_isolated_edits_start_without_state(self):
        # Whichever other facts there are: the first fact's isolated edit is the batch of that fact alone.
        isolated = (*ONE, *ALPHAEDIT, 'experiment.stages=["edit"]', 'edit.scope="isolated"')
        with World() as world, World() as alone:
            world.run(sets=isolated)
            alone.run(sets=(*isolated, 'edit.scope="batch"', "edit.batch_size=1"))
            with h5py.File(world.output / "cells" / "plain,r0.h5") as a, \
                    h5py.File(alone.output / "cells" / "plain,r0.h5") as b:
                edits, names = list(a["updates/index/edit"].asstr()), list(a["updates/index/data"].asstr())
                batches = list(b["updates/index/data"].asstr())
                self.assertEqual(len(set(edits)), 3)
                for part in ("u", "v"):
                    self.assertTrue((a[names[0]][part][...] == b[batches[0]][part][...]).all())
                    # The next one is edited in another model, and without the first one's keys.
                    self.assertFalse((a[names[2]][part][...] == b[batches[2]][part][...]).all())

    def test_the_lifelong_curve(self):
        with World() as world:
            world.run(sets=(*ONE, 'experiment.stages=["edit"]', "facts.edited=5", "edit.measure_every=2"))
            with xarray.open_dataset(world.output / "cells" / "plain,r0.h5", group="lifelong", engine="h5netcdf") as table:
                curve = table.load().to_dataframe()
            self.assertEqual([tuple(row) for row in curve[["edits", "group", "facts"]].to_numpy()],
                             [(2, "first", 2), (2, "last", 2), (2, "all", 2), (4, "first", 2), (4, "last", 2),
                              (4, "all", 4), (5, "first", 2), (5, "last", 2), (5, "all", 5)])
            self.assertTrue(curve.efficacy.between(0, 1).all())
            # At the end all edits are those that the metrics measure.
            with xarray.open_dataset(world.output / "cells" / "plain,r0.h5", group="metrics/edit_success",
                                     engine="h5netcdf") as table:
                measured = table.load().to_dataframe()
            edited = measured[(measured.role == "edited") & (measured.ordinal == 1)]
            last = curve[(curve.edits == 5) & (curve.group == "all")]
            self.assertAlmostEqual(last.efficacy.item(), edited.efficacy.mean())
            self.assertAlmostEqual(last.all_top1.item(), edited.target_exact_match.mean())
            with xarray.open_dataset(world.output / "cells" / "plain,r0.h5", group="metrics/retention",
                                     engine="h5netcdf") as table:
                measured = table.load().to_dataframe()
            margins = measured[(measured.role == "edited") & (measured.ordinal == 1)].margin
            self.assertIn(margins.isna().sum(), range(1, 5))  # facts whose targets begin with the same token
            self.assertAlmostEqual(last.margin.item(), margins.mean(), places=5)  # of those that are there

    def test_what_does_not_fit_the_scope_is_refused(self):
        with World() as world:
            for scope, setting in (("sequential", "edit.batch_size=2"), ("isolated", "edit.measure_every=2")):
                done = world.do("validate", world.config, sets=(*ONE, f'edit.scope="{scope}"', setting), expect=1)
                self.assertIn(setting.split("=")[0], done.stdout + done.stderr)


def arrays(file):
    found = {}
    file["updates/data"].visititems(lambda n, o: found.update({n: o[...]}) if isinstance(o, h5py.Dataset) and
                                    o.ndim == 2 else None)
    return found


def chain(world, names):
    """What the stages of a cell left in the store, in their order: {"updates": {name: array}, "weights": ..., "edited": ...}."""
    entries = {}
    for manifest in (world.home / "store" / "stage").rglob("manifest.json"):
        entry = json.loads(manifest.read_text(encoding="utf-8"))
        ingredients = dict(entry["ingredients"])
        # A fine-tuning is stored by its model and by what was measured along it; the next stage names the model alone.
        model, of = (ingredients["measure.stage"], "stage.") if ingredients["what"] == "tuned" else (entry["key"], "")
        entries[model] = (ingredients[of + "stage"], ingredients[of + "below"], manifest.parent)
    keys = {below for _, below, _ in entries.values()}
    (key,) = (key for key in entries if key not in keys)
    found = []
    for name in reversed(names):
        stage, below, folder = entries[key]
        assert stage == name
        found.insert(0, {path.stem: load_file(path) for path in folder.glob("*.safetensors")})
        key = below
    return found


class Stages(unittest.TestCase):
    """Orders of stages; the tests share a store, so that what the model knows and its second moments are computed once."""

    @classmethod
    def setUpClass(cls):
        cls.shared = World()

    @classmethod
    def tearDownClass(cls):
        cls.shared.__exit__()

    def stages(self, *names, extra=()):
        with World(self.shared) as world:
            listed = ", ".join(f'"{n}"' for n in names)
            world.run(sets=(*ONE, f"experiment.stages=[{listed}]", *extra))
            with h5py.File(world.output / "cells" / "plain,r0.h5") as file:
                self.updates = len(file["updates/index/order"]) if "updates" in file else 0
            return points(world)[1]

    def test_edit_only(self):
        self.assertEqual(self.stages("edit"), {(0, "base"), (1, "edited")})

    def test_finetune_only(self):
        self.assertEqual(self.stages("finetune"), {(0, "base"), (1, "step"), (1, "finetuned")})
        self.assertEqual(self.updates, 0)

    def test_finetune_then_edit(self):
        self.assertEqual(self.stages("finetune", "edit"),
                         {(0, "base"), (1, "step"), (1, "finetuned"), (2, "edited")})
        self.assertEqual(self.updates, 3)

    def test_isolated_edits_of_one_fine_tuned_model(self):
        # Before the first edit the chains of the edited facts are one: its rows stand once, for all of them.
        keys = {"metrics/retention": ["edit", "ordinal", "stage", "step", "fact"],
                "metrics/edit_success": ["edit", "ordinal", "stage", "step", "fact"],
                "metrics/first_token": ["edit", "ordinal", "stage", "step", "fact", "token_id"],
                "task_score/language_modeling": ["edit", "ordinal", "stage", "step"],
                "training": ["edit", "ordinal", "step"], "evaluations": ["edit", "ordinal", "step"],
                "weight_change": ["edit", "ordinal", "layer"], "dose": ["edit", "ordinal"]}
        with World(self.shared) as world:
            world.run(sets=(*ONE, 'experiment.stages=["finetune", "edit"]', 'edit.scope="isolated"'))
            path = world.output / "cells" / "plain,r0.h5"
            with h5py.File(path) as file:
                self.assertEqual({f"metrics/{name}" for name in file["metrics"]}, {k for k in keys if k.startswith("metrics/")})
                self.assertEqual(list(file["updates/index/ordinal"][...]), [2, 2, 2])
            tables = {name: xarray.load_dataset(path, group=name, engine="h5netcdf").to_dataframe()
                      for name in ("facts", *keys)}
        edited = set(tables["facts"].fact[tables["facts"].role == "edited"])
        self.assertEqual(len(edited), 3)
        for name, columns in keys.items():
            with self.subTest(name):
                table = tables[name]
                self.assertFalse(table.duplicated(columns).any())
                self.assertEqual(set(table.edit[table.ordinal == 1]), {""})
                if "stage" in columns:
                    self.assertEqual(set(table.edit[table.ordinal == 2]), edited)
                if "fact" in columns:
                    of_edited = table[table.role == "edited"]
                    for (ordinal, stage, step), rows in of_edited.groupby(["ordinal", "stage", "step"]):
                        self.assertEqual(set(rows.fact), edited, (ordinal, stage, step))
                    after = of_edited[of_edited.ordinal == 2]
                    self.assertEqual(list(after.fact), list(after.edit))

    def test_edit_finetune_reapply(self):
        self.assertEqual(self.stages("edit", "finetune", "reapply"),
                         {(0, "base"), (1, "edited"), (2, "step"), (2, "finetuned"), (3, "edited")})

    def test_edit_finetune_edit_finetune(self):
        self.assertEqual(self.stages("edit", "finetune", "edit", "finetune"),
                         {(0, "base"), (1, "edited"), (2, "step"), (2, "finetuned"), (3, "edited"), (4, "step"),
                          (4, "finetuned")})
        self.assertEqual(self.updates, 6)

    def test_edit_reapply_finetune(self):
        self.assertEqual(self.stages("edit", "reapply", "finetune"),
                         {(0, "base"), (1, "edited"), (2, "edited"), (3, "step"), (3, "finetuned")})

    def test_reapply_adds_the_last_edits_update_once_more(self):
        names = ["edit", "finetune", "edit", "finetune", "reapply"]
        with World() as world:
            world.run(sets=(*ONE, "experiment.stages=" + json.dumps(names)))
            with h5py.File(world.output / "cells" / "plain,r0.h5") as file:
                ordinals = list(file["updates/index/ordinal"][...])
                facts = [f.decode() for f in file["updates/requests/fact"][...]]
            first, tuned, second, last, again = chain(world, names)
        self.assertEqual(ordinals, [1, 1, 1, 3, 3, 3])
        self.assertEqual(facts[:3], facts[3:])
        self.assertEqual(len(set(facts)), 3)

        # Every fine-tuning here is followed by another stage, so each stage is in the store with its weights.
        self.assertEqual(set(first), {"updates"})
        weight = "layers.1.mlp.down.weight"
        change = sum(second["updates"][f"00000{i}.u.{weight}"].astype("f8") @
                     second["updates"][f"00000{i}.v.{weight}"].T.astype("f8") for i in (3, 4, 5))
        self.assertGreater(np.abs(change).max(), 1e-3)
        for before, after in ((tuned, second), (last, again)):
            added = after["weights"][weight].astype("f8") - before["weights"][weight]
            np.testing.assert_allclose(added, change, atol=1e-6)
            self.assertEqual(set(after["weights"]), set(before["weights"]))
            for name in after["weights"]:
                if name != weight:
                    np.testing.assert_array_equal(after["weights"][name], before["weights"][name], name)
            # What the edit, or reapply, left is from then on the `edited` that things are measured against.
            self.assertEqual(after["edited"], {})
        self.assertNotIn("edited", tuned)
        for name in last["weights"]:
            np.testing.assert_array_equal(last["edited"].get(name, last["weights"][name]), second["weights"][name], name)

    def test_matched_controls(self):
        with World(self.shared) as world:
            world.run(sets=(*ONE, 'facts.selection="matched"', "facts.caliper=0", "facts.intrinsic=3"))
            frame, _ = points(world)
            self.assertEqual(frame.fact[frame.role == "intrinsic"].nunique(), 3)

    def test_matched_controls_hold_the_facts_that_the_paired_replicate_edits(self):
        with World(self.shared) as world:
            world.run(sets=(*ONE, "experiment.replicates=2", 'experiment.stages=["edit"]', 'facts.selection="matched"',
                            "facts.caliper=0", "facts.intrinsic=5"))
            facts = {r: xarray.load_dataset(world.output / "cells" / f"plain,r{r}.h5", group="facts",
                                            engine="h5netcdf").to_dataframe() for r in (0, 1)}
        edited = {r: set(f.fact[f.role == "edited"]) for r, f in facts.items()}
        intrinsic = {r: set(f.fact[f.role == "intrinsic"]) for r, f in facts.items()}
        for r in (0, 1):
            self.assertLessEqual(edited[1 - r], intrinsic[r])
            self.assertEqual(len(intrinsic[r]), 5)
            self.assertFalse(intrinsic[r] & edited[r])

    def test_augmented_edits(self):
        records = {}
        for way in ("requests", "contexts"):
            with World(self.shared) as world:
                world.run(sets=(*ONE, 'experiment.stages=["edit"]', 'augmenter={ id = "paraphrase", count = 1 }',
                                f'edit.augment_as="{way}"'))
                with h5py.File(world.output / "cells" / "plain,r0.h5") as file:
                    records[way] = len(file["updates/index/parameter"])
        # A request of its own is an update of its own; a context belongs to the fact's one update.
        self.assertEqual(records, {"requests": 6, "contexts": 3})


class Requests(unittest.TestCase):
    def test_what_was_taught_is_recorded(self):
        with World() as world:
            world.run(sets=(*ONE, 'experiment.stages=["edit"]', 'augmenter={ id = "paraphrase", count = 1 }'))
            with xarray.open_dataset(world.output / "cells" / "plain,r0.h5", group="edit_requests",
                                     engine="h5netcdf") as table:
                taught = table.to_dataframe()
        self.assertEqual(list(taught.origin), ["own", "augmented"] * 3)
        self.assertEqual(taught.fact.nunique(), 3)
        self.assertTrue((taught.tokens > 2).all())
        self.assertTrue(taught.prompt.str.contains("{}", regex=False).all())

    def test_edited_true_writes_and_judges_the_true_answer(self):
        variants = 'sweep.variants=[{ name = "new" }, { name = "true", edit = { target = "true" } }]'
        with World() as world:
            # The facts of one relation have one true answer: the edit of one writes that of the others too.
            rewrite(world.tiny / "facts.jsonl",
                    lambda fact: {"target_true": "granite"} if fact["relation"] == "built_in" else {})
            world.run(sets=("experiment.replicates=1", variants))
            tables = {}
            for name in ("new", "true"):
                file = world.output / "cells" / f"{name},r0.h5"
                tables[name] = [xarray.load_dataset(file, group=group, engine="h5netcdf").to_dataframe()
                                for group in ("facts", "edit_requests", "metrics/retention")]
            new_facts, new_requests, new_rows = tables["new"]
            true_facts, true_requests, true_rows = tables["true"]
        # The same facts in the same roles, but controls whose answer is written into another fact of their relation; what is
        # written into the edited ones is their own answer.
        written = {(f.relation, f.target_true) for f in new_facts[new_facts.role == "edited"].itertuples()}
        kept = [f for f in new_facts.itertuples() if f.role == "edited" or (f.relation, f.target_true) not in written]
        self.assertEqual([(f.fact, f.role) for f in kept], list(zip(true_facts.fact, true_facts.role)))
        self.assertIn((true_facts.role == "intrinsic").sum(), range(1, 6))
        answers = dict(zip(new_facts.fact, new_facts.target_true))
        for fact, target in zip(true_requests.fact, true_requests.target):
            self.assertEqual(target, answers[fact])
        self.assertNotEqual(list(new_requests.target), list(true_requests.target))
        edited = true_facts[true_facts.role == "edited"]
        self.assertEqual(list(edited.target_new), [answers[f] for f in edited.fact])
        self.assertTrue((edited.target_true == "").all())
        # The edited facts are judged by their true answer, in the same columns.
        base = true_rows[(true_rows.stage == "base") & (true_rows.role == "edited")]
        other = new_rows[(new_rows.stage == "base") & (new_rows.role == "edited")]
        self.assertEqual(list(base.logp), list(other.logp_true))
        # Intrinsic facts of the base model are the same in both cells.
        for column in ("logp", "margin"):
            a = new_rows[(new_rows.stage == "base") & (new_rows.role == "intrinsic") & new_rows.fact.isin(true_facts.fact)][column]
            b = true_rows[(true_rows.stage == "base") & (true_rows.role == "intrinsic")][column]
            np.testing.assert_array_equal(a, b)  # NaN is NaN


if __name__ == "__main__":
    unittest.main(verbosity=2)
