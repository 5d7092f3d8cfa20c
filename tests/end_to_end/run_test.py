"""A run from TOML to HDF5, seen by other people's readers; the same run again; jobs; interruption."""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

import h5py
import xarray

from documented import not_there, tables_of, undocumented, undocumented_attributes
from world import SMALL, SOURCE, World, sha256

# What a run that edits and fine-tunes has rows in.
TABLES = ("cells", "facts", "metrics/retention", "metrics/edit_success", "metrics/first_token", "summary", "contrasts",
          "quality_gate", "training", "evaluations", "weight_change", "dose", "task_score/language_modeling", "updates/index",
          "updates/requests", "timing",
          "plugin_files",
          "data", "edit_records", "edit_requests")
NAMES = {f"{variant},r{r}.h5" for variant in ("plain", "frozen", "unedited") for r in range(2)}


def devices_of_workers(parent):
    """What --device says to each worker of this run."""
    devices = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            status = (folder / "status").read_text()
        except OSError:
            continue
        if b"worker" in words and f"PPid:\t{parent}\n" in status:
            devices.append(words[words.index(b"--device") + 1].decode())
    return devices


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.done = cls.world.run()
        cls.file = cls.world.output / "tiny.h5"

    @classmethod
    def tearDownClass(cls):
        cls.world.__exit__()

    def test_every_cell_has_its_file(self):
        self.assertEqual(set(self.world.cells()), NAMES)
        for name in NAMES:
            self.assertTrue((self.world.output / "cells" / name.replace(".h5", ".timing.h5")).exists(), name)
        self.assertTrue(self.file.exists())

    def test_the_report_names_roles_and_is_printed_again_by_show(self):
        for word in ("edited", "intrinsic", "plain", "frozen", "unedited"):
            self.assertIn(word, self.done.stdout)
        shown = self.world.do("show", self.file)
        self.assertIn(shown.stdout.strip(), self.done.stdout)

    def test_tables_open_in_xarray_and_have_units_and_definitions(self):
        tables = tables_of(self.file)
        with h5py.File(self.file) as file:
            for name, columns in tables.items():
                self.assertTrue(file[name].attrs["definition"], name)
                for column in columns:
                    self.assertIn("unit", file[name][column].attrs, f"{name}/{column}")
                    self.assertTrue(file[name][column].attrs["definition"], f"{name}/{column}")
        for name in tables:
            with xarray.open_dataset(self.file, group=name, engine="h5netcdf") as table:
                self.assertLessEqual(tables[name], set(table.variables), name)
        for name in TABLES:
            with xarray.open_dataset(self.file, group=name, engine="h5netcdf") as table:
                self.assertGreater(table.sizes["row"], 0, name)

    def test_rows_of_retention_are_complete(self):
        with xarray.open_dataset(self.file, group="metrics/retention", engine="h5netcdf") as table:
            frame = table.to_dataframe()
        keys = ["cell", "edit", "ordinal", "stage", "step", "fact"]
        self.assertFalse(frame.duplicated(keys).any())
        for cell, rows in frame.groupby("cell"):
            points = set(zip(rows.ordinal, rows.stage, rows.step))
            self.assertIn((0, "base", 0), points, cell)
            self.assertIn((1, "edited", 0), points, cell)
            stages = {stage for _, stage, _ in points}
            self.assertEqual(stages, {"base", "edited", "step", "finetuned"}, cell)
            for point, at in rows.groupby(["ordinal", "stage", "step"]):
                self.assertEqual((at.role == "edited").sum(), 3, (cell, point))
                self.assertEqual((at.role == "intrinsic").sum(), 6, (cell, point))

    def test_roles_are_swapped_in_the_paired_replicate(self):
        with xarray.open_dataset(self.file, group="facts", engine="h5netcdf") as table:
            frame = table.to_dataframe()
        edited = {cell: set(rows.fact[rows.role == "edited"]) for cell, rows in frame.groupby("cell")}
        intrinsic = {cell: set(rows.fact[rows.role == "intrinsic"]) for cell, rows in frame.groupby("cell")}
        self.assertLessEqual(edited["plain,r0"], intrinsic["plain,r1"])
        self.assertLessEqual(edited["plain,r1"], intrinsic["plain,r0"])
        self.assertEqual(edited["plain,r0"], edited["unedited,r0"])
        self.assertEqual(edited["plain,r0"], edited["frozen,r0"])

    def frame(self, table):
        with xarray.open_dataset(self.file, group=table, engine="h5netcdf") as opened:
            return opened.to_dataframe()

    def test_the_quality_gate_reads_declared_columns_in_the_order_of_the_configuration(self):
        gate = self.frame("quality_gate")
        self.assertEqual(len(gate), len(NAMES))
        # retention stands before edit_success in tiny.toml, and both declare an efficacy.
        self.assertEqual(set(gate.efficacy_source), {"retention.all_top1"})
        self.assertEqual(set(gate.neighbourhood_source), {"edit_success.neighbourhood_success"})
        self.assertEqual(set(gate.perplexity_source), {"language_modeling.validation_perplexity"})
        score = self.frame("task_score/language_modeling").set_index(["cell", "stage"]).validation_perplexity
        for row in gate.itertuples():
            rise = score[row.cell, "edited"] / score[row.cell, "base"] - 1
            self.assertAlmostEqual(row.perplexity_rise, rise, places=12)
            self.assertEqual(rise == 0, row.cell.startswith("unedited"), row.cell)

    def test_a_task_is_scored_before_and_after_the_edit_and_at_the_end(self):
        score = self.frame("task_score/language_modeling")
        for cell, rows in score.groupby("cell"):
            self.assertEqual(list(zip(rows.ordinal, rows.stage, rows.step)),
                             [(0, "base", 0), (1, "edited", 0), (2, "finetuned", 4)], cell)
        self.assertEqual(list(self.frame("data").groupby("cell").size()), [1] * len(NAMES))

    def test_the_unedited_control_is_what_edits_nothing(self):
        cells = self.frame("cells")
        self.assertEqual({c.rsplit(",", 1)[0] for c in cells.cell[cells.unedited != 0]}, {"unedited"})
        self.assertEqual({c.rsplit(",", 1)[0] for c in cells.cell[cells.unedited == 0]}, {"plain", "frozen"})

    def test_what_cells_share_was_computed_once(self):
        timing = self.frame("timing")
        self.assertTrue((timing.computed == 1).all(), timing)
        cells_of = timing.groupby("node").cell.nunique()
        self.assertGreater((cells_of > 1).sum(), 3, "knowledge, second moments, edits, measurements")
        # One run of the node stands under each of its cells.
        self.assertTrue((timing.groupby("node").seconds.nunique() == 1).all())

    def test_provenance(self):
        with h5py.File(self.world.output / "cells" / "plain,r0.h5") as file:
            for name in ("resolved_toml", "git_commit", "seed", "threads", "key", "target_rule", "cpu_capability"):
                self.assertIn(name, file.attrs)
            self.assertIn("v_num_grad_steps", file.attrs["resolved_toml"])
            ids = {i.decode() if isinstance(i, bytes) else i for i in file["provenance/plugins/id"][...]}
            self.assertLessEqual({"rome", "language_modeling", "retention"}, ids)

    def test_every_plugin_is_there_with_its_path_version_and_sha256(self):
        with xarray.open_dataset(self.file, group="plugin_files", engine="h5netcdf") as table:
            frame = table.to_dataframe()
        for row in frame.itertuples():
            self.assertEqual(row.sha256, sha256(row.path), row)
        for cell, rows in frame.groupby("cell"):
            with h5py.File(self.world.output / "cells" / f"{cell}.h5") as file:
                own = file["provenance/plugins"]
                recorded = {tuple(own[column][i].decode() for column in ("kind", "id", "version", "sha256"))
                            for i in range(len(own["id"]))}
                self.assertNotIn("path", own)
            self.assertEqual({(r.kind, r.id, r.version, r.sha256) for r in rows.itertuples()}, recorded, cell)

    def test_an_edit_changes_its_layer_and_a_frozen_layer_stays(self):
        with h5py.File(self.world.output / "cells" / "frozen,r0.h5") as file:
            parameters = {n.decode() for n in file["updates/index/parameter"][...]}
            self.assertEqual(parameters, {"layers.1.mlp.down.weight"})
            self.assertEqual(list(file["updates/index/rank"][...]), [1, 1, 1])
            self.assertTrue((file["updates/index/norm"][...] > 0).all())
            frozen = dict(zip(file["weight_change/layer"][...], file["weight_change/relative_change"][...]))
        with h5py.File(self.world.output / "cells" / "plain,r0.h5") as file:
            plain = dict(zip(file["weight_change/layer"][...], file["weight_change/relative_change"][...]))
        self.assertLess(frozen[1], plain[1])
        self.assertGreater(frozen[0], 0.0)

    def test_every_column_and_attribute_is_documented(self):
        cells = [self.world.output / "cells" / name for name in sorted(NAMES)]
        for file in (self.file, *cells, *(cell.with_suffix(".timing.h5") for cell in cells)):
            with self.subTest(file.name):
                self.assertEqual(undocumented(file), [])
        for cell in cells:
            self.assertEqual(undocumented_attributes(cell), [])

    def test_the_same_run_again_is_served_and_changes_nothing(self):
        before = self.world.files()
        begin = time.monotonic()
        again = self.world.run()
        seconds = time.monotonic() - begin
        after = self.world.files()
        self.assertEqual({k: v[0] for k, v in before.items()}, {k: v[0] for k, v in after.items()})
        self.assertEqual({k: v for k, v in before.items() if k.startswith("cells/")},
                         {k: v for k, v in after.items() if k.startswith("cells/")}, "a stored cell was written again")
        self.assertIn("0 nodes to run", again.stderr + again.stdout)
        self.assertLess(seconds, 10)
        self.assertIn("Nothing is left to compute", self.world.do("plan", self.world.config).stdout)

    def test_cells_do_not_depend_on_jobs_place_or_store(self):
        for jobs in ("1", "2"):
            with World() as other:
                other.run("--jobs", jobs)
                self.assertEqual(other.cells(), self.world.cells(), f"--jobs {jobs}")
        # Another output folder, the same store: only the cells' files are made again.
        output = self.world.root / "second"
        again = self.world.run(output=output)
        self.assertIn("6 nodes to run", again.stderr + again.stdout)
        self.assertEqual(self.world.cells(output), self.world.cells())

    def test_devices_are_given_to_workers_and_change_no_result(self):
        with World() as other:
            process = other.start("--devices", "cpu,cpu")
            most, given = 0, set()
            while process.poll() is None:
                workers = devices_of_workers(process.pid)
                most, given = max(most, len(workers)), given | set(workers)
                time.sleep(0.02)
            said = other.said.read_text(encoding="utf-8")
            self.assertEqual(process.returncode, 0, said + other.logs())
            self.assertEqual((most, given), (2, {"cpu"}), "two devices are two workers, each with its own")
            self.assertEqual(other.cells(), self.world.cells())

    def test_devices_that_are_not_there_are_refused_before_the_run(self):
        for devices, word in (("cuda:7", "a device of --devices is \"cuda:7\""), ("cpu,gpu", "found \"gpu\""),
                              ("cpu,", "found \"\""), ("cpu,cuda:0", "devices of one type")):
            with self.subTest(devices), World(store_of=self.world) as other:
                done = other.run("--devices", devices, expect=1)
                self.assertIn(word, done.stderr)
                self.assertFalse(other.output.exists())
        with World(store_of=self.world) as other:
            swept = 'sweep.variants=[{ name = "gpu", model = { device = "cuda" } }]'
            self.assertIn("model.device", other.run("--devices", "cpu", sets=(swept,), expect=1).stderr)

    def test_limit_takes_cells_one_by_one(self):
        with World() as world:
            for wanted in range(1, 3):
                world.run("--limit", "1", sets=SMALL)
                self.assertEqual(len(world.cells()), wanted)
            self.assertIn("Nothing is left to compute", world.do("plan", world.config, sets=SMALL).stdout)


