"""The layout that plugins in the field depend on: size and place of every member of every public struct, every constant.

    python tests/abi/layout.py            compares the headers with tests/abi/layout.txt
    python tests/abi/layout.py --write    writes layout.txt; only for a new version of the ABI

A small C program, written from the headers, prints what the compiler makes of them. Bytes that move without a new number in
version.h fail, and the message says which.
"""

import argparse
import difflib
import pathlib
import subprocess
import tempfile

from contract import HEADERS, Contract

GOLDEN = pathlib.Path(__file__).resolve().with_name("layout.txt")


def program(contract):
    lines = ['#include <stdio.h>', '#include "palimpsest/palimpsest.h"',
             "#define SIZE(s) printf(#s \" size %zu align %zu\\n\", sizeof(s), _Alignof(s))",
             "#define MEMBER(s, m) printf(#s \".\" #m \" offset %zu size %zu\\n\", offsetof(s, m), sizeof(((s*)0)->m))",
             "#define TYPE(t) printf(#t \" size %zu %s\\n\", sizeof(t), (t)-1 < (t)0 ? \"signed\" : \"unsigned\")",
             "#define CONSTANT(c) printf(#c \" = %lld\\n\", (long long)(c))",
             "#define TEXT(c) printf(#c \" = \\\"%s\\\"\\n\", c)", "int main(void) {"]
    for name, members in contract.structs.items():
        lines.append(f"  SIZE({name});")
        lines += [f"  MEMBER({name}, {member});" for member in members]
    lines += [f"  TYPE({name});" for _, name in contract.types]
    lines += [f"  CONSTANT({name});" for name in contract.constants if not name.startswith("PALIMPSEST_ABI_")]
    lines += [f"  TEXT({name});" for name in contract.texts]
    return "\n".join(lines + ["  return 0;", "}", ""])


def layout_of(folder=HEADERS, compiler="cc"):
    """The lines that a compiler makes of the headers, the version first."""
    contract = Contract(folder)
    with tempfile.TemporaryDirectory() as scratch:
        source, binary = pathlib.Path(scratch, "layout.c"), pathlib.Path(scratch, "layout")
        source.write_text(program(contract), encoding="utf-8")
        contract.compile(compiler, source, binary, "-Wno-type-limits")
        said = subprocess.run([str(binary)], capture_output=True, text=True, check=True).stdout.splitlines()
    return [f"abi {contract.version}"] + said


def moved(old, new):
    """One sentence for every line that differs."""
    was, now = dict(line.split(" ", 1) for line in old[1:]), dict(line.split(" ", 1) for line in new[1:])
    sentences = [f"{name}: was {was[name]}, is {now[name]}" for name in was if name in now and was[name] != now[name]]
    sentences += [f"{name}: is gone (was {was[name]})" for name in was if name not in now]
    sentences += [f"{name}: is new ({now[name]})" for name in now if name not in was]
    return sentences or ["the order of declarations: " + line for line in difflib.unified_diff(old, new, lineterm="", n=0)]


def compare(old, new):
    """What is wrong, or an empty text."""
    if old == new:
        return ""
    sentences = moved(old, new)
    if old[0] == new[0]:
        return (f"the contract changed and its version is still {old[0].split()[1]}:\n  " + "\n  ".join(sentences) +
                "\nPlugins built before would read the wrong bytes. Raise PALIMPSEST_ABI_MINOR in framework/abi/palimpsest/"
                "version.h and PALIMPSEST_ABI_VERSION in cmake/PalimpsestPlugin.cmake as docs/abi.md says, then write the new "
                "layout with tests/abi/layout.py --write and the new signatures with tests/abi/signatures.py --write")
    return (f"the headers are ABI {new[0].split()[1]}, layout.txt is of {old[0].split()[1]}; write it with "
            "tests/abi/layout.py --write. What changed:\n  " + "\n  ".join(sentences))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--compiler", default="cc")
    arguments = parser.parse_args()
    layout = layout_of(compiler=arguments.compiler)
    if arguments.write:
        GOLDEN.write_text("\n".join(layout) + "\n", encoding="utf-8")
        return
    wrong = compare(GOLDEN.read_text(encoding="utf-8").splitlines(), layout)
    if wrong:
        raise SystemExit(wrong)
    print(f"{len(layout) - 1} lines agree with {GOLDEN.name}")


if __name__ == "__main__":
    main()
