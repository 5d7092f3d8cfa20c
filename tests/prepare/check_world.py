#!/usr/bin/env python3
"""The rules that configs/facts/world.jsonl keeps, checked on the committed file itself: needs the standard library
only."""

import collections
import json
import pathlib
import re
import tomllib
import unittest

WORLD = pathlib.Path(__file__).resolve().parents[2] / "configs" / "facts" / "world.jsonl"
FIELDS = ["id", "relation", "subject", "prompt", "target_new", "target_true", "aliases", "probes"]


class WorldTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = WORLD.read_bytes()
        cls.facts = [json.loads(line) for line in cls.text.decode("utf-8").splitlines()]
        cls.by_relation = collections.defaultdict(list)
        for fact in cls.facts:
            cls.by_relation[fact["relation"]].append(fact)

    def paraphrases(self, fact, split):
        return [
            probe["prompt"] for probe in fact["probes"] if probe["kind"] == "paraphrase" and probe["split"] == split
        ]

    def neighbours(self, fact):
        return [probe for probe in fact["probes"] if probe["kind"] == "neighbourhood"]

    def test_size_and_counts(self):
        self.assertGreaterEqual(len(self.facts), 1000)
        self.assertGreaterEqual(len(self.by_relation), 12)
        self.assertLess(len(self.text), 3_500_000)
        self.assertTrue(self.text.endswith(b"\n"))

    def test_fields(self):
        for fact in self.facts:
            self.assertEqual(list(fact), FIELDS, fact["id"])
            for text in (fact["id"], fact["subject"], fact["target_new"], fact["target_true"], *fact["aliases"]):
                self.assertEqual(text, text.strip())
                self.assertTrue(text)
            for probe in fact["probes"]:
                wanted = {"paraphrase": {"kind", "prompt", "split"}, "neighbourhood": {"kind", "prompt", "target"}}
                self.assertEqual(set(probe), wanted[probe["kind"]], fact["id"])

    def test_ids_and_subjects_are_unique(self):
        ids = collections.Counter(fact["id"] for fact in self.facts)
        self.assertEqual([name for name, count in ids.items() if count > 1], [])
        pairs = collections.Counter((fact["relation"], fact["subject"].lower()) for fact in self.facts)
        self.assertEqual([pair for pair, count in pairs.items() if count > 1], [])

    def test_prompts(self):
        for fact in self.facts:
            teach, test = self.paraphrases(fact, "teach"), self.paraphrases(fact, "test")
            self.assertEqual((len(teach), len(test)), (8, 4), fact["id"])
            for frame in [fact["prompt"], *teach, *test]:
                self.assertEqual(frame.count("{}"), 1, frame)
                self.assertEqual(frame, frame.strip())
                # At least one whole word stands before the subject, so its last token is never at position 0.
                self.assertRegex(frame.split("{}")[0], r"\A\w.* \Z", frame)

    def test_no_frame_on_both_sides(self):
        sides = collections.defaultdict(set)
        for fact in self.facts:
            sides["main"].add(fact["prompt"].lower())
            for split in ("teach", "test"):
                sides[split].update(prompt.lower() for prompt in self.paraphrases(fact, split))
        for one, other in (("teach", "test"), ("main", "teach"), ("main", "test")):
            self.assertEqual(sides[one] & sides[other], set())

    def test_frames_are_truly_different(self):
        # Of the words of any two frames of a relation, at most 60 % are common to both.
        for relation, facts in self.by_relation.items():
            frames = [facts[0]["prompt"], *self.paraphrases(facts[0], "teach"), *self.paraphrases(facts[0], "test")]
            words = [[word.strip(".,:") for word in frame.lower().split() if word != "{}"] for frame in frames]
            for i, one in enumerate(words):
                for other in words[:i]:
                    share = len(set(one) & set(other)) / len(set(one) | set(other))
                    self.assertLessEqual(share, 0.6, (relation, one, other))

    def test_targets(self):
        for fact in self.facts:
            new, true = fact["target_new"], fact["target_true"]
            self.assertGreater(min(len(new), len(true)), 1, fact["id"])
            self.assertNotEqual(new.lower(), true.lower(), fact["id"])
            self.assertNotIn(fact["subject"].lower(), (new.lower(), true.lower()), fact["id"])
            self.assertIsNone(re.search(rf"\b{re.escape(true.lower())}\b", fact["subject"].lower()), fact["id"])

    def test_aliases_name_the_subject_otherwise(self):
        for fact in self.facts:
            self.assertNotIn(fact["subject"], fact["aliases"])
            self.assertEqual(len(set(fact["aliases"])), len(fact["aliases"]), fact["id"])
            if fact["subject"].startswith("the "):
                self.assertIn(fact["subject"][4:], fact["aliases"])

    def test_new_targets_are_of_the_relation_and_balanced(self):
        for relation, facts in self.by_relation.items():
            true = {fact["target_true"] for fact in facts}
            used = collections.Counter(fact["target_new"] for fact in facts)
            self.assertLessEqual(set(used), true, relation)
            self.assertGreaterEqual(len(true), 4, relation)
            counts = [used[target] for target in true]
            self.assertLessEqual(max(counts) - min(counts), 1, (relation, used))

    def test_neighbours(self):
        for fact in self.facts:
            answers = {
                other["prompt"].replace("{}", other["subject"]): other["target_true"]
                for other in self.by_relation[fact["relation"]]
            }
            neighbours = self.neighbours(fact)
            self.assertEqual(len({probe["prompt"] for probe in neighbours}), 5, fact["id"])
            same = sum(other["target_true"] == fact["target_true"] for other in self.by_relation[fact["relation"]]) - 1
            self.assertEqual(
                sum(probe["target"] == fact["target_true"] for probe in neighbours), min(5, same), fact["id"]
            )
            for probe in neighbours:
                self.assertEqual(answers[probe["prompt"]], probe["target"])
                self.assertNotEqual(probe["target"], fact["target_new"], fact["id"])
                self.assertNotEqual(probe["prompt"], fact["prompt"].replace("{}", fact["subject"]))

    def test_settings_are_searched_on_other_subjects(self):
        configs = WORLD.parents[1]
        published = tomllib.loads((configs / "paper" / "common.toml").read_text(encoding="utf-8"))["facts"]["limit"]
        first = tomllib.loads((configs / "tune" / "common.toml").read_text(encoding="utf-8"))["facts"]["first"]
        names = [fact["subject"].lower() for fact in self.facts]
        self.assertLess(published, first)
        self.assertGreater(len(names), first + 300)
        self.assertEqual(set(names[:published]) & set(names[first:]), set())

    def test_first_facts_span_the_relations(self):
        self.assertGreaterEqual(len({fact["relation"] for fact in self.facts[:60]}), 12)


if __name__ == "__main__":
    unittest.main(verbosity=1)