class Everything(unittest.TestCase):
    """A run with all metrics and whatever else makes a table or a column: docs/results-format.md has what the file has."""

    METRICS = {"retention": {"max_new_tokens": 4}, "edit_success": {}, "first_token": {}, "mechanism": {}, "drift": {},
               "causal_trace": {"samples": 1, "facts": 1}, "token_types": {},
               "perplexity": {"file": "tiny/text.jsonl", "documents": 4},
               "multiple_choice": {"file": "tiny/choices.jsonl"}, "generation": {"max_new_tokens": 4}, "portability": {},
               "compression": {"general_file": "tiny/text.jsonl", "documents": 4}}

    def test_every_column_of_every_table_is_documented_and_every_documented_one_is_there(self):
        metrics = ", ".join("{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in {"id": name, **keys}.items()) + " }"
                            for name, keys in self.METRICS.items())
        self.assertEqual(set(self.METRICS), {folder.name for folder in (SOURCE / "plugins" / "metrics").iterdir()})
        with World() as world:
            (world.tiny / "choices.jsonl").write_text("".join(
                json.dumps({"set": "doors", "question": f"{n // 2}", "context": "The old door is",
                            "choice": ("open", "shut")[n % 2], "correct": ("true", "false")[n % 2]}) + "\n"
                for n in range(4)), encoding="utf-8")
            world.run(sets=("experiment.replicates=1", 'sweep.variants=[{ name = "plain" }]',
                            "sweep.training.learning_rate=[1e-3, 2e-3]", "edit.measure_every=2", f"metric=[{metrics}]",
                            'augmenter={ id = "self", count = 1, candidates = 2, max_new_tokens = 4, instruction = "{}" }'))
            file = world.output / "tiny.h5"
            self.assertLessEqual({"/lifelong", "/augmentation", *(f"/metrics/{name}" for name in self.METRICS)},
                                 set(tables_of(file)))
            self.assertEqual(undocumented(file), [])
            self.assertEqual(not_there(file), [])


