"""`palimpsest new` and `palimpsest check-plugin`, from an installation, in an empty folder: each kind's project is written, built,
tested, checked, and used in an experiment."""

import pathlib
import unittest

import h5py

from installation import Installation

# kind -> (name, where its id stands in the results' attributes of the cell)
KINDS = {"editor": "my-own_editor".replace("_", "-"), "finetune-task": "carry-on", "augmenter": "rumour", "freeze-policy": "low_layers",
         "metric": "surprise2"}


class New(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.at = Installation("new")

    def make(self, kind):
        name = KINDS[kind]
        said = self.at.do("palimpsest", "new", kind, name)
        self.assertIn(f"Wrote {self.at.projects / name}", said)
        project = self.at.projects / name
        snake = name.replace("-", "_")
        for path in project.iterdir():
            text = path.read_text(encoding="utf-8")
            for word in ("my-method", "my_method", "MyMethod"):
                self.assertNotIn(word, text, path)
        self.at.configure(project)
        self.at.do("cmake", "--build", "build", where=project)
        self.assertIn("100% tests passed", self.at.do("ctest", "--test-dir", "build", "--output-on-failure", where=project))
        checked = self.at.do("palimpsest", "check-plugin", f"build/plugins/{snake}.so", where=project)
        self.assertIn(f"passed  {kind} {name}, output:", checked)
        self.assertRegex(checked, r"\d+ checks, 0 failed\.\n$")
        self.at.do("palimpsest", "run", "experiment.toml", where=project, timeout=600)
        results = project / "results" / name / f"{name}.h5"
        with h5py.File(results) as file:
            named = [line for line in self.at.do("h5dump" if False else "palimpsest", "show", results).splitlines()]
            self.assertTrue(named)
            return project, file

    def test_editor(self):
        self.make("editor")

    def test_finetune_task(self):
        self.make("finetune-task")

    def test_augmenter(self):
        self.make("augmenter")

    def test_freeze_policy(self):
        self.make("freeze-policy")

    def test_metric(self):
        self.make("metric")


if __name__ == "__main__":
    unittest.main(verbosity=2)
