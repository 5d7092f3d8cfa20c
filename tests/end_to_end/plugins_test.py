"""What misbehaves costs its own cell only: plugins that crash, throw, or exceed their bounds."""

import unittest

import h5py

from world import BAD_PLUGINS, World

VARIANTS = ('sweep.variants=[{ name = "plain" }, { name = "bad", augmenter = { id = "%s" } }]', "experiment.replicates=1")


class Misbehaviour(unittest.TestCase):
    def spoilt(self, augmenter):
        with World() as world, World() as calm:
            sets = (VARIANTS[0] % augmenter, VARIANTS[1], f'plugin_path=["{BAD_PLUGINS}"]')
            failed = world.run(sets=sets, expect=1)
            self.assertEqual(set(world.cells()), {"plain,r0.h5"})
            calm.run(sets=(VARIANTS[0] % "none", VARIANTS[1], 'plugin_path=[]'), expect=None)
            with h5py.File(world.output / "tiny.h5") as file:
                self.assertEqual([n.decode() for n in file["cells/cell"][...]], ["plain,r0"])
            again = world.run(sets=sets, expect=1)
            self.assertEqual(set(world.cells()), {"plain,r0.h5"})
            return failed, again

    def test_a_plugin_that_crashes(self):
        failed, again = self.spoilt("crashes")
        for done in (failed, again):
            self.assertIn("bad,r0", done.stderr)
            self.assertRegex(done.stderr, "SIGSEGV|signal 11")

    def test_a_plugin_that_throws_says_its_own_sentence(self):
        failed, _ = self.spoilt("throws")
        self.assertIn("the parrot refuses", failed.stderr)

    def test_a_plugin_that_hangs_is_stopped_after_node_seconds(self):
        with World() as world:
            sets = (VARIANTS[0] % "hangs", VARIANTS[1], f'plugin_path=["{BAD_PLUGINS}"]', "run.node_seconds=20")
            failed = world.run(sets=sets, expect=1)
            self.assertEqual(set(world.cells()), {"plain,r0.h5"})
            self.assertIn("20", failed.stderr)

    def test_a_metric_that_reads_filtered_data_must_say_so(self):
        with World() as world:
            failed = world.run(sets=(f'plugin_path=["{BAD_PLUGINS}"]', "experiment.replicates=1", 'experiment.stages=["edit"]',
                                     'sweep.variants=[{ name = "plain" }]',
                                     'metric=[{ id = "filters_unsaid", file = "tiny/text.jsonl" }]'), expect=1)
            self.assertIn('no metric of the experiment has the parameters "filter" and "validation_share"', failed.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