class Interrupt(unittest.TestCase):
    def interrupted(self, signals, statuses=(130,)):
        with World() as world:
            process = subprocess.Popen(world.command("run", world.config, sets=SMALL), cwd=world.root,
                                       env=world.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, start_new_session=True)
            seen = ""
            for line in process.stdout:
                seen += line
                if "plain" in line and "started" in line:
                    break
            for number in signals:
                # To the front process alone; it stops its workers itself.
                os.kill(process.pid, number)
                time.sleep(0.2)
            seen += process.stdout.read()
            status = process.wait(timeout=60)
            process.stdout.close()
            self.assertIn(status, statuses, seen)
            self.assertIn("stopped", seen)
            with self.assertRaises(ProcessLookupError):
                os.killpg(process.pid, 0)
            world.run(sets=SMALL)
            with World() as other:
                other.run(sets=SMALL)
                self.assertEqual(world.cells(), other.cells())

    def test_an_interrupt_ends_cleanly_and_the_same_command_goes_on(self):
        self.interrupted([signal.SIGINT])

    def test_a_training_that_is_asked_to_stop_stops_by_itself(self):
        with World() as world:
            process = subprocess.Popen(world.command("run", world.config, sets=(*SMALL, "training.max_steps=1000000")),
                                       cwd=world.root, env=world.environment(), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            seen = ""
            for line in process.stdout:
                seen += line
                if "fine-tuning: " in line:
                    break
            os.kill(process.pid, signal.SIGINT)
            seen += process.stdout.read()
            self.assertEqual(process.wait(timeout=60), 130, seen)
            process.stdout.close()
            logs = [log.read_text() for log in world.root.rglob("*.log")]
            self.assertIn("training was stopped on request", "".join(logs))

    def test_a_second_interrupt_does_no_harm(self):
        # When the first one's work is nearly done, the second may end the process itself: 130 to a shell as well.
        self.interrupted([signal.SIGINT, signal.SIGINT], (130, -signal.SIGINT))


if __name__ == "__main__":
    unittest.main(verbosity=2)
