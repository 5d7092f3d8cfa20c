#!/usr/bin/env python3
"""Writes framework/model/tokenizer/unicode_table.cpp: what a pattern's classes mean, code point by code point.

The source is the Hugging Face `tokenizers` wheel itself, asked for every code point, because equal ids are the aim and the
wheel's tables are what makes them. Its patterns (Oniguruma) and its Digits pre-tokenizer (Rust's char::is_numeric) follow
different Unicode versions. --check verifies which: each `unicodedata2` given must agree with the table on every code point.

    pip install tokenizers==0.23.3
    pip install --target u16 unicodedata2==16.0.0; pip install --target u17 unicodedata2==17.0.1
    make_unicode_table.py --check u16 --check u17 framework/model/tokenizer/unicode_table.cpp
"""

import argparse
import subprocess
import sys

import tokenizers
from tokenizers import Regex, pre_tokenizers

CATEGORIES = ("Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn").split()
POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
PATTERN_VERSION, NUMERIC_VERSION = "16.0.0", "17.0.0"


def matched(pattern):
    """The code points that the wheel's pattern matches."""
    everything = "".join(map(chr, POINTS))
    rest = set(POINTS)
    for _, (begin, end) in pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(everything):
        rest.difference_update(POINTS[begin:end])
    return rest


def numeric():
    """The code points that the wheel's Digits pre-tokenizer takes for digits."""
    text = "a" + "a".join(map(chr, POINTS)) + "a"
    pieces = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str(text)
    return {ord(piece) for piece, _ in pieces if len(piece) == 1} - {ord("a")}


def runs(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def check(folder, category, numbers):
    """Compares with the unicodedata2 installed in `folder`; says its version."""
    program = (
        f"import sys; sys.path.insert(0, {folder!r}); import unicodedata2 as u; print(u.unidata_version); "
        "print(*[u.category(chr(c)) for c in range(0x110000)])"
    )
    version, names = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True,
                                    text=True).stdout.strip().split("\n")
    names = names.split()
    wrong = [c for c in POINTS if names[c] != category[c]]
    wrong_numbers = [c for c in POINTS if (names[c][0] == "N") != (c in numbers)]
    print(f"unicodedata2 {version}: categories differ at {len(wrong)} code points, Digits at {len(wrong_numbers)}")
    return version, not wrong, not wrong_numbers


def wrapped(items):
    lines, line = [], " "
    for item in items:
        if len(line) + 1 + len(item) > 119:
            lines.append(line)
            line = " "
        line += " " + item
    return "\n".join(lines + [line])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="append", default=[], metavar="FOLDER", help="a folder with a unicodedata2")
    parser.add_argument("output")
    arguments = parser.parse_args()

    category = {c: "Cs" for c in range(0xD800, 0xE000)}
    for name in CATEGORIES:
        for c in matched(r"\p{%s}" % name):
            if c in category:
                sys.exit(f"U+{c:04X} is both {category[c]} and {name}")
            category[c] = name
    if len(category) != 0x110000:
        sys.exit(f"{0x110000 - len(category)} code points have no category")
    numbers = numeric()
    spaces = matched(r"\s")
    missing = [c for c in POINTS if category[c][0] == "N" and c not in numbers]
    if missing:
        sys.exit(f"Digits leaves out {len(missing)} numbers of the patterns' own table")
    for folder in arguments.check:
        version, same, same_numbers = check(folder, category, numbers)
        if version == PATTERN_VERSION and not same or version.startswith("17.0") and not same_numbers:
            sys.exit("the wheel does not follow the Unicode versions named here")

    table, last = [], None
    for c in range(0x110000):
        if category[c] != last:
            last = category[c]
            table.append(f"{{0x{c:X}, {last}}},")
    extra = [c for c in numbers if category[c][0] != "N"]
    with open(arguments.output, "w", encoding="utf-8") as out:
        out.write(f"""// Written by tests/support/make_unicode_table.py from tokenizers {tokenizers.__version__}; do not edit.
#include "model/tokenizer/unicode_table.hpp"

namespace palimpsest::model {{
namespace {{
using enum Category;

// clang-format off
// The first code point of each run of one general category, Unicode {PATTERN_VERSION}.
constexpr CategoryRun kCategoryRuns[] = {{
{wrapped(table)}
}};

// White_Space.
constexpr CodePointRange kWhiteSpace[] = {{
{wrapped(f"{{0x{a:X}, 0x{b:X}}}," for a, b in runs(spaces))}
}};

// Numbers of Unicode {NUMERIC_VERSION} that {PATTERN_VERSION} does not have.
constexpr CodePointRange kNewerNumbers[] = {{
{wrapped(f"{{0x{a:X}, 0x{b:X}}}," for a, b in runs(extra))}
}};
// clang-format on

}}  // namespace

std::span<const CategoryRun> category_runs() {{ return kCategoryRuns; }}
std::span<const CodePointRange> white_space() {{ return kWhiteSpace; }}
std::span<const CodePointRange> newer_numbers() {{ return kNewerNumbers; }}

}}  // namespace palimpsest::model
""")
    print(f"{len(table)} runs, {len(runs(spaces))} of white space, {len(runs(extra))} of newer numbers")


if __name__ == "__main__":
    main()
