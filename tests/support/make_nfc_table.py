#!/usr/bin/env python3
"""Writes framework/model/tokenizer/unicode_nfc_table.cpp: what the normal form NFC of a text depends on.

What decomposes and what is a mark comes from Python's `unicodedata` and is kept where the Hugging Face `tokenizers` wheel agrees,
because equal ids are the aim and the wheel's normalisers know an older Unicode version than its patterns. Every code point is
then compared with the wheel by the rules of the table alone, and with `unicodedata`: where these two differ, the code point must
be younger than the version named here.

    pip install tokenizers==0.23.3
    make_nfc_table.py framework/model/tokenizer/unicode_nfc_table.cpp
"""

import argparse
import sys
import unicodedata

import tokenizers
from make_unicode_table import POINTS, wrapped
from tokenizers import normalizers

VERSION = "9.0.0"
NFC, NFD = normalizers.NFC().normalize_str, normalizers.NFD().normalize_str
# Marks of the classes 1, 202, 220, 230, 240: the order that the wheel gives a mark among them shows the mark's class.
MARKS = "\u0334\u0327\u0323\u0301\u0345"


def decompositions():
    """The canonical decompositions of one step that the wheel knows: those whose composite it makes, and the others."""
    composed, others = [], []
    for c in POINTS:
        x = chr(c)
        if 0xAC00 <= c < 0xD7A4 or NFD(x) == x:  # the syllables of Hangul are computed
            continue
        parts = [int(part, 16) for part in unicodedata.decomposition(x).split()]
        if "".join(NFD(chr(part)) for part in parts) != NFD(x):
            sys.exit(f"U+{c:04X}: unicodedata and the wheel decompose differently")
        entry = (c, parts[0], parts[1] if len(parts) == 2 else 0)
        (composed if NFC(x) == x else others).append(entry)
    return composed, others


def combining_classes():
    """The classes other than 0, of the code points that the wheel takes for marks."""
    out = {}
    for c in POINTS:
        text = "a" + MARKS + chr(c) + MARKS
        if unicodedata.combining(chr(c)) and NFD(text) == unicodedata.normalize("NFD", text):
            out[c] = unicodedata.combining(chr(c))
    return out


def runs(classes):
    out = []
    for c, value in sorted(classes.items()):
        if out and out[-1][1] == c - 1 and out[-1][2] == value:
            out[-1][1] = c
        else:
            out.append([c, c, value])
    return out


def check(composed, others, classes):
    """Decomposes and orders by the table alone."""
    table = {c: (a, b) for c, a, b in composed + others}

    def full(c):
        if 0xAC00 <= c < 0xD7A4:
            s = c - 0xAC00
            return [0x1100 + s // 588, 0x1161 + s % 588 // 28] + ([0x11A7 + s % 28] if s % 28 else [])
        if c not in table:
            return [c]
        return [x for part in table[c] if part for x in full(part)]

    younger = 0
    for c in POINTS:
        if "".join(map(chr, full(c))) != NFD(chr(c)):
            sys.exit(f"U+{c:04X}: the table decomposes it otherwise than the wheel")
        text = "a" + MARKS + chr(c) + MARKS
        ordered, held = "", []
        for x in [y for z in text for y in full(ord(z))]:
            if classes.get(x, 0) == 0:
                ordered += "".join(chr(y) for y in sorted(held, key=lambda y: classes[y])) + chr(x)
                held = []
            else:
                held.append(x)
        ordered += "".join(chr(y) for y in sorted(held, key=lambda y: classes[y]))
        if ordered != NFD(text):
            sys.exit(f"U+{c:04X}: the table orders it otherwise than the wheel")
        if ordered != unicodedata.normalize("NFD", text):
            if unicodedata.ucd_3_2_0.category(chr(c)) != "Cn":
                sys.exit(f"U+{c:04X}: an old code point on which unicodedata and the wheel differ")
            younger += 1
    return younger


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    arguments = parser.parse_args()
    composed, others = decompositions()
    classes = combining_classes()
    younger = check(composed, others, classes)
    marks = runs(classes)
    with open(arguments.output, "w", encoding="utf-8") as out:
        out.write(f"""// Written by tests/support/make_nfc_table.py from tokenizers {tokenizers.__version__}; do not edit.
#include "model/tokenizer/unicode_nfc_table.hpp"

namespace palimpsest::model {{
namespace {{

// clang-format off
// Composites and their parts, Unicode {VERSION}.
constexpr Decomposition kComposites[] = {{
{wrapped(f"{{0x{c:X}, 0x{a:X}, 0x{b:X}}}," for c, a, b in composed)}
}};

// What decomposes and is not made by composing again: single characters, and pairs that Unicode excludes.
constexpr Decomposition kExcluded[] = {{
{wrapped(f"{{0x{c:X}, 0x{a:X}, 0x{b:X}}}," for c, a, b in others)}
}};

// Canonical combining classes other than 0.
constexpr CombiningRun kCombiningRuns[] = {{
{wrapped(f"{{0x{a:X}, 0x{b:X}, {k}}}," for a, b, k in marks)}
}};
// clang-format on

}}  // namespace

std::span<const Decomposition> composites() {{ return kComposites; }}
std::span<const Decomposition> excluded_decompositions() {{ return kExcluded; }}
std::span<const CombiningRun> combining_runs() {{ return kCombiningRuns; }}

}}  // namespace palimpsest::model
""")
    print(f"{len(composed)} composites, {len(others)} other decompositions, {len(marks)} runs of marks; equal to the wheel on every code "
          f"point; unicodedata {unicodedata.unidata_version} differs on {younger} younger ones")


if __name__ == "__main__":
    main()
