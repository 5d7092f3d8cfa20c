"""What saves memory in fine-tuning, from end to end: the same numbers, or, where the arithmetic is another, the same again."""

import math
import shutil
import unittest

import h5py
import xarray

from world import SMALL, SOURCE, World

SAVING = ("training.activation_checkpointing=true", 'training.optimizer_state="host"')
CELL = "plain,r0.h5"


def tables(file):
    """Every measured number of a cell's file, by table and column."""
    found = {}
    with h5py.File(file) as opened:
        for group in ("training", "evaluations", "weight_change", "dose", "metrics"):
            opened[group].visititems(lambda name, item, group=group: found.update({f"{group}/{name}": item[()].tolist()})
                                     if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" else None)
    return found


def losses(file):
    with xarray.open_dataset(file, group="training", engine="h5netcdf") as table:
        return list(table.to_dataframe().loss)


class SavingMemory(unittest.TestCase):
    def test_no_number_changes(self):
        with World() as world:
            world.run(sets=SMALL)
            other = world.root / "saving"
            world.run(sets=SMALL + SAVING, output=other)
            plain, saving = tables(world.output / "cells" / CELL), tables(other / "cells" / CELL)
            self.assertIn("training/loss", plain)
            self.assertEqual(repr(plain), repr(saving))  # as text, in which NaN equals itself
            with h5py.File(other / "cells" / CELL) as file:
                recorded = file.attrs["resolved_toml"]
            for line in ("activation_checkpointing = true", 'optimizer_state = "host"', 'masters = "float32"'):
                self.assertIn(line, recorded)

    def test_without_masters(self):
        with World() as world:
            shutil.copy(SOURCE / "tests/golden/models/llama_tied/config.json", world.root / "model" / "config.json")
            shutil.copy(SOURCE / "tests/golden/models/llama_tied/model.safetensors", world.root / "model" / "model.safetensors")
            shutil.copy(SOURCE / "tests/conformance/data/tokenizer.json", world.root / "model" / "tokenizer.json")
            sets = SMALL + ('model.dtype="bfloat16"', "training.max_steps=8")
            world.run(sets=sets)
            masters = losses(world.output / "cells" / CELL)
            world.forget()
            world.run(sets=sets + SAVING + ('training.masters="none"',))
            cells = world.cells()
            found = losses(world.output / "cells" / CELL)
            self.assertEqual(len(found), 8)
            self.assertTrue(all(map(math.isfinite, found)))
            # The first step's loss is that of the weights that enter; the way from there is nearly the same.
            self.assertEqual(found[0], masters[0])
            self.assertNotEqual(found, masters)
            for one, other in zip(found, masters):
                self.assertAlmostEqual(one, other, delta=0.05 * other)
            world.forget()
            world.run(sets=sets + SAVING + ('training.masters="none"',))
            self.assertEqual(world.cells(), cells)

    def test_masters_of_a_model_in_float32_are_not_left_out(self):
        with World() as world:
            done = world.do("validate", world.config, sets=SMALL + ('training.masters="none"',), expect=1)
            self.assertIn('training.masters: found "none" with model.dtype = "float32", expected it with model.dtype = "bfloat16"',
                          done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
