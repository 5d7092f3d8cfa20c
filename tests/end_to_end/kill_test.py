"""SIGKILL of a whole sweep, front process and workers, at 50 random moments; then the same command to its end.

The cells' files must then be bit-identical to those of a run that nobody disturbed, none lost and none doubled. Output and
store are emptied whenever a sweep came to its end, so that kills fall into every phase.
"""

import os
import random
import subprocess
import sys
import time
import unittest

import h5py

from world import SMALL, World, kill_group

KILLS = int(os.environ.get("PALIMPSEST_TEST_KILLS", "50"))


class Kill(unittest.TestCase):
    def test_kills_at_random_moments_leave_the_results_as_they_were(self):
        rng = random.Random(20260101)
        with World() as calm, World() as world:
            begin = time.monotonic()
            calm.run(sets=SMALL)
            length = time.monotonic() - begin
            expected = calm.cells()
            self.assertEqual(len(expected), 2)

            kills = ends = 0
            while kills < KILLS:
                process = world.start("--jobs", rng.choice("12"), sets=SMALL)
                # Often early, so that a sweep is killed several times before it comes to its end.
                wait = length * rng.random() ** 1.5
                try:
                    status = process.wait(timeout=wait)
                    self.assertEqual(status, 0, world.said.read_text(encoding="utf-8") + world.logs())
                    self.assertEqual(world.cells(), expected)
                    ends += 1
                    world.forget()
                except subprocess.TimeoutExpired:
                    kill_group(process)
                    kills += 1
                    done = world.cells()
                    self.assertEqual(done, {name: expected[name] for name in done}, f"after kill {kills}")
                    if kills % 10 == 0:
                        print(f"{kills} kills after {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
                        world.run(sets=SMALL)
                        self.assertEqual(world.cells(), expected, f"after kill {kills}")
                        with h5py.File(world.output / "tiny.h5") as file:
                            names = [n.decode() for n in file["cells/cell"][...]]
                        self.assertEqual(sorted(names), ["plain,r0", "unedited,r0"])
                        if kills % 20 == 0:
                            world.forget()
            world.run(sets=SMALL)
            self.assertEqual(world.cells(), expected)
            left = [str(p) for p in world.output.rglob("*") if ".tmp" in p.name]
            self.assertEqual(left, [])
            print(f"{kills} kills, {ends} runs came to their end first, {length:.1f} s undisturbed", file=sys.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
