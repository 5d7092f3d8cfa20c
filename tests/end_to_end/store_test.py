"""store/1 from the outside: a plugin's value is computed once by all processes of all runs, for all that its key does not name; a
damaged one is computed again.
"""

import shutil
import unittest

from world import BAD_PLUGINS, World


class Store(unittest.TestCase):
    def run_with(self, world, *parameters, replicates=2):
        """Two cells that edit, in two processes at a time; returns how often something was computed so far."""
        marks = world.root / "marks.txt"
        inline = ", ".join((f'id = "remembers", marks = "{marks}"', *parameters))
        world.run("--jobs", "2", sets=(f"experiment.replicates={replicates}", 'experiment.stages=["edit"]',
                                       "facts.edited=1", "facts.intrinsic=1", f'plugin_path=["{BAD_PLUGINS}"]',
                                       f'sweep.variants=[{{ name = "plain", augmenter = {{ {inline} }} }}]'))
        return len(marks.read_text(encoding="utf-8").splitlines())

    def forget_all_but_values(self, world):
        shutil.rmtree(world.output)
        for entry in (world.home / "store").iterdir():
            if entry.name not in ("plugin_value", "probes", "second_moment", "knowledge") and not entry.name.startswith("."):
                shutil.rmtree(entry)

    def test_a_value_is_computed_once_until_its_key_or_its_bytes_change(self):
        with World() as world:
            self.assertEqual(self.run_with(world), 1)
            cells = world.cells()
            self.assertEqual(len(cells), 2)
            entries = list((world.home / "store" / "plugin_value").iterdir())
            self.assertEqual(len(entries), 1)

            self.forget_all_but_values(world)
            self.assertEqual(self.run_with(world), 1, "a later run did not find the value")
            self.assertEqual(world.cells(), cells)

            (value,) = entries[0].glob("*.safetensors")
            content = bytearray(value.read_bytes())
            content[-1] ^= 1
            value.write_bytes(content)
            self.forget_all_but_values(world)
            self.assertEqual(self.run_with(world), 2, "a damaged value was used")
            self.assertEqual(world.cells(), cells, "computed again, it came out otherwise")

            self.forget_all_but_values(world)
            self.assertEqual(self.run_with(world, 'key = "parrot"'), 3, "another key found the old value")

            # Two replicates have two seeds.
            self.forget_all_but_values(world)
            self.assertEqual(self.run_with(world, "seeded = true"), 5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
