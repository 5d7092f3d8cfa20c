"""What is stored is found again only when everything that determines it is the same.

After one run, each ingredient is changed in turn, and `plan` must then want the node that depends on it, and say what differs.
"""

import collections
import json
import re
import shutil
import unittest

import h5py

from world import BAD_PLUGINS, SMALL, World

ONE = ("experiment.replicates=1", 'sweep.variants=[{ name = "plain" }]')

# Kinds of nodes, each before those that are made from it.
KINDS = ("knowledge", "second_moments", "roles", "stage", "measure", "score", "part", "cell")

METRICS = 'metric=[{ id = "retention", max_new_tokens = 5 }, { id = "edit_success" }, { id = "first_token" }]'

# What changes; the kind of the lowest node that must be computed anew; what the plan must say that differs in it.
SETTINGS = [
    ("experiment.seed=4", "roles", "lot.roles_seed"),
    ("facts.edited=2", "roles", "lot.facts.edited"),
    ("facts.intrinsic=7", "roles", "lot.facts.intrinsic"),
    ("facts.first=1", "knowledge", "facts.first"),
    ("facts.limit=41", "knowledge", "facts.limit"),
    ("facts.known=true", "roles", "lot.facts.known"),
    ("facts.min_probability=0.0000000001", "roles", "lot.facts.min_probability"),
    ('facts.selection="matched"', "roles", "lot.facts.selection"),
    ("facts.caliper=0.5", "roles", "facts.caliper"),
    ("second_moments.tokens=1400", "second_moments", "tokens"),
    ("second_moments.block=30", "second_moments", "block"),
    ("second_moments.skip_first_tokens=1", "second_moments", "skip_first_tokens"),
    ('second_moments.dtype="float64"', "second_moments", "dtype"),
    ("editor.v_num_grad_steps=5", "stage", "editor.v_num_grad_steps"),
    ("editor.layer=2", "second_moments", "layer"),
    ('edit.augment_as="contexts"', "stage", "edit.augment_as"),
    ('edit.scope="isolated"', "stage", "edit.scope"),
    (('edit.scope="batch"', "edit.batch_size=1"), "stage", "edit.batch_size"),
    ("edit.measure_every=2", "stage", "edit.measure_every"),
    ('edit.target="true"', "stage", "edit.target"),
    ("augmenter={ id = \"paraphrase\", count = 1 }", "stage", "augmenter"),
    ("training.learning_rate=2e-3", "part", "stage.training"),
    ("training.max_steps=5", "part", "stage.training"),
    ("training.activation_checkpointing=true", "part", "stage.training"),
    ('training.optimizer_state="host"', "part", "stage.training"),
    ('tuning.method="lora"', "part", "stage.tuning"),
    ('filter.mode="off"', "score", "filter"),
    ("task.score_documents=5", "score", "task.score_documents"),
    ("freeze_policy={ id = \"layer_range\", first = 0, last = 0 }", "part", "stage.freeze_policy"),
    (METRICS, "measure", "metric 0.max_new_tokens"),
    ("run.threads=2", "knowledge", "threads"),
    ('model.dtype="bfloat16"', "knowledge", "model.dtype"),
    # Any of several like devices: the type alone is in the key.
    ('model.device="cuda"', "knowledge", 'model.device: stored "cpu", wanted "cuda"'),
    ('model.device="cuda:1"', "knowledge", 'model.device: stored "cpu", wanted "cuda"'),
]

# A node that is to run; `differs`: what its reason names, each with the values where they are short.
Node = collections.namedtuple("Node", "kind label differs")


def kind_of(label, stages):
    """By what `plan` calls a node. Of the fine-tunings the last stage alone is a part."""
    for kind, beginning in (("knowledge", "what the model knows"), ("second_moments", "second moments of layer "),
                            ("roles", "roles of replicate ")):
        if label.startswith(beginning):
            return kind
    if ": " not in label:
        return "cell"
    what = label.rsplit(": ", 1)[1]
    if what.startswith(("measure ", "score ")):
        return what.split()[0]
    assert what in stages, label
    return "part" if what == "finetune" == stages[-1] else "stage"


def wanted(world, sets=(), env=None):
    """What `plan` says, and the nodes that it would run."""
    text = world.do("plan", world.config, sets=sets, env=env).stdout
    stages = re.search(r"; stages((?: \w+)+)", text)[1].split()
    lines = re.findall(r"^  to run +(.*?)(?: \(the nearest stored one differs in (.*)\))?$", text, re.MULTILINE)
    return text, [Node(kind_of(label, stages), label, reason.split("; ") if reason else []) for label, reason in lines]


def says(node, named):
    return any(word == named or word.startswith(named + ": ") for word in node.differs)


