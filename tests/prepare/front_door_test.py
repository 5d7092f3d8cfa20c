#!/usr/bin/env python3
"""What the front door refuses before it sets anything up, and when it prepares something again: need_prepared of
cmake/setup/build.sh, with scripts that only count their runs."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETUP = ROOT / "cmake" / "setup"

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


class Words(unittest.TestCase):
    def refused(self, *words, **environment):
        """What is said of a command that ends at once, having set up nothing."""
        with tempfile.TemporaryDirectory() as holder:
            home = pathlib.Path(holder) / "home"
            done = subprocess.run(["sh", str(ROOT / "palimpsest"), *words], capture_output=True, text=True, check=False,
                                  env={**os.environ, "PALIMPSEST_HOME": str(home), **environment})
            self.assertNotEqual(done.returncode, 0)
            self.assertFalse(home.exists(), done.stderr)
        return done.stderr

    def test_an_unknown_command_is_refused_before_anything_is_set_up(self):
        self.assertIn("no command pln", self.refused("pln"))

    def test_an_unknown_preset_is_refused_before_anything_is_set_up(self):
        self.assertIn("PALIMPSEST_PRESET is relase; there are release, debug and asan",
                      self.refused("plan", PALIMPSEST_PRESET="relase"))

    def test_the_program_s_commands_are_all_known(self):
        door = (ROOT / "palimpsest").read_text()
        known = set(re.search(r"^  (run \|[^)]*)\) ;;$", door, re.M).group(1).split(" | "))
        program = (ROOT / "framework" / "app" / "main.cpp").read_text()
        table = program[program.index("commands() {"):program.index("return all")]
        hidden = {"worker", "probe-plugin", "check-plugin-here", "ask-plugin"}
        self.assertEqual(set(re.findall(r'^      \{"([a-z-]+)"', table, re.M)) - hidden,
                         known - {"test", "install", "--version"})


if __name__ == "__main__":
    unittest.main()
