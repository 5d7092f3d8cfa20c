"""A folder that the runtime saved is one that transformers opens, with the logits of the folder that was read, bit for bit: for
every tiny checkpoint of tests/golden/models."""

import os
import pathlib
import subprocess
import tempfile
import unittest

import torch
from transformers import AutoModelForCausalLM

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ["PALIMPSEST_TEST_MODEL_DUMP"]
MODELS = sorted(path.parent for path in (SOURCE / "tests/golden/models").glob("*/config.json"))


def logits(folder):
    model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    problems = {kind: names for kind, names in report.items() if names}
    ids = torch.randint(3, 256, (2, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.eval()(input_ids=ids).logits, problems


class SavedModels(unittest.TestCase):
    def test_transformers_computes_the_same(self):
        self.assertGreaterEqual(len(MODELS), 11)
        for folder in MODELS:
            with self.subTest(model=folder.name), tempfile.TemporaryDirectory() as saved:
                subprocess.run([PROGRAM, str(folder), saved], check=True)
                wanted, problems = logits(folder)
                self.assertEqual(problems, {})
                found, problems = logits(saved)
                self.assertEqual(problems, {})
                self.assertTrue(torch.equal(found, wanted))


if __name__ == "__main__":
    torch.set_num_threads(1)
    unittest.main(verbosity=2)