class Address(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.world.run(sets=SMALL)

    @classmethod
    def tearDownClass(cls):
        cls.world.__exit__()

    def expect_miss(self, kind, named, sets=SMALL, env=None, world=None):
        """The lowest node that is wanted is of this kind, and the reason of one of them names this."""
        text, nodes = wanted(world or self.world, sets, env)
        self.assertTrue(nodes, f"{named}: nothing is wanted\n{text}")
        self.assertEqual(min((node.kind for node in nodes), key=KINDS.index), kind, text)
        self.assertTrue(any(says(node, named) for node in nodes if node.kind == kind), f"{named} is not named\n{text}")

    def copy(self):
        """Another world in which the same is stored."""
        other = World()
        shutil.rmtree(other.home)
        shutil.copytree(self.world.home, other.home, symlinks=True)
        return other

    def test_nothing_is_wanted_when_nothing_changed(self):
        text, nodes = wanted(self.world, SMALL)
        self.assertEqual(nodes, [], text)

    def test_every_setting_that_matters_is_a_miss_that_names_it(self):
        for settings, kind, named in SETTINGS:
            with self.subTest(settings):
                self.expect_miss(kind, named, (*SMALL, *([settings] if isinstance(settings, str) else settings)))

    def test_settings_that_do_not_matter_are_no_miss(self):
        for setting in ("run.jobs=2", "run.node_seconds=1000", "run.node_memory=100000", "second_moments.layers_at_once=1"):
            with self.subTest(setting):
                text, nodes = wanted(self.world, (*SMALL, setting))
                self.assertEqual(nodes, [], text)

    def test_the_processors_instructions_are_a_miss(self):
        with h5py.File(self.world.output / "cells" / "plain,r0.h5") as file:
            if file.attrs["cpu_capability"] in ("DEFAULT", "NO AVX"):
                self.skipTest("this processor has no instructions that libtorch could do without")
        self.expect_miss("knowledge", "cpu capability", env={"ATEN_CPU_CAPABILITY": "default"})

    def changed(self, path, change, kind, named):
        kept = path.with_name(path.name + ".kept")
        shutil.copy2(path, kept)
        try:
            path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
            with self.subTest(path.name):
                self.expect_miss(kind, named)
        finally:
            kept.replace(path)
        self.assertEqual(wanted(self.world, SMALL)[1], [])

    def test_files_count_by_their_bytes(self):
        self.changed(self.world.tiny / "facts.jsonl", lambda t: t.replace("granite", "basalt"), "knowledge", "facts")
        self.changed(self.world.tiny / "text.jsonl", lambda t: t.replace("the gate", "the door", 1), "second_moments", "text")
        self.changed(self.world.root / "model" / "config.json",
                     lambda t: json.dumps({**json.loads(t), "rope_theta": 10000.0, "note": "changed"}), "knowledge", "model")

    def test_a_weight_counts(self):
        path = self.world.root / "model" / "model.safetensors"
        kept = path.read_bytes()
        stamp = path.stat()
        try:
            path.write_bytes(kept[:-4] + bytes(reversed(kept[-4:])))
            self.expect_miss("knowledge", "model")
        finally:
            path.write_bytes(kept)
        self.assertEqual(stamp.st_size, path.stat().st_size)
        self.assertEqual(wanted(self.world, SMALL)[1], [])

    def test_a_plugin_counts_by_its_librarys_bytes(self):
        with self.copy() as other:
            folder = other.root / "plugins"
            folder.mkdir()
            library = folder / "remembering.so"
            shutil.copy(BAD_PLUGINS / library.name, library)
            sets = (*ONE, 'experiment.stages=["edit"]', f'plugin_path=["{folder}"]', 'augmenter={ id = "remembers" }')
            other.run(sets=sets)
            self.assertEqual(wanted(other, sets)[1], [])
            # Behind the last section: another file, in which the loader finds the same library.
            library.write_bytes(library.read_bytes() + b"built again")
            self.expect_miss("stage", "augmenter library", sets, world=other)

    def test_a_fine_tuning_that_another_stage_follows_is_addressed_by_what_it_measures(self):
        sets = (*ONE, 'experiment.stages=["edit", "finetune", "reapply"]')
        with self.copy() as other:
            other.run(sets=sets)
            self.assertEqual(wanted(other, sets)[1], [])
            for setting, named in ((METRICS, "measure.metric 0.max_new_tokens"), ("facts.caliper=0.5", "measure.roles")):
                with self.subTest(setting):
                    text, nodes = wanted(other, (*sets, setting))
                    tuned = [node for node in nodes if node.label == "plain,r0: finetune"]
                    self.assertEqual([node.kind for node in tuned], ["stage"], text)
                    self.assertTrue(says(tuned[0], named), text)

    def test_cells_share_a_fine_tuning_only_where_it_measures_the_same(self):
        both = ["one,r0: finetune", "other,r0: finetune"]
        for stages, other, expected in (
                (["edit", "finetune", "reapply"], 'facts = { caliper = 0.5 }', both),
                (["edit", "finetune", "reapply"], METRICS, both),
                (["finetune", "edit"], 'edit = { target = "true" }', both),
                (["finetune", "edit"], 'edit = { measure_every = 2 }', both[:1]),
                # Every edited fact gets a model of its own, and each starts from the same fine-tuned one.
                (["finetune", "edit"], 'edit = { scope = "isolated" }', both[:1])):
            with self.subTest(stages=stages, other=other):
                text, nodes = wanted(self.world, (
                    "experiment.replicates=1", f"experiment.stages={json.dumps(stages)}",
                    f'sweep.variants=[{{ name = "one" }}, {{ name = "other", {other} }}]'))
                self.assertEqual(sorted(node.label for node in nodes if node.label.endswith(": finetune")), expected, text)

    def test_a_file_moved_elsewhere_is_no_miss(self):
        with self.copy() as other:
            shutil.copytree(self.world.output, other.output)
            text, nodes = wanted(other, SMALL)
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
