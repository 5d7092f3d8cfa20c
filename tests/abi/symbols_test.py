"""What a plugin of each tier needs of libtorch: none nothing, stable C functions named aoti_torch_* and torch_* alone, locked
anything. Asked of the symbol tables: a symbol is libtorch's when libtorch defines it.
"""

import argparse
import re
import subprocess
import sys

SHIM = re.compile(r"^(aoti_torch_|torch_)\w+$")


def symbols(library, kind):
    """Those without a version: libtorch's have none, while the C and C++ libraries' were bound to one when a plugin was linked.
    (libtorch carries weak copies of some of the latter.)"""
    said = subprocess.run(["nm", "--dynamic", f"--{kind}-only", library], capture_output=True, text=True, check=True).stdout
    return {name for name in (line.split()[-1] for line in said.splitlines()) if "@" not in name}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", nargs="+", required=True)
    for tier in ("none", "stable", "locked"):
        parser.add_argument(f"--{tier}", nargs="+", required=True)
    arguments = parser.parse_args()
    torch = set().union(*(symbols(library, "defined") for library in arguments.torch))
    wrong = []
    for tier in ("none", "stable", "locked"):
        for library in getattr(arguments, tier):
            needed = symbols(library, "undefined") & torch
            outside = sorted(s for s in needed if not SHIM.match(s))
            if tier == "none" and needed:
                wrong.append(f"{library} is of tier none and needs {', '.join(sorted(needed))}")
            if tier == "stable" and (outside or not needed):
                wrong.append(f"{library} is of tier stable and needs {', '.join(outside) or 'nothing of libtorch'}")
            # Else this test would not know libtorch's symbols from others.
            if tier == "locked" and not outside:
                wrong.append(f"{library} is of tier locked, and no C++ symbol of libtorch was found in it")
            print(f"{tier:7} {len(needed):3} symbols of libtorch, {len(outside)} of them C++: {library}")
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
