#!/usr/bin/env python3
"""When the front door prepares something again: need_prepared of cmake/setup/build.sh, with scripts that only count their runs."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SETUP = pathlib.Path(__file__).resolve().parents[2] / "cmake" / "setup"

DRIVER = """
set -eu
. "$TEST_SETUP/messages.sh"
. "$TEST_SETUP/build.sh"
need_prepared data prepare_text.py "$home/data"
"""

SCRIPT = """
import pathlib, sys
folder = pathlib.Path(sys.argv[2])
folder.mkdir(exist_ok=True)
with open(folder / "runs", "a") as file:
    file.write("x")
"""


class NeedPrepared(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        root = pathlib.Path(holder.name)
        self.prepare, self.home = root / "cmake" / "prepare", root / "home"
        for folder in (self.prepare, self.home / "logs", self.home / "stamps"):
            folder.mkdir(parents=True)
        (self.prepare / "prepare_text.py").write_text(SCRIPT)
        (self.prepare / "pins.json").write_text("{}")
        self.environment = {**os.environ, "TEST_SETUP": str(SETUP), "root": str(root), "home": str(self.home),
                            "python": sys.executable}

    def runs(self):
        """How often the script has run once the front door wants its output."""
        done = subprocess.run(["sh", "-c", DRIVER], env=self.environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return len((self.home / "data" / "runs").read_text())

    def test_unchanged_it_is_prepared_once(self):
        self.assertEqual(self.runs(), 1)
        self.assertEqual(self.runs(), 1)

    def test_changed_pins_are_prepared(self):
        self.assertEqual(self.runs(), 1)
        (self.prepare / "pins.json").write_text('{"text": {"version": "2"}}')
        self.assertEqual(self.runs(), 2)
        self.assertEqual(self.runs(), 2)

    def test_a_changed_script_is_run(self):
        self.assertEqual(self.runs(), 1)
        (self.prepare / "common.py").write_text("# shared by the scripts\n")
        self.assertEqual(self.runs(), 2)

    def test_an_output_that_is_gone_is_prepared(self):
        self.assertEqual(self.runs(), 1)
        (self.home / "data" / "runs").unlink()
        (self.home / "data").rmdir()
        self.assertEqual(self.runs(), 1)


if __name__ == "__main__":
    unittest.main()
