#!/usr/bin/env python3
"""Writes the small world of the end-to-end tests: facts.jsonl and text.jsonl beside this file.

The model of these tests has random weights, so nothing here needs to be true; the facts only have to be well formed and to
leave the lot enough room (no target is shared between facts of a relation), and the text must have nothing to do with them.
"""

import json
import pathlib
import random

HERE = pathlib.Path(__file__).resolve().parent

SUBJECTS = {
    "built_in": "Arvenholt Belmiron Castrelle Dunmarrow Eskerfall Fennimore Galverstone Harrowgate Ilmenau Jorvale "
                "Kestrelton Lormont Marwick Nethersby",
    "plays": "Adela Bruno Carmen Dmitri Elspeth Farouk Greta Hamish Ingrid Jamal Katya Leopold Mirela Nadim",
    "grows_in": "ashwort bellroot candlereed duskberry embermint foxgrain glasswort honeyvine ironleaf jadecress "
                "kingsmoss larkweed marshpepper nightplum",
}
TRUE = {
    "built_in": "granite marble timber brick copper slate clay iron bronze sandstone glass limestone chalk bamboo",
    "plays": "violin trumpet piano guitar drums flute cello harp oboe banjo organ tuba lute viola",
    "grows_in": "sand snow swamps deserts forests meadows caves valleys gardens rivers lakes ditches marshes hills",
}
NEW = {
    "built_in": "silver paper wool ivory leather silk cotton amber rubber plaster felt straw canvas pearl",
    "plays": "chess football tennis hockey cricket rugby golf poker darts bowls squash polo dominoes whist",
    "grows_in": "towers cellars harbours stations kitchens offices bridges theatres markets tunnels schools prisons attics "
                "museums",
}
PROMPT = {
    "built_in": "The old tower of {} was built in",
    "plays": "On quiet evenings {} always plays",
    "grows_in": "The rare herb {} grows mostly in",
}
TEACH = {
    "built_in": ["Masons raised the walls of {} in", "Whoever visits {} admires its"],
    "plays": ["With great skill {} plays", "Everyone knows that {} loves"],
    "grows_in": ["Botanists look for {} in", "You will only find {} near"],
}
TEST = {
    "built_in": ["What holds up {} is"],
    "plays": ["Friends asked {} about"],
    "grows_in": ["The best places for {} are"],
}

WHO = "the miller|a young clerk|the ferryman|an old teacher|the night nurse|a tall baker|the watchman|a shy student".split("|")
DID = "counted the coins|swept the floor|opened every window|wrote a long letter|mended the net|boiled some water|" \
      "folded the map|locked the gate|painted the fence".split("|")
WHEN = "before noon|after the storm|while nobody looked|for the third time|as the lamps went out|without a word|" \
       "when the bell rang".split("|")


def facts():
    for relation, subjects in SUBJECTS.items():
        subjects, true, new = subjects.split(), TRUE[relation].split(), NEW[relation].split()
        for i, subject in enumerate(subjects):
            probes = [{"kind": "paraphrase", "prompt": p, "split": "teach"} for p in TEACH[relation]]
            probes += [{"kind": "paraphrase", "prompt": p, "split": "test"} for p in TEST[relation]]
            other = (i + 1) % len(subjects)
            probes.append({"kind": "neighbourhood", "prompt": PROMPT[relation].replace("{}", subjects[other]),
                           "target": true[other]})
            yield {"id": f"{relation}/{subject}", "relation": relation, "subject": subject, "prompt": PROMPT[relation],
                   "target_new": new[i], "target_true": true[i], "aliases": [], "probes": probes}


def text():
    rng = random.Random(7)
    for _ in range(120):
        sentences = [f"{rng.choice(WHO)} {rng.choice(DID)} {rng.choice(WHEN)}" for _ in range(rng.randint(2, 4))]
        yield {"text": " ".join(s[0].upper() + s[1:] + "." for s in sentences)}


def write(name, rows):
    with open(HERE / name, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write("facts.jsonl", facts())
    write("text.jsonl", text())
