"""Edit scopes and orders of stages: isolated, sequential, batch; edit, finetune, reapply."""

import unittest

import h5py
import xarray

from world import World

ONE = ("experiment.replicates=1", 'sweep.variants=[{ name = "plain" }]')


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
            self.assertAlmostEqual(last.all_top1.item(), edited.exact_match.mean())

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

    def test_edit_finetune_reapply(self):
        self.assertEqual(self.stages("edit", "finetune", "reapply"),
                         {(0, "base"), (1, "edited"), (2, "step"), (2, "finetuned"), (3, "edited")})

    def test_edit_finetune_edit_finetune(self):
        self.assertEqual(self.stages("edit", "finetune", "edit", "finetune"),
                         {(0, "base"), (1, "edited"), (2, "step"), (2, "finetuned"), (3, "edited"), (4, "step"),
                          (4, "finetuned")})
        self.assertEqual(self.updates, 6)

    def test_matched_controls(self):
        with World(self.shared) as world:
            world.run(sets=(*ONE, 'facts.selection="matched"', "facts.caliper=0", "facts.intrinsic=3"))
            frame, _ = points(world)
            self.assertEqual(frame.fact[frame.role == "intrinsic"].nunique(), 3)

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
