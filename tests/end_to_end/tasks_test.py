"""The downstream tasks from end to end on the tiny world: a sweep over tasks, JSONL and CSV, the filter, their scores."""

import csv
import json
import math
import shutil
import unittest

import h5py
import xarray

from documented import not_there, undocumented
from world import World

ROWS = 24
SHORT = 'template_with_input = "{instruction} {input}:", template_without_input = "{instruction}:"'


def rows(name, n):
    return {
        "instruction": {"instruction": f"Say {n % 5}", "input": "" if n % 2 else f"as {n}", "output": "ab"[n % 2] * 3},
        "sentiment": {"text": f"it is the {n} of the city", "label": "good" if n % 3 else "bad"},
        "questions": {"context": f"The tower is {n}.", "question": "Is it?", "answer": ("yes", "no", f"{n}")[n % 3]},
        "pairs": {"prompt": f"Take {n}", "chosen": f"{n} and more", "rejected": f"less than {n} of it"},
    }[name]


TASKS = {
    "instruction": ("instruction", f'example_tokens = 80, max_new_tokens = 4, {SHORT}'),
    "sentiment": ("classification", "example_tokens = 80"),
    "questions": ("question_answering", 'example_tokens = 80, max_new_tokens = 4, template = "{context} {question} A:"'),
    "pairs": ("preference", 'beta = 0.5, template = "{prompt}:"'),
}


def task_of(name, ending="jsonl"):
    plugin, more = TASKS[name]
    return f'{{ id = "{plugin}", file = "tiny/{name}.{ending}", validation_share = 0.25, score_examples = 4, {more} }}'


