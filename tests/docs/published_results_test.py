#!/usr/bin/env python3
"""Published results say what their file says.

Every folder of results/ with a README.md is a published study: NAME/NAME.h5, NAME/table.txt (what `show` prints of it), and the
reading. The table is made again from the file, every ```text block of the reading is a part of it, and the command that the
reading names runs a config that exists.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import h5py

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ["PALIMPSEST_TEST_PROGRAM"]


class PublishedResults(unittest.TestCase):
    def studies(self):
        folders = sorted(page.parent for page in (SOURCE / "results").glob("*/README.md"))
        said = "No study is published here yet." in (SOURCE / "results" / "README.md").read_text(encoding="utf-8")
        self.assertEqual(said, not folders, "results/README.md says whether there are any")
        return folders

    def test_the_table_is_what_show_prints_of_the_file(self):
        for folder in self.studies():
            with self.subTest(study=folder.name):
                shown = subprocess.run([PROGRAM, "show", str(folder / f"{folder.name}.h5")], capture_output=True, text=True, check=True)
                self.assertEqual(shown.stdout, (folder / "table.txt").read_text(encoding="utf-8"))

    def test_what_the_reading_quotes_stands_in_the_table(self):
        for folder in self.studies():
            table = (folder / "table.txt").read_text(encoding="utf-8")
            quotes = re.findall(r"^```text\n(.*?)^```$", (folder / "README.md").read_text(encoding="utf-8"), re.M | re.S)
            for quote in quotes:
                with self.subTest(study=folder.name, quote=quote.splitlines()[0]):
                    self.assertIn(quote, table)

    def test_matrices_are_left_out(self):
        for folder in self.studies():
            with self.subTest(study=folder.name), h5py.File(folder / f"{folder.name}.h5") as file:
                self.assertIn("updates", file)
                self.assertNotIn("data", file["updates"])

    def test_what_is_published_names_no_path_of_the_machine(self):
        for folder in self.studies():
            with self.subTest(study=folder.name), tempfile.TemporaryDirectory() as scratch, h5py.File(folder / f"{folder.name}.h5") as file:
                self.assertNotIn("plugin_files", file)
                run = pathlib.Path(scratch) / "run.h5"
                shutil.copyfile(folder / f"{folder.name}.h5", run)
                with h5py.File(run, "r+") as copy:
                    copy["plugin_files/path"] = ["/nowhere/somebody/editor.so"]
                subprocess.run([sys.executable, SOURCE / "results" / "publish.py", PROGRAM, run, scratch + "/out"], check=True,
                               capture_output=True)
                with h5py.File(scratch + "/out/run.h5") as published:
                    self.assertEqual(set(published), set(file))
                self.assertNotIn(b"/nowhere/somebody", pathlib.Path(scratch, "out", "run.h5").read_bytes())
                self.assertEqual(pathlib.Path(scratch, "out", "table.txt").read_text(encoding="utf-8"),
                                 (folder / "table.txt").read_text(encoding="utf-8"))

    def test_the_command_that_makes_it_again_names_a_config(self):
        for folder in self.studies():
            with self.subTest(study=folder.name):
                commands = re.findall(r"^\./palimpsest run (\S+)", (folder / "README.md").read_text(encoding="utf-8"), re.M)
                self.assertTrue(commands, "the reading has no line ./palimpsest run FILE")
                for config in commands:
                    self.assertTrue((SOURCE / config).is_file(), config)


if __name__ == "__main__":
    unittest.main()
