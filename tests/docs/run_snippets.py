#!/usr/bin/env python3
"""Runs every fenced block of README.md and docs/**/*.md, so that what they say can be typed.

Each page gets a folder with a `palimpsest` that starts the built program, an `experiment.toml` (the tiny experiment of
tests/end_to_end), its results as `quickstart.h5`, `base.toml`, and the facts and configs of the source tree. By the word after
the fence:

    sh      every line is run there, after FILE, FILE.h5 and [ID] are replaced by what lies in the folder. Four are not
            taken literally: `./palimpsest run F` and `tune F` validate and plan F (the runs themselves are end-to-end tests),
            `./palimpsest test` is this very thing, and `python3` is the Python of the tests
    toml    laid over the tiny experiment if it is a part of one, and validated
    python  executed there
    r       executed there by Rscript, which has rhdf5

A line `<!-- not run: reason -->` before the fence leaves a block out, `<!-- file: name -->` stores it under that name for the
blocks after it. Any other word after a fence is an error.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "end_to_end"))

import numpy  # noqa: E402

from world import PROGRAM, REAL_HOME, SMALL, SOURCE, World  # noqa: E402

FENCE = re.compile(r"^( *)```(.*)$")
MARK = re.compile(r"^ *<!-- (not run|file): (.+) -->$")


def blocks(text):
    """(line number, kind, mark, content) of every fenced block; mark is ("file" | "not run", text) or None."""
    lines = text.splitlines()
    found, i = [], 0
    while i < len(lines):
        opening = FENCE.match(lines[i])
        if not opening:
            i += 1
            continue
        end = next((j for j in range(i + 1, len(lines)) if lines[j].strip() == "```"), None)
        if end is None:
            raise AssertionError(f"line {i + 1}: a fence without an end")
        mark = MARK.match(lines[i - 1]) if i > 0 else None
        content = "\n".join(line[len(opening[1]):] for line in lines[i + 1:end]) + "\n"
        found.append((i + 1, opening[2].strip(), mark.groups() if mark else None, content))
        i = end + 1
    return found


class Page:
    def __init__(self, path, tiny, folder):
        self.path, self.folder = path, folder
        self.home = folder / "home"
        self.home.mkdir()
        for name in ("models", "data"):
            (self.home / name).symlink_to(REAL_HOME / name)
        for name in ("configs", "plugins"):
            (folder / name).symlink_to(SOURCE / name)
        (folder / "quickstart.h5").write_bytes((tiny.output / "tiny.h5").read_bytes())
        text = tiny.config.read_text(encoding="utf-8").replace('"../model"', f'"{tiny.root / "model"}"')
        for name in ("facts.jsonl", "text.jsonl"):
            text = text.replace(f'"{name}"', f'"{tiny.tiny / name}"')
        (folder / "experiment.toml").write_text(text, encoding="utf-8")
        (folder / "base.toml").write_text(f'extends = "{SOURCE}/configs/models/smollm2-135m-instruct.toml"\n')
        # As the authors' statistics are written: one layer, sum and count.
        k = numpy.random.default_rng(1).standard_normal((200, 64)).astype(numpy.float32)
        numpy.savez(folder / "layer1.npz", **{"mom2.constructor": "SecondMoment()", "mom2.count": 200, "mom2.mom2": k.T @ k})
        programs = folder / "bin"
        programs.mkdir()
        self.script(folder / "palimpsest", f'exec "{PROGRAM}" "$@"')
        self.script(programs / "python3", f'exec "{sys.executable}" "$@"')
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("PALIMPSEST_")}
        self.environment.update(PALIMPSEST_HOME=str(self.home), PATH=f"{programs}:{os.environ['PATH']}")

    @staticmethod
    def script(path, text):
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def execute(self, words, where):
        done = subprocess.run(words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=300, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{where}: {shlex.join(map(str, words))}\n{done.stdout}{done.stderr}")

    def sh(self, content, where):
        for line in content.replace("\\\n", " ").splitlines():
            line = re.sub(r"(^|\s)#.*$", "", line).strip()
            if not line:
                continue
            line = line.replace("FILE.h5", "quickstart.h5").replace("FILE", "experiment.toml").replace("[ID]", "rome")
            if line == "./palimpsest test":
                continue
            for long in ("run", "tune"):
                if line.startswith(f"./palimpsest {long} "):
                    self.execute(["sh", "-ec", line.replace(f" {long} ", " validate ", 1)], where)
                    line = line.replace(f" {long} ", " plan ", 1)
            self.execute(["sh", "-ec", line], where)

    def toml(self, content, where):
        whole = "[model]" in content and "[facts]" in content
        snippet = self.folder / "snippet.toml"
        snippet.write_text(content if whole else 'extends = "experiment.toml"\n' + content, encoding="utf-8")
        self.execute([PROGRAM, "validate", snippet], where)

    def python(self, content, where):
        snippet = self.folder / "snippet.py"
        snippet.write_text(content, encoding="utf-8")
        self.execute([sys.executable, snippet], where)

    def r(self, content, where):
        if shutil.which("Rscript") is None:
            raise AssertionError(f"{where}: Rscript is not installed (Debian: r-bioc-rhdf5); `./palimpsest test` installs it")
        snippet = self.folder / "snippet.R"
        snippet.write_text(content, encoding="utf-8")
        self.execute(["Rscript", "--vanilla", snippet], where)

    def run(self):
        """Problems of the page, one text each."""
        problems, last = [], []
        for line, kind, mark, content in blocks(self.path.read_text(encoding="utf-8")):
            where = f"{self.path.relative_to(SOURCE)}:{line}"
            if mark and mark[0] == "not run":
                continue
            if mark:
                (self.folder / mark[1]).write_text(content, encoding="utf-8")
            elif kind == "toml":
                # After the rest: it may name a file that a command of the page makes.
                last.append((self.toml, content, where))
            elif kind in ("sh", "python", "r"):
                last.insert(sum(1 for how, _, _ in last if how != self.toml), (getattr(self, kind), content, where))
            else:
                problems.append(f"{where}: a block of kind \"{kind}\"; expected sh, toml, python or r, or a line "
                                "<!-- not run: reason --> before it")
        for how, content, where in last:
            try:
                how(content, where)
            except (AssertionError, subprocess.TimeoutExpired) as problem:
                problems.append(str(problem))
        return problems


class Snippets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tiny = World()
        cls.tiny.run(sets=SMALL)

    @classmethod
    def tearDownClass(cls):
        cls.tiny.__exit__()

    def problems(self, path):
        with tempfile.TemporaryDirectory(prefix="palimpsest-test-") as folder:
            return Page(path, self.tiny, pathlib.Path(folder)).run()

    def test_every_block_runs(self):
        # Those about writing plugins need an installation: tests/sdk/tutorial_test.py runs them.
        elsewhere = {SOURCE / "docs" / "writing-a-plugin.md"}
        pages = [p for p in [SOURCE / "README.md", *sorted((SOURCE / "docs").rglob("*.md"))] if p not in elsewhere]
        self.assertGreater(sum(len(blocks(p.read_text(encoding="utf-8"))) for p in pages), 5)
        problems = [text for page in pages for text in self.problems(page)]
        self.assertEqual(problems, [], "\n\n".join(problems))

    def test_what_is_wrong_is_found(self):
        wrong = {"```toml\n[training]\nmax_step = 3\n```\n": "max_step",
                 "```python\nraise SystemExit('no')\n```\n": "no",
                 "```sh\n./palimpsest plugins no_such_plugin\n```\n": "no_such_plugin",
                 "```r\nstop('not today')\n```\n": "not today",
                 "```fortran\nend\n```\n": "fortran"}
        for text, expected in wrong.items():
            path = SOURCE / "docs" / "page.md"
            with self.subTest(expected), tempfile.TemporaryDirectory(prefix="palimpsest-test-") as folder:
                page = Page(path, self.tiny, pathlib.Path(folder))
                page.path = type("Text", (), {"read_text": lambda self, encoding: text,
                                              "relative_to": lambda self, other: "page.md"})()
                self.assertIn(expected, "".join(page.run()))
        with self.assertRaises(AssertionError):
            blocks("```sh\nls\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