class Tasks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        facts = map(json.loads, (cls.world.tiny / "facts.jsonl").read_text(encoding="utf-8").splitlines())
        subjects = ", ".join(fact["subject"] for fact in facts)
        for name in TASKS:
            with open(cls.world.tiny / f"{name}.jsonl", "w", encoding="utf-8") as out:
                for n in range(ROWS):
                    out.write(json.dumps(rows(name, n)) + "\n")
                # A row about facts of the experiment, whichever the lot has drawn: it must not be trained on.
                about = {key: f"{value} {subjects}" for key, value in rows(name, 1).items() if key != "label"}
                out.write(json.dumps({**rows(name, 1), **about}) + "\n")
        variants = ", ".join(f'{{ name = "{name}", task = {task_of(name)} }}' for name in TASKS)
        unedited = f'{{ name = "unedited", task = {task_of("pairs")}, editor = {{ id = "none" }} }}'
        cls.done = cls.world.run(sets=("experiment.replicates=1", "training.max_steps=3", "training.block_size=80",
                                       f"sweep.variants=[{variants}, {unedited}]"))
        cls.file = cls.world.output / "tiny.h5"

    @classmethod
    def tearDownClass(cls):
        cls.world.__exit__()

    def score(self, plugin, file=None):
        with xarray.open_dataset(file or self.file, group=f"task_score/{plugin}", engine="h5netcdf") as table:
            return table.to_dataframe()

    def test_a_sweep_over_tasks_has_a_score_table_for_each(self):
        wanted = {"instruction": {"response_exact_match", "response_logp", "response_logp_mean", "response_tokens", "examples"},
                  "classification": {"accuracy", "macro_f1", "majority", "examples"},
                  "question_answering": {"exact_match", "f1", "yes_no_accuracy", "yes_no_examples", "examples"},
                  "preference": {"preferred", "reward_accuracy", "reward_margin", "pairs"}}
        for plugin, columns in wanted.items():
            frame = self.score(plugin)
            self.assertLessEqual(columns, set(frame.columns))
            cells = ["pairs,r0", "unedited,r0"] if plugin == "preference" else list(frame.cell.unique())
            self.assertEqual(sorted(zip(frame.cell, frame.stage)),
                             sorted((cell, stage) for cell in cells for stage in ("base", "edited", "finetuned")))
        with h5py.File(self.file) as file:
            for plugin, columns in wanted.items():
                for column in columns:
                    attributes = file[f"task_score/{plugin}/{column}"].attrs
                    self.assertTrue(attributes["definition"] and attributes["unit"], column)
                    self.assertIn(attributes["aggregate"], ("mean", "none"))

    def test_scores_are_documented(self):
        self.assertEqual(undocumented(self.file), [])
        self.assertEqual(not_there(self.file), ["/cells/at_<key>"])

    def test_the_filter_drops_the_row_about_a_fact(self):
        with xarray.open_dataset(self.file, group="data", engine="h5netcdf") as table:
            frame = table.to_dataframe()
        for name in TASKS:
            row = frame[frame.file == f"{name}.jsonl"].iloc[0]
            self.assertEqual((row.read, row.dropped, row.hits_subject), (ROWS + 1, 1, 1), name)

    def test_preference_begins_at_log_2_and_the_reference_is_the_model_that_enters(self):
        with xarray.open_dataset(self.file, group="evaluations", engine="h5netcdf") as table:
            frame = table.to_dataframe()
        for cell in ("pairs,r0", "unedited,r0"):
            before = frame[(frame.cell == cell) & (frame.step == 0)].validation_loss
            self.assertAlmostEqual(float(before.iloc[0]), math.log(2), places=5)
        scores = self.score("preference")
        entering = scores[scores.stage != "finetuned"]
        self.assertTrue((entering.reward_margin == 0).all() and (entering.reward_accuracy == 0).all())
        self.assertTrue((scores[scores.stage == "finetuned"].reward_margin != 0).all())
        with xarray.open_dataset(self.file, group="dose", engine="h5netcdf") as table:
            dose = table.to_dataframe().set_index("cell")
        self.assertLess(dose.validation_loss_after["pairs,r0"], dose.validation_loss_before["pairs,r0"])
        # Three steps of two pairs, both responses of each counted.
        self.assertGreater(dose.tokens["pairs,r0"], 3 * 2 * 2 * 8)

    def test_activation_checkpointing_changes_no_number_of_a_loss_of_the_tasks_own(self):
        with World(store_of=self.world) as world:
            shutil.copy(self.world.tiny / "pairs.jsonl", world.tiny)
            world.run(sets=("experiment.replicates=1", "training.max_steps=3", "training.block_size=80",
                            "training.activation_checkpointing=true",
                            f'sweep.variants=[{{ name = "pairs", task = {task_of("pairs")} }}]'))
            found = {}
            for output in (self.world.output, world.output):
                with h5py.File(output / "cells" / "pairs,r0.h5") as file:
                    found[output] = [list(file[f"training/{column}"]) for column in ("loss", "gradient_norm")]
        self.assertEqual(*found.values())

    def test_compression_reads_the_documents_that_the_task_validates_on(self):
        metrics = ('metric=[{ id = "retention", max_new_tokens = 2 }, { id = "compression", documents = 1000, document_tokens = 40, '
                   'general_file = "tiny/text.jsonl", task_file = "tiny/text.jsonl" }]')
        sets = (metrics, 'sweep.variants=[{ name = "plain" }]', "task.score_documents=1000", "task.score_tokens=40")
        with World() as world:
            world.run("--jobs", "2", sets=sets)
            gamma, score = (xarray.load_dataset(world.output / "tiny.h5", group=group, engine="h5netcdf").to_dataframe()
                            .set_index(["cell", "stage"]).sort_index()
                            for group in ("metrics/compression", "task_score/language_modeling"))
            plan = world.do("plan", world.config, sets=(*sets, 'filter.mode="off"')).stdout
        # The tiny tokenizer puts nothing before a text, so both predict the same tokens. What gamma divides their bits by are
        # the bytes of the documents: those of the same ones whatever the model, in all cells.
        self.assertEqual(len(score), 2 * 3)
        bytes_of = [score.tokens[at] * score.validation_nll[at] / math.log(2) / gamma.gamma_task[at].item()
                    for at in score.index]
        self.assertGreater(gamma.gamma_task.nunique(), 3)
        for found in bytes_of:
            self.assertAlmostEqual(found, round(bytes_of[0]), delta=0.05)
        # What is held out follows from the filter, so what is measured on it does.
        self.assertRegex(plan, r"to run +plain,r0: measure the base model \(the nearest stored one differs in (.*; )?filter\b")

    def test_csv_gives_what_jsonl_gives(self):
        with World() as world:
            with open(world.tiny / "sentiment.csv", "w", encoding="utf-8", newline="") as out:
                writer = csv.writer(out)
                writer.writerow(["n", "label", "text"])
                for n in range(ROWS):
                    row = rows("sentiment", n)
                    writer.writerow([n, row["label"], row["text"]])
            world.run(sets=("experiment.replicates=1", "training.max_steps=3", "training.block_size=80",
                            f'sweep.variants=[{{ name = "sentiment", task = {task_of("sentiment", "csv")} }}]'))
            of_csv = self.score("classification", world.output / "tiny.h5")
        of_jsonl = self.score("classification")
        # The row that the JSONL file has more was dropped before the held-out sample was drawn.
        for column in ("accuracy", "macro_f1", "majority", "examples"):
            self.assertEqual(list(of_csv[column]), list(of_jsonl[column]), column)

    def run_sentiment(self, world, block_size, lengthen, expect=0):
        """Fine-tunes on sentences of which every other one is `lengthen` times as long."""
        (world.tiny / "sentiment.jsonl").write_text("".join(
            json.dumps(row | {"text": " ".join([row["text"]] * (lengthen if n % 2 else 1))}) + "\n"
            for n, row in enumerate(rows("sentiment", n) for n in range(ROWS))), encoding="utf-8")
        done = world.run(sets=("experiment.replicates=1", "training.max_steps=3", f"training.block_size={block_size}",
                               f'sweep.variants=[{{ name = "s", task = {task_of("sentiment")} }}]'), expect=expect)
        return done.stderr + world.logs()

    def test_examples_longer_than_a_block_are_left_out_and_counted(self):
        with World() as world:
            self.run_sentiment(world, 40, 4)
            said = "".join(log.read_text(encoding="utf-8") for log in (world.output / "logs").glob("*.log"))
            self.assertRegex(said, r"[1-9]\d* of \d+ examples for training have more tokens than "
                                   r"training.block_size = 40 and are left out")

    def test_a_block_too_short_for_every_example_is_refused(self):
        with World() as world:
            said = self.run_sentiment(world, 8, 1, expect=1)
            self.assertRegex(said, r"all \d+ examples for training have more tokens than training.block_size = 8")


if __name__ == "__main__":
    unittest.main(verbosity=2)
