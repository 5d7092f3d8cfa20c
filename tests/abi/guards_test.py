"""The two guards of the ABI notice what they are there for: each change below, made in a copy of the headers."""

import os
import pathlib
import re
import shutil
import tempfile
import unittest

import layout
import signatures
from contract import HEADERS, SOURCE, Contract

COMPILER = os.environ.get("PALIMPSEST_TEST_CC", "cc")


class Guards(unittest.TestCase):
    def changed(self, header, old, new):
        """A copy of the headers in which `old` was replaced."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        copy = pathlib.Path(folder.name, "abi")
        shutil.copytree(HEADERS, copy)
        path = copy / "palimpsest" / header
        text = path.read_text(encoding="utf-8")
        self.assertEqual(text.count(old), 1, f"{header} no longer holds what is replaced here")
        path.write_text(text.replace(old, new), encoding="utf-8")
        return copy

    def difference(self, folder):
        golden = layout.GOLDEN.read_text(encoding="utf-8").splitlines()
        return layout.compare(golden, layout.layout_of(folder, COMPILER))

    def test_every_struct_is_filled_by_the_members_that_were_read(self):
        ends = {}
        for line in layout.layout_of(compiler=COMPILER)[1:]:
            words = line.split()
            if " offset " in line:
                struct = words[0].split(".")[0]
                begin = int(words[2])
                # Holes are at most padding to the next member's alignment.
                self.assertLess(begin - ends.get(struct, 0), 8, line)
                ends[struct] = begin + int(words[4])
            elif " align " in line:
                ends.setdefault(words[0], 0)
        for line in layout.layout_of(compiler=COMPILER)[1:]:
            if " align " in line:
                self.assertLess(int(line.split()[2]) - ends[line.split()[0]], 8, line)
        self.assertGreater(len(ends), 40)

    def test_a_member_in_the_middle_is_named(self):
        copy = self.changed("services/model.h", "  int64_t rows, tokens;\n", "  int64_t rows, tokens, extra;\n")
        said = self.difference(copy)
        self.assertIn("palimpsest_forward_request.lengths: was offset 32 size 8, is offset 40 size 8", said)
        self.assertIn("palimpsest_forward_request.extra: is new", said)
        self.assertIn("its version is still", said)

    def test_exchanged_members_are_named(self):
        copy = self.changed("types.h", "  const char* data;\n  size_t size;", "  size_t size;\n  const char* data;")
        said = self.difference(copy)
        self.assertIn("palimpsest_text.data: was offset 0 size 8, is offset 8 size 8", said)

    def test_a_changed_constant_is_named(self):
        copy = self.changed("kinds/metric.h", "PALIMPSEST_WHEN_STEP = 4", "PALIMPSEST_WHEN_STEP = 3")
        self.assertIn("PALIMPSEST_WHEN_STEP: was = 4, is = 3", self.difference(copy))

    def test_a_new_version_asks_for_a_new_layout(self):
        minor = Contract().version.split(".")[1]
        copy = self.changed("version.h", f"ABI_MINOR {minor}", f"ABI_MINOR {int(minor) + 1}")
        self.assertIn("layout.txt is of 0." + minor, self.difference(copy))

    def test_a_changed_signature_moves_no_byte_and_is_found_all_the_same(self):
        copy = self.changed("services/fact.h", "const char* name, int64_t index,\n", "const char* name, int32_t index,\n")
        self.assertEqual(self.difference(copy), "")
        said = signatures.changes(signatures.GOLDEN, copy, COMPILER)
        self.assertIn("int32_t", said)
        self.assertIn("palimpsest_fact_v1", said)

    def test_a_renamed_function_is_named(self):
        copy = self.changed("services/runtime.h", "(*uniform)", "(*normal_)")
        self.assertIn("palimpsest_random_v1.uniform: is gone", self.difference(copy))

    def test_every_function_pointer_says_when_whose_which_thread_and_errors(self):
        missing, seen = [], 0
        declared = re.compile(r"(/\*(?:(?!\*/).)*?\*/)?\s*[\w ]+\**\s*\(\*(\w+)\)\s*\(", re.S)
        for path in sorted((HEADERS / "palimpsest").rglob("*.h")):
            for comment, name in declared.findall(path.read_text(encoding="utf-8")):
                seen += 1
                for label in ("When", "Ownership", "Thread", "Errors"):
                    if not re.search(rf"\b{label}\b[^.;]*:", comment):
                        missing.append(f"{path.name}: {name}: no {label}")
        self.assertEqual(missing, [])
        self.assertEqual(seen, sum(len(functions) for functions in Contract().functions.values()))

    def test_the_note_has_the_version_of_the_headers(self):
        text = (SOURCE / "cmake" / "PalimpsestPlugin.cmake").read_text(encoding="utf-8")
        self.assertIn(f"set(PALIMPSEST_ABI_VERSION {Contract().version})", text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
