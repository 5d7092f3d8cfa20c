#!/usr/bin/env python3
"""Compares Palimpsest's tokenizer with Hugging Face tokenizers, id for id, on real lines and on every code point.

    compare_with_huggingface.py --dump build/bin/tokenizer_dump --tokenizer model/tokenizer.json \\
        --texts passages.jsonl more.txt --least-lines 20000 --code-points --speed

Texts: of a .jsonl or .json file every text value of every row, at any depth; of any other file every line. Compared are ids,
offsets and the decoded text. The code points are all 1,112,064 that UTF-8 can write, so those assigned in any Unicode version
are among them, each alone and in one text with letters, digits, spaces and apostrophes around it. Prints the counts; the exit
status is 1 when anything differs or too few lines were given.
"""

import argparse
import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

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


def real_lines(paths):
    """Each different non-empty line once, in order."""
    seen = {}
    for path in paths:
        for text in lines_of(path):
            for begin in range(0, len(text), LONGEST):
                seen.setdefault(text[begin:begin + LONGEST])
    return [text for text in seen if text]


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
        # Where a byte has no token and no unknown token stands in, the wheel's offsets shift; ours do not.
        self.has_all_bytes = document["model"].get("unk_token") is not None or all(
            len(self.theirs.encode(text, add_special_tokens=False).ids) for text in map(chr, range(128)))
        self.compared = self.different = self.offsets_compared = 0

    def ours(self, texts):
        process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

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
            elif self.has_all_bytes or back == text:
                self.offsets_compared += 1
                offsets = in_characters(text, row["offsets"])
                if offsets != encoding.offsets:
                    self.report("offsets", text, offsets, encoding.offsets)

    def report(self, what, text, ours, theirs):
        self.different += 1
        if self.different <= SHOWN:
            print(f"different {what}: {ascii(text)}\n  Palimpsest:   {ascii(ours)}\n  Hugging Face: {ascii(theirs)}")


def in_characters(text, offsets):
    """Byte offsets as those of the characters that the bytes belong to."""
    if text.isascii():
        return list(zip(offsets[::2], offsets[1::2]))
    character = []
    for index, c in enumerate(text):
        character += [index] * len(c.encode("utf-8"))
    return [(character[a], character[b - 1] + 1) for a, b in zip(offsets[::2], offsets[1::2])]


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dump", type=pathlib.Path, required=True, help="the program tokenizer_dump")
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True, help="a tokenizer.json")
    parser.add_argument("--texts", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--least-lines", type=int, default=0)
    parser.add_argument("--code-points", action="store_true")
    parser.add_argument("--together", type=int, default=1, help="code points in one text: quicker, and coarser reports")
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()

    different = 0
    texts = real_lines(arguments.texts)
    if arguments.texts:
        comparison = Comparison(arguments.dump, arguments.tokenizer)
        comparison.run(texts)
        different += comparison.different
        print(f"real lines compared: {comparison.compared}, with offsets: {comparison.offsets_compared}, "
              f"different: {comparison.different}")
    if arguments.code_points:
        comparison = Comparison(arguments.dump, arguments.tokenizer)
        comparison.run(code_point_texts(arguments.together))
        different += comparison.different
        print(f"code points compared: {0x110000 - 0x800} in {comparison.compared} texts, with offsets: "
              f"{comparison.offsets_compared}, different: {comparison.different}")
    if arguments.speed:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        speed(Comparison(arguments.dump, arguments.tokenizer), texts)
    if len(texts) < arguments.least_lines:
        sys.exit(f"only {len(texts)} different lines were given; at least {arguments.least_lines} are wanted")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
