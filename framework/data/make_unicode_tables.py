#!/usr/bin/env python3
"""Writes unicode_tables.cpp: which code points make words, and what each folds to.

A code point folds to NFD(casefold(NFD(it))), so that texts that differ only in case, or in whether an accent is a code
point of its own, fold to the same bytes. Hangul syllables and CJK compatibility ideographs keep their own form: each is
a word of its own, or never written decomposed. Run: python3 make_unicode_tables.py > unicode_tables.cpp
"""
import unicodedata

LAST = 0x10FFFF


def word(code):
    return unicodedata.category(chr(code))[0] in "LMN"


def fold(text):
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


def main():
    ranges, code = [], 0
    while code <= LAST:
        if word(code):
            first = code
            while code < LAST and word(code + 1):
                code += 1
            ranges.append((first, code))
        code += 1
    folds = []
    for code in range(0x80, LAST + 1):
        if 0xD800 <= code <= 0xDFFF or 0xAC00 <= code <= 0xD7A3 or 0xF900 <= code <= 0xFAFF or code >= 0x2F800:
            continue
        if not word(code):
            continue
        folded = fold(chr(code))
        if folded != chr(code):
            folds.append((code, folded.encode()))
    assert all(len(f) <= 11 for _, f in folds)
    print("// Written by make_unicode_tables.py; do not edit. Unicode %s." % unicodedata.unidata_version)
    print('#include "data/unicode_tables.hpp"\n')
    print("namespace palimpsest::data::unicode {\n")
    print("// clang-format off")
    emit("const CodeRange kWordRanges[] = {", ["{0x%X,0x%X}" % r for r in ranges])
    print("const std::size_t kWordRangeCount = %d;\n" % len(ranges))
    emit("const Fold kFolds[] = {", ["{0x%X,\"%s\"}" % (c, octal(f)) for c, f in folds])
    print("const std::size_t kFoldCount = %d;" % len(folds))
    print("// clang-format on\n")
    print("}  // namespace palimpsest::data::unicode")


def octal(text):
    return "".join("\\%03o" % b for b in text)


def emit(head, items):
    print(head)
    line = " "
    for item in items:
        if len(line) + len(item) + 2 > 120:
            print(line)
            line = " "
        line += " " + item + ","
    print(line)
    print("};")


main()
