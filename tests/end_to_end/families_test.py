"""The tiny experiment, from the model's folder to the HDF5 file, with a model of each family in float32 and of two in bfloat16."""

import shutil
import unittest

import h5py

from world import SOURCE, World

FAMILIES = ("gpt2", "gptj", "gpt_neox", "mistral", "qwen2", "qwen3")


class Families(unittest.TestCase):
    def run_with(self, family, dtype):
        with World() as world:
            shutil.rmtree(world.root / "model")
            golden = SOURCE / "tests/golden/models" / family
            (world.root / "model").mkdir()
            for path in (golden / "config.json", golden / "model.safetensors",
                         SOURCE / "tests/conformance/data/tokenizer.json"):
                shutil.copy(path, world.root / "model" / path.name)
            world.run(sets=("experiment.replicates=1", f'model.dtype="{dtype}"'))
            cells = [world.output / "cells" / name for name in world.cells()]
            self.assertEqual(len(cells), 3)
            for cell in cells:
                with h5py.File(cell) as file:
                    self.assertIn(f'dtype = "{dtype}"', file.attrs["resolved_toml"])

    def test_each_in_float32(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                self.run_with(family, "float32")

    def test_in_bfloat16(self):
        for family in ("gpt2", "qwen3"):
            with self.subTest(family=family):
                self.run_with(family, "bfloat16")


if __name__ == "__main__":
    unittest.main(verbosity=2)
