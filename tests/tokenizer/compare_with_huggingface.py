#!/usr/bin/env python3
"""Compares Palimpsest's tokenizer with Hugging Face tokenizers, id for id, on real lines and on every code point.

    compare_with_huggingface.py --dump build/bin/tokenizer_dump --tokenizer model/tokenizer.json \\
        --texts passages.jsonl more.txt --least-lines 20000 --code-points --marks 20000 --speed

Texts: of a .jsonl or .json file every text value of every row, at any depth; of any other file every line. Compared are ids,
offsets and the decoded text. The code points are all 1,112,064 that UTF-8 can write, so those assigned in any Unicode version
are among them, each alone and in one text with letters, digits, spaces and apostrophes around it. Marks: random sequences of
what normal forms compose, decompose and reorder. Continuations: each real line is cut where one of its words, or of its tokens
where the tokenizer knows no words, begins; the second half, going on behind the first, has the last ids of the line. With --variants FOLDER the tokenizers are those of make_tokenizer_golden.py
there, by name. Prints the counts; the exit status is 1 when anything differs or too few lines were given.
"""

import argparse
import copy
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata

from tokenizers import Tokenizer

# Longer texts are cut into pieces for the comparison, so that a difference is easy to find.
LONGEST = 4000
BATCH = 20000
SHOWN = 5


