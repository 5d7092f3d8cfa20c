"""What is stored is found again only when everything that determines it is the same.

After one run, each ingredient is changed in turn, and `plan` must then want the node that depends on it, and say what differs.
"""

import json
import re
import shutil
import unittest

from world import SMALL, World

# What changes; the kind of the lowest node that must be computed anew; what the plan must name.
SETTINGS = [
    ("experiment.seed=4", "roles", "seed"),
    ("facts.edited=2", "roles", "facts.edited"),
    ("facts.intrinsic=7", "roles", "facts.intrinsic"),
    ("facts.first=1", "knowledge", "facts.first"),
    ("facts.limit=41", "knowledge", "facts.limit"),
    ("facts.min_probability=0.0000000001", "roles", "facts.min_probability"),
    ("second_moments.tokens=1400", "second_moments", "tokens"),
    ("second_moments.block=30", "second_moments", "block"),
    ("second_moments.skip_first_tokens=1", "second_moments", "skip_first_tokens"),
    ('second_moments.dtype="float64"', "second_moments", "dtype"),
    ("editor.v_num_grad_steps=5", "stage", "v_num_grad_steps"),
    ("editor.layer=2", "second_moments", "layer"),
    ('edit.augment_as="contexts"', "stage", "edit.augment_as"),
    ('edit.scope="isolated"', "stage", "scope"),
    ("augmenter={ id = \"paraphrase\", count = 1 }", "stage", "augmenter"),
    ("training.learning_rate=2e-3", "part", "training"),
    ("training.max_steps=5", "part", "training"),
    ("training.activation_checkpointing=true", "part", "training"),
    ('training.optimizer_state="host"', "part", "training"),
    ('filter.mode="off"', "part", "filter"),
    ("task.score_documents=5", "part", "task"),
    ("freeze_policy={ id = \"layer_range\", first = 0, last = 0 }", "part", "freeze_policy"),
    ("metric=[{ id = \"retention\", max_new_tokens = 5 }]", "measure", "metric"),
    ("run.threads=2", "knowledge", "threads"),
    ('model.dtype="bfloat16"', "knowledge", "model.dtype"),
    # Any of several like devices: the type alone is in the key.
    ('model.device="cuda"', "knowledge", 'model.device: stored "cpu", wanted "cuda"'),
    ('model.device="cuda:1"', "knowledge", 'model.device: stored "cpu", wanted "cuda"'),
]


def wanted(world, sets=(), env=None):
    """What `plan` would run: lines of nodes with their reasons."""
    text = world.do("plan", world.config, sets=(*SMALL, *sets), env=env).stdout
    return text, re.findall(r"^  to run +(.*)$", text, re.MULTILINE)


class Address(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.world.run(sets=SMALL)

    @classmethod
    def tearDownClass(cls):
        cls.world.__exit__()

    def expect_miss(self, named, sets=(), env=None):
        text, nodes = wanted(self.world, sets, env)
        self.assertTrue(nodes, f"{named}: nothing is wanted\n{text}")
        self.assertRegex("\n".join(nodes), re.escape(named))
        return nodes

    def test_nothing_is_wanted_when_nothing_changed(self):
        text, nodes = wanted(self.world)
        self.assertEqual(nodes, [], text)

    def test_every_setting_that_matters_is_a_miss_that_names_it(self):
        for setting, _, named in SETTINGS:
            with self.subTest(setting):
                self.expect_miss(named, (setting,))

    def test_settings_that_do_not_matter_are_no_miss(self):
        for setting in ("run.jobs=2", "run.node_seconds=1000", "run.node_memory=100000", "second_moments.layers_at_once=1"):
            with self.subTest(setting):
                text, nodes = wanted(self.world, (setting,))
                self.assertEqual(nodes, [], text)

    def changed(self, path, change, named):
        kept = path.with_name(path.name + ".kept")
        shutil.copy2(path, kept)
        try:
            path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
            with self.subTest(path.name):
                self.expect_miss(named)
        finally:
            kept.replace(path)
        self.assertEqual(wanted(self.world)[1], [])

    def test_files_count_by_their_bytes(self):
        self.changed(self.world.tiny / "facts.jsonl", lambda t: t.replace("granite", "basalt"), "facts")
        self.changed(self.world.tiny / "text.jsonl", lambda t: t.replace("the gate", "the door", 1), "text")
        self.changed(self.world.root / "model" / "config.json",
                     lambda t: json.dumps({**json.loads(t), "rope_theta": 10000.0, "note": "changed"}), "model")

    def test_a_weight_counts(self):
        path = self.world.root / "model" / "model.safetensors"
        kept = path.read_bytes()
        stamp = path.stat()
        try:
            path.write_bytes(kept[:-4] + bytes(reversed(kept[-4:])))
            self.expect_miss("model")
        finally:
            path.write_bytes(kept)
        self.assertEqual(stamp.st_size, path.stat().st_size)
        self.assertEqual(wanted(self.world)[1], [])

    def test_a_file_moved_elsewhere_is_no_miss(self):
        with World() as other:
            shutil.rmtree(other.home)
            shutil.copytree(self.world.home, other.home)
            shutil.copytree(self.world.output, other.output)
            text, nodes = wanted(other)
            self.assertEqual(nodes, [], text)

    def test_a_damaged_entry_is_computed_again(self):
        with World() as other:
            other.run(sets=SMALL)
            expected = other.cells()
            for entry in (other.home / "store" / "stage").iterdir():
                for file in entry.glob("*.safetensors"):
                    data = bytearray(file.read_bytes())
                    data[-1] ^= 1
                    file.write_bytes(bytes(data))
            shutil.rmtree(other.output)
            # A damaged entry is found when it is read; the run after that computes it anew.
            for _ in range(2):
                done = other.run(sets=SMALL, expect=None)
                if done.returncode == 0:
                    break
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(other.cells(), expected)


if __name__ == "__main__":
    unittest.main(verbosity=2)
