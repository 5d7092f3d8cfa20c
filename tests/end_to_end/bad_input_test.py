"""Bad input, bad places, a full disk: one clear error, an exit status that is not 0, nothing half-written."""

import os
import pathlib
import resource
import signal
import unittest

from world import SMALL, World


class BadInput(unittest.TestCase):
    def refused(self, change, *named, sets=(), output=None):
        """`change` spoils a world; the run must be refused before any work, by one error that names all of `named`."""
        with World() as world:
            change(world)
            for command in ("validate", "run"):
                done = world.do(command, world.config, sets=(*SMALL, *sets), output=output, expect=None)
                self.assertNotIn(done.returncode, (0, -signal.SIGSEGV, -signal.SIGABRT), done.stderr)
                self.assertGreater(done.returncode, 0, done.stderr)
                for word in named:
                    self.assertIn(word, done.stderr)
                self.assertEqual(done.stderr.count("error: "), 1, done.stderr)
                self.assertNotIn("terminate called", done.stderr)
            self.assertFalse(world.output.exists() and any(p.is_file() for p in world.output.rglob("*")))

    def test_truncated_weights(self):
        def cut(world):
            path = world.root / "model" / "model.safetensors"
            os.truncate(path, path.stat().st_size // 2)
        self.refused(cut, "model.safetensors")

    def test_weights_with_a_cut_header(self):
        self.refused(lambda w: os.truncate(w.root / "model" / "model.safetensors", 20), "model.safetensors")

    def test_empty_weights(self):
        self.refused(lambda w: os.truncate(w.root / "model" / "model.safetensors", 0), "model.safetensors")

    def test_corrupt_tokenizer(self):
        def cut(world):
            path = world.root / "model" / "tokenizer.json"
            os.truncate(path, path.stat().st_size // 2)
        self.refused(cut, "tokenizer.json")

    def test_corrupt_config(self):
        self.refused(lambda w: (w.root / "model" / "config.json").write_text('{"architectures": ['), "config.json")

    def test_missing_model(self):
        self.refused(lambda w: (w.root / "model" / "config.json").unlink(), "config.json")

    def test_broken_fact_row(self):
        def spoil(world):
            path = world.tiny / "facts.jsonl"
            lines = path.read_text().splitlines()
            lines[4] = lines[4][:40]
            path.write_text("\n".join(lines) + "\n")
        self.refused(spoil, "facts.jsonl:5")

    def test_fact_without_its_subject_in_the_prompt(self):
        def spoil(world):
            path = world.tiny / "facts.jsonl"
            lines = path.read_text().splitlines()
            lines[2] = lines[2].replace("The old tower of {} was built in", "The old tower was built in")
            path.write_text("\n".join(lines) + "\n")
        self.refused(spoil, "facts.jsonl:3")

    def test_facts_that_are_not_utf8(self):
        def spoil(world):
            path = world.tiny / "facts.jsonl"
            path.write_bytes(path.read_bytes().replace(b"granite", b"gran\xffte"))
        self.refused(spoil, "facts.jsonl:")

    def test_missing_facts(self):
        self.refused(lambda w: (w.tiny / "facts.jsonl").unlink(), "facts.jsonl", "tiny.toml:")

    def test_missing_text(self):
        self.refused(lambda w: (w.tiny / "text.jsonl").unlink(), "text.jsonl", "tiny.toml:")

    def test_wrong_type(self):
        self.refused(lambda w: None, "training.max_steps", 'the string "many"', "expected an integer",
                     sets=('training.max_steps="many"',))

    def test_unknown_key_and_unknown_plugin_are_told_together(self):
        def spoil(world):
            text = world.config.read_text().replace("max_steps", "max_step").replace('"rome"', '"rom"')
            world.config.write_text(text)
        self.refused(spoil, "max_step", "max_steps", "rom", "rome", "tiny.toml:")

    def test_layer_out_of_range(self):
        self.refused(lambda w: None, "editor.layer", "the integer 7", "from 0 to 2", sets=("editor.layer=7",))
        self.refused(lambda w: None, "freeze_policy.last", "the integer 7", "from 0 to 2",
                     sets=('freeze_policy={ id = "layer_range", first = 0, last = 7 }',))

    def test_an_editor_without_facts_to_edit(self):
        self.refused(lambda w: None, "facts.edited", "at least 1", "rome", sets=("facts.edited=0",))

    def test_toml_that_is_none(self):
        self.refused(lambda w: w.config.write_text("[experiment\nname = "), "tiny.toml:1")

    def test_hostile_toml(self):
        self.refused(lambda w: w.config.write_text("a" + ".a" * 100000 + " = 1\n"), "tiny.toml")
        self.refused(lambda w: w.config.write_bytes(b"\x00\xff" * 1000), "tiny.toml")
        self.refused(lambda w: w.config.write_text("a = " + "[" * 100000 + "\n"), "tiny.toml:1")
        self.refused(lambda w: w.config.write_text("a = " + "{ a = " * 100000 + "\n"), "tiny.toml:1")

    def test_more_facts_than_there_are(self):
        self.refused(lambda w: None, "42", "edited", sets=("facts.edited=30", "facts.intrinsic=30"))

    def test_output_that_is_a_file(self):
        self.refused(lambda w: w.output.write_text(""), "out")

    def test_output_below_a_file(self):
        with World() as world:
            blocker = world.root / "blocker"
            blocker.write_text("")
            done = world.run(sets=SMALL, output=blocker / "out", expect=1)
            self.assertIn("blocker", done.stderr)
            self.assertEqual(done.stderr.count("error: "), 1, done.stderr)

    def test_output_without_permission(self):
        with World() as world:
            # Root may write into every folder of a disk, but nobody makes one in /proc.
            places = [pathlib.Path("/proc/palimpsest")]
            if os.geteuid() != 0:
                world.output.mkdir(mode=0o500)
                places.append(world.output)
            for place in places:
                done = world.run(sets=SMALL, output=place, expect=1)
                self.assertIn(str(place), done.stderr)
                self.assertEqual(done.stderr.count("error: "), 1, done.stderr)
                self.assertNotIn("started", done.stderr + done.stdout, "work was begun")

    def test_words_that_are_not_understood(self):
        with World() as world:
            for words, status in ((("rum",), 2), (("run",), 2), (("run", world.config, "--job", "2"), 2),
                                  (("run", world.config, "--jobs", "0"), 2), (("show", world.config), 1),
                                  (("run", "nowhere.toml"), 1)):
                done = world.do(*words, expect=None)
                self.assertEqual(done.returncode, status, (words, done.stderr))
                self.assertEqual(done.stderr.count("error: "), 1, done.stderr)


class FullDisk(unittest.TestCase):
    """A file-size limit stands for the full disk: writing fails in the middle of a file, for root too."""

    def limited(self, limit):
        def lower():
            # Without this the kernel's signal would end the writer; a full disk sends none.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        with World() as world, World() as calm:
            calm.run(sets=SMALL)
            done = world.run(sets=SMALL, expect=None, preexec_fn=lower, restore_signals=False)
            self.assertGreater(done.returncode, 0, f"{limit} bytes were enough")
            self.assertRegex(done.stderr, "(?i)file too large|cannot write|could not be written|write")
            expected = calm.cells()
            made = world.cells()
            self.assertEqual(made, {n: expected[n] for n in made})
            for path in world.root.rglob("*"):
                self.assertNotRegex(path.name, r"\.tmp")
            world.run(sets=SMALL)
            self.assertEqual(world.cells(), expected)

    def test_no_room_for_the_stages(self):
        self.limited(20_000)

    def test_no_room_for_the_results(self):
        self.limited(120_000)

    def test_no_room_at_all(self):
        self.limited(100)


if __name__ == "__main__":
    unittest.main(verbosity=2)
