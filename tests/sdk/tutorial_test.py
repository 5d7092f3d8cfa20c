"""docs/writing-a-plugin.md, typed in from top to bottom in an empty folder, against an installation: every sh block is run, every cpp
block is written to the file that its mark names. What comes out is docs/examples/emmet, which ships as an example."""

import os
import pathlib
import re
import unittest

from installation import SOURCE, Installation

PAGE = SOURCE / "docs" / "writing-a-plugin.md"
EXAMPLE = SOURCE / "docs" / "examples" / "emmet"
BLOCK = re.compile(r"^(?:<!-- (not run|file|more): ([^\n]+) -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Tutorial(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.at = Installation("tutorial")
        real = pathlib.Path(os.environ["PALIMPSEST_TEST_HOME"])
        for name in ("models", "data"):
            (cls.at.home / name).symlink_to(real / name)

    def test_every_block_in_order(self):
        folder = self.at.projects
        ran = []
        for mark, name, kind, content in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
            if mark == "not run":
                continue
            if kind == "sh":
                # As one session: where a block ends, the next one begins.
                script = f"set -e\ncd '{folder}'\n{content}\npwd > '{self.at.work}/where'\n"
                ran.append(self.at.do("sh", "-c", script, PREFIX=str(self.at.prefix), timeout=900, CMAKE_GENERATOR="Ninja"))
                folder = pathlib.Path((self.at.work / "where").read_text().strip())
            elif kind == "cpp":
                self.assertIn(mark, ("file", "more"), content)
                with open(folder / name, "a" if mark == "more" else "w", encoding="utf-8") as out:
                    out.write(("\n" if mark == "more" else "") + content)
            else:
                self.fail(f"a block of kind {kind}; expected sh or cpp, or a line <!-- not run: reason --> before it")
        said = "\n".join(ran)
        self.assertEqual(folder, self.at.projects / "emmet")
        self.assertEqual(said.count("100% tests passed"), 2)
        self.assertIn("passed  editor emmet, output:", said)
        self.assertNotIn("failed  ", said)
        # The retention table.
        self.assertRegex(said, r"editor emmet, task language_modeling")
        self.assertRegex(said, r"\n  edited  +3 ")
        # What was typed, and what `new` wrote and the page leaves alone, is the example.
        for name in ("emmet.hpp", "emmet.cpp", "CMakeLists.txt", "library.cpp", "experiment.toml"):
            self.assertEqual((folder / name).read_text(encoding="utf-8"), (EXAMPLE / name).read_text(encoding="utf-8"), name)
        self.assertEqual({p.name for p in EXAMPLE.iterdir()},
                         {"emmet.hpp", "emmet.cpp", "CMakeLists.txt", "library.cpp", "experiment.toml", "README.md", "emmet_test.cpp",
                          "golden.txt", "make_golden.py"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
