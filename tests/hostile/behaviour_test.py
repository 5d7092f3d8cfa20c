"""Editors that load and do harm: in create, in needs, in apply. Each costs its own cell and says what it did; the cell beside it
has the very bytes that it has without them.
"""

import pathlib
import re
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "end_to_end"))

from world import BAD_PLUGINS, World  # noqa: E402

LIBRARY = pathlib.Path(BAD_PLUGINS).resolve() / "hostile_behaviour.so"
PARAMETER = r"layers\.1\.mlp\.down\.weight"

# What run says of the cell, after "error: <cell>, ...: "; a regular expression, since logs and numbers follow.
IN_USE = {
    "wrong_shape": rf"failed with exit status 1: editor wrong_shape: apply failed: .*{PARAMETER}.*\[3, 5\]",
    "nan_update": rf"failed with exit status 1: editor nan_update: apply failed: .*{PARAMETER}.*(NaN|finite)",
    "unknown_parameter": r"failed with exit status 1: editor unknown_parameter: apply failed: the model has no parameter "
                         r'"layers\.1\.mlp\.dawn\.weight" \(did you mean "layers\.1\.mlp\.down\.weight"\?\)',
    "other_layer": r"failed with exit status 1: editor other_layer changed layers\.0\.mlp\.down\.weight, and its needs do not "
                   r"announce layer 0",
    "embeddings": r"failed with exit status 1: editor embeddings changed embed\.weight, and its needs do not announce weights "
                  r"that belong to no layer",
    "other_moment": r"failed with exit status 1: editor other_moment: apply failed: the second moment of layer 1 was not "
                    r"announced through editor\.needs/1 \(announced: none\)",
    "silent_error": r"failed with exit status 1: editor silent_error: apply failed: it gave the status unsupported and no message",
    "unknown_status": r"failed with exit status 1: editor unknown_status: apply failed: it gave the unknown status 4711 and no message",
    "throws_std": r"failed with exit status 1: editor throws_std: apply failed: it threw an exception: the parrot refuses",
    "throws_int": r"failed with exit status 1: editor throws_int: apply failed: it threw something that is not a std::exception",
    "throws_c10": r"failed with exit status 1: editor throws_c10: apply failed: it threw an exception: the tensor refuses",
    "aborts": r"crashed by signal 6 \(Aborted\)",
    "segfaults": r"crashed by signal 11 \(Segmentation fault\)",
    "exits": r"ended without a result, though with exit status 0",
}
BOUNDED = {
    "loops": r"stopped after [0-9.]+ s: node_seconds is 15",
    "leaks": r"stopped at [0-9]+ MiB: node_memory is 1500 MiB",
}
# What every command says that asks for needs, and nothing of them runs.
ASKED = {
    "create_fails": "editor create_fails: create failed: it refuses to be made",
    "create_aborts": f"editor create_aborts of {LIBRARY}, asked what it needs: the process was ended by signal 6 (Aborted)",
    "needs_exits": f"editor needs_exits of {LIBRARY}, asked what it needs: it ended the process without an answer",
}


def sets(*names):
    variants = "".join(f', {{ name = "{name}", editor = {{ id = "{name}" }} }}' for name in names)
    return ("experiment.replicates=1", 'sweep.variants=[{ name = "plain" }' + variants + "]", f'plugin_path=["{BAD_PLUGINS}"]')


class Behaviour(unittest.TestCase):
    def failed(self, done, expected):
        """Every cell that failed, with its own reason."""
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertNotIn("terminate called", done.stderr)
        for name, reason in expected.items():
            self.assertRegex(done.stderr, rf"(?m)^error: {name},r0[^\n]*: {reason}")
        causes = re.findall(r"(?m)^error: ([a-z0-9_]+),r0", done.stderr)
        self.assertEqual(sorted(causes), sorted(expected), done.stderr)

    def test_each_costs_its_own_cell_and_no_more(self):
        with World() as calm, World() as world:
            calm.run(sets=sets())
            expected = calm.cells()
            self.assertEqual(list(expected), ["plain,r0.h5"])
            for jobs in ("2", "1"):  # the second time nothing is left but what failed
                self.failed(world.run("--jobs", jobs, sets=sets(*IN_USE), expect=None), IN_USE)
                self.assertEqual(world.cells(), expected)
            bounded = (*sets(*BOUNDED), "run.node_seconds=15", "run.node_memory=1500")
            self.failed(world.run("--jobs", "2", sets=bounded, expect=None, timeout=600), BOUNDED)
            self.assertEqual(world.cells(), expected)

    def test_validate_and_plugins_run_nothing_of_them(self):
        with World() as world:
            done = world.do("validate", world.config, sets=sets(*IN_USE, *BOUNDED))
            self.assertIn(f"{len(IN_USE) + len(BOUNDED) + 1} cells", done.stdout)
            listed = world.do("plugins", env={"PALIMPSEST_PLUGIN_PATH": str(BAD_PLUGINS)})
            for name in (*IN_USE, *BOUNDED, *ASKED):
                self.assertRegex(listed.stdout, rf"(?m)^editor +{name} ")
            self.assertEqual(listed.stderr, "")

    def test_what_fails_before_any_run_is_a_sentence_of_every_command(self):
        with World() as world:
            for name, sentence in ASKED.items():
                for command in ("validate", "plan", "run"):
                    done = world.do(command, world.config, sets=sets(name), expect=1)
                    self.assertIn(sentence, done.stderr)
                    self.assertFalse(world.output.exists(), f"{command} {name} did work")


if __name__ == "__main__":
    unittest.main(verbosity=2)