def texts_within(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_within(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_within(item)


def lines_of(path):
    raw = path.read_bytes().decode("utf-8")
    if path.suffix == ".json":
        yield from texts_within(json.loads(raw))
        return
    for row in raw.split("\n"):
        if path.suffix == ".jsonl" and row.strip():
            yield from texts_within(json.loads(row))
        elif path.suffix != ".jsonl":
            yield row


def real_lines(paths, longest, most):
    """Each different non-empty line once, in order, in pieces of `longest` characters."""
    seen = {}
    for path in paths:
        for text in lines_of(path):
            for begin in range(0, len(text), longest):
                seen.setdefault(text[begin:begin + longest])
    return [text for text in seen if text][:most]


def mark_texts(count):
    """Random sequences of letters, marks, composed letters, singletons and the letters of Hangul, the same on every run."""
    composed = [chr(c) for c in range(0x110000) if unicodedata.decomposition(chr(c)) and "<" not in unicodedata.decomposition(chr(c))]
    marks = [chr(c) for c in range(0x110000) if unicodedata.combining(chr(c))]
    hangul = [chr(c) for c in (*range(0x1100, 0x1113), *range(0x1161, 0x1176), *range(0x11A7, 0x11C3), 0xAC00, 0xAC01, 0xD7A3)]
    plain = list("aeEoucnsqZ \n1'") + ["\u05d0", "\u0915", "\u2581", "\u0cc6", "\u0dd9", "\U00011099"]
    pick = random.Random(4)
    for _ in range(count):
        yield "".join(pick.choice(pick.choice((composed, marks, marks, hangul, plain))) for _ in range(pick.randrange(1, 13)))


def variants(folder, names):
    """(name, document) of the golden variants named."""
    found = {}
    for base, golden in (("tokenizer.json", "golden.json"), ("characters.json", "golden_characters.json")):
        for variant in json.loads((folder / golden).read_text(encoding="utf-8"))["variants"]:
            document = json.loads((folder / base).read_text(encoding="utf-8"))
            document.update(variant["overrides"])
            document["model"].update(variant["model_options"])
            for token in variant["removed_tokens"]:
                del document["model"]["vocab"][token]
            found[variant["name"]] = document
    missing = [name for name in names if name not in found]
    if missing:
        sys.exit(f"{folder} has no variant {missing[0]}; it has {', '.join(sorted(found))}")
    return [(name, found[name]) for name in names]


def code_point_texts(together):
    """Each code point alone and in a context; or, with `together` > 1, only the contexts, so many in one text."""
    held = []
    for c in range(0x110000):
        if 0xD800 <= c <= 0xDFFF:
            continue
        x = chr(c)
        context = f"a{x}b {x}1{x}2 '{x}{x} .{x}\n{x} \t{x} "
        if together == 1:
            yield x
            yield context
            continue
        held.append(context)
        if len(held) == together:
            yield "".join(held)
            held = []
    if held:
        yield "".join(held)


class Comparison:
    def __init__(self, dump, tokenizer):
        self.command = [str(dump), str(tokenizer)]
        self.theirs = Tokenizer.from_file(str(tokenizer))
        document = json.loads(pathlib.Path(tokenizer).read_text(encoding="utf-8"))
        # Offsets are compared untrimmed: a token's are those of all of its bytes.
        untrimmed = copy.deepcopy(document)
        untrimmed["post_processor"] = None
        self.untrimmed = Tokenizer.from_str(json.dumps(untrimmed))
        self.normal_form = "NFC" in json.dumps(document["normalizer"])
        # Where a byte has no token and no unknown token stands in, the wheel's offsets shift; ours do not.
        self.has_all_bytes = document["model"].get("unk_token") is not None or all(
            len(self.theirs.encode(text, add_special_tokens=False).ids) for text in map(chr, range(128)))
        self.compared = self.different = self.offsets_compared = 0

    def ours(self, texts, *what):
        process = subprocess.Popen([*self.command, *what], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        def write():
            for text in texts:
                process.stdin.write(json.dumps(text).encode("ascii") + b"\n")
            process.stdin.close()

        writer = threading.Thread(target=write)
        writer.start()
        rows = [json.loads(line) for line in process.stdout]
        writer.join()
        if process.wait() != 0 or len(rows) != len(texts):
            sys.exit(f"{self.command[0]} ended with status {process.returncode} after {len(rows)} of {len(texts)} texts")
        return rows

    def run(self, texts):
        batch = []
        for text in texts:
            batch.append(text)
            if len(batch) == BATCH:
                self.batch(batch)
                batch = []
        if batch:
            self.batch(batch)

    def batch(self, texts):
        encodings = self.untrimmed.encode_batch(texts, add_special_tokens=False)
        decoded = self.theirs.decode_batch([e.ids for e in encodings], skip_special_tokens=False)
        for text, row, encoding, back in zip(texts, self.ours(texts), encodings, decoded):
            self.compared += 1
            if row["ids"] != encoding.ids:
                self.report("ids", text, row["ids"], encoding.ids)
            elif row["decoded"] != back:
                self.report("decoded text", text, row["decoded"], back)
            # After a change of normal form the wheel's offsets leave marks out; ours do not.
            elif (self.has_all_bytes or back == text) and not (self.normal_form and unicodedata.normalize("NFC", text) != text):
                self.offsets_compared += 1
                offsets = in_characters(text, row["offsets"])
                if offsets != encoding.offsets:
                    self.report("offsets", text, offsets, encoding.offsets)

    def continuations(self, texts):
        """Cuts each text in two; ours of the second half, behind the first, against the last ids of theirs of the whole."""
        pick = random.Random(5)
        cuts = []
        for text, whole in zip(texts, self.untrimmed.encode_batch(texts, add_special_tokens=False)):
            places = seams(text, whole)
            if self.normal_form and unicodedata.normalize("NFC", text) != text or not places:
                continue
            at = pick.choice(places)
            begin = whole.offsets[at][0]
            if self.untrimmed.encode(text[:begin], add_special_tokens=False).ids == whole.ids[:at]:
                # Not every decoder gives back what was encoded.
                cuts.append((text[begin:], whole.ids[at:], self.theirs.decode(whole.ids, skip_special_tokens=False) == text))
        for (text, ids, comes_back), row in zip(cuts, self.ours([cut[0] for cut in cuts], "continuations")):
            self.compared += 1
            if row["ids"] != ids:
                self.report("ids of a continuation", text, row["ids"], ids)
            elif comes_back and row["decoded"] != text:
                self.report("decoded continuation", text, row["decoded"], text)

    def report(self, what, text, ours, theirs):
        self.different += 1
        if self.different <= SHOWN:
            print(f"different {what}: {ascii(text)}")
            if isinstance(ours, list) and len(ours) == len(theirs):
                first = next(i for i, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1])
                print(f"  first at token {first}: {ours[first]}, Hugging Face {theirs[first]}")
            else:
                print(f"  Palimpsest:   {ascii(ours)}\n  Hugging Face: {ascii(theirs)}")


def seams(text, encoding):
    """The tokens at which a text may be cut in two: what begins there begins a word, where there are several, and the cut is one
    between characters."""
    offsets, words = encoding.offsets, encoding.word_ids
    cut_into_words = len(set(words)) > 1
    return [i for i in range(1, len(offsets)) if offsets[i - 1][1] == offsets[i][0] > 0
            and (words[i - 1] != words[i] or not cut_into_words)]


def in_characters(text, offsets):
    """Byte offsets as those of the characters that the bytes belong to. A mark before a text, which stands for no byte of it,
    has the first character there."""
    pairs = [(a, max(b, a + 1)) for a, b in zip(offsets[::2], offsets[1::2])]
    if text.isascii():
        return pairs
    character = []
    for index, c in enumerate(text):
        character += [index] * len(c.encode("utf-8"))
    return [(character[a], character[b - 1] + 1) for a, b in pairs]


def speed(comparison, texts):
    """MB/s of processor time of both on one thread, best of three turns each, taken alternately."""
    with tempfile.TemporaryFile() as file:
        file.writelines(json.dumps(text).encode("ascii") + b"\n" for text in texts)
        size = sum(len(text.encode("utf-8")) for text in texts)
        ours, theirs = [], []
        for _ in range(3):
            file.seek(0)
            answer = json.loads(subprocess.run([*comparison.command, "1"], stdin=file, capture_output=True, check=True).stdout)
            ours.append(answer["bytes"] / answer["seconds"] / 1e6)
            fresh = Tokenizer.from_str(comparison.untrimmed.to_str())
            begin = time.process_time()
            fresh.encode_batch_fast(texts, add_special_tokens=False)  # without offsets, one thread (see below)
            theirs.append(size / (time.process_time() - begin) / 1e6)
    print(f"speed, one thread, {size / 1e6:.1f} MB: Palimpsest {max(ours):.2f} MB/s, Hugging Face {max(theirs):.2f} MB/s "
          f"({max(ours) / max(theirs):.2f} times)")


def compare(arguments, name, tokenizer, texts):
    """The number of differences of one tokenizer, `name` before every line that is printed."""
    different = 0
    kinds = []
    if arguments.texts:
        kinds.append(("real lines", len(texts), texts))
    if arguments.code_points:
        kinds.append(("code points", 0x110000 - 0x800, code_point_texts(arguments.together)))
    if arguments.marks:
        kinds.append(("sequences of marks", arguments.marks, mark_texts(arguments.marks)))
    for kind, count, given in kinds:
        comparison = Comparison(arguments.dump, tokenizer)
        comparison.run(given)
        different += comparison.different
        print(f"{name}{kind} compared: {count} in {comparison.compared} texts, with offsets: {comparison.offsets_compared}, "
              f"different: {comparison.different}", flush=True)
    if arguments.continuations:
        comparison = Comparison(arguments.dump, tokenizer)
        comparison.continuations(texts)
        different += comparison.different + (comparison.compared < len(texts) // 2)
        print(f"{name}continuations compared: {comparison.compared} of {len(texts)} lines, different: {comparison.different}",
              flush=True)
    if arguments.speed:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        speed(Comparison(arguments.dump, tokenizer), texts)
    return different


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dump", type=pathlib.Path, required=True, help="the program tokenizer_dump")
    parser.add_argument("--tokenizer", type=pathlib.Path, nargs="*", default=[], help="tokenizer.json, one or several")
    parser.add_argument("--variants", nargs="+", default=[], metavar="FOLDER NAME", help="variants of tests/tokenizer/data")
    parser.add_argument("--texts", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--longest", type=int, default=LONGEST, help="characters of a text, longer ones are cut into pieces")
    parser.add_argument("--least-lines", type=int, default=0)
    parser.add_argument("--most-lines", type=int)
    parser.add_argument("--code-points", action="store_true")
    parser.add_argument("--together", type=int, default=1, help="code points in one text: quicker, and coarser reports")
    parser.add_argument("--marks", type=int, default=0, metavar="COUNT", help="random sequences of marks")
    parser.add_argument("--continuations", action="store_true", help="of the texts, each cut in two")
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()

    texts = real_lines(arguments.texts, arguments.longest, arguments.most_lines)
    different = 0
    for tokenizer in arguments.tokenizer:
        name = f"{tokenizer}: " if len(arguments.tokenizer) > 1 else ""
        different += compare(arguments, name, tokenizer, texts)
    if arguments.variants:
        with tempfile.TemporaryDirectory() as folder:
            for name, document in variants(pathlib.Path(arguments.variants[0]), arguments.variants[1:]):
                path = pathlib.Path(folder) / f"{name}.json"
                path.write_text(json.dumps(document), encoding="utf-8")
                different += compare(arguments, f"{name}: ", path, texts)
    if len(texts) < arguments.least_lines:
        sys.exit(f"only {len(texts)} different lines were given; at least {arguments.least_lines} are wanted")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
