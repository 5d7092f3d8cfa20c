"""`palimpsest new` and `palimpsest check-plugin`, from an installation, in an empty folder: each kind's project is written, built,
tested, checked, and used in an experiment."""

import os
import pathlib
import re
import unittest

import h5py

from installation import Installation

KINDS = {"editor": "my-own-editor", "finetune-task": "carry_on", "augmenter": "rumour", "freeze-policy": "low-layers2",
         "metric": "surprise"}


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
        said = self.at.do("palimpsest", "run", "experiment.toml", where=project, timeout=600)
        self.assertNotIn("is the unedited control", said)
        with h5py.File(project / "results" / name / f"{name}.h5") as file:
            used = [id.decode() for id in file["plugin_files/id"][...]]
            self.assertIn(name, used)
            self.assertEqual(sorted(file["cells/unedited"][...]), [0, 1])
        # README's file for a real model.
        (snippet,) = re.findall(r"^```toml\n(.*?)^```$", (project / "README.md").read_text(encoding="utf-8"), re.M | re.S)
        (project / "real.toml").write_text(snippet.replace("PREFIX", str(self.at.prefix)), encoding="utf-8")
        said = self.at.do("palimpsest", "validate", "real.toml", where=project, PALIMPSEST_HOME=os.environ["PALIMPSEST_TEST_HOME"])
        self.assertIn("3 cells", said)

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

    def test_words_of_a_configuration_are_understood(self):
        self.at.do("palimpsest", "new", "freeze_policy", "other-policy")
        self.at.do("palimpsest", "new", "task", "other-task", "--output", "elsewhere/deep")
        self.assertTrue((self.at.projects / "elsewhere/deep/other_task.hpp").is_file())

    def refused(self, status, expected, *words):
        before = sorted(p.name for p in self.at.projects.iterdir())
        said = self.at.do("palimpsest", "new", *words, expect=status)
        self.assertIn(expected, said)
        self.assertEqual(sorted(p.name for p in self.at.projects.iterdir()), before)

    def test_what_cannot_be_is_refused_and_nothing_is_written(self):
        self.refused(2, 'no kind of plugin "editr" (did you mean "editor"?); expected one of editor, finetune-task', "editr", "a-b")
        for name in ("My-Method", "1st", "a--b", "a_b-c", "-x", "méthode", "a/b", "..", "x" * 65):
            self.refused(2, "", "editor", name)
        self.refused(2, "is no name for a plugin", "editor", "My-Method")
        self.refused(2, "cannot name the namespace", "metric", "double")
        self.refused(1, 'there is a plugin of kind editor with the id "rome" already', "editor", "rome")
        (self.at.projects / "full").mkdir()
        (self.at.projects / "full" / "mine.txt").write_text("mine")
        self.refused(1, "is not an empty folder; nothing was written", "editor", "full")
        self.assertEqual([p.name for p in (self.at.projects / "full").iterdir()], ["mine.txt"])
        (self.at.projects / "file").write_text("mine")
        self.refused(1, "nothing was written", "editor", "x-y", "--output", "file")


if __name__ == "__main__":
    unittest.main(verbosity=2)
