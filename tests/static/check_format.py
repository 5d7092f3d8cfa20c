#!/usr/bin/env python3
"""Every C and C++ file of the project is formatted as .clang-format says. `--fix` formats them instead of complaining."""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys

from sources import CXX, project_files


def find_tool(name):
    """The tool beside this Python (the private venv), or on PATH; exits with a message where there is none."""
    beside = pathlib.Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        sys.exit(f"{name} was found neither beside {sys.executable} nor on PATH; ./palimpsest test installs it, or give "
                 f"PALIMPSEST_PYTHON the Python of an environment made from cmake/setup/requirements-test.txt")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2], type=pathlib.Path)
    parser.add_argument("--fix", action="store_true", help="format the files in place")
    options = parser.parse_args()
    tool = find_tool("clang-format")
    files = [str(path) for path in project_files(options.root, CXX)]
    if not files:
        sys.exit(f"no C or C++ file was found in {options.root}: nothing was checked")
    mode = ["-i"] if options.fix else ["--dry-run", "--Werror"]
    done = subprocess.run([tool, "--style=file", *mode, *files], cwd=options.root, check=False, capture_output=True, text=True)
    if done.returncode:
        first = {}  # The first place of each file is enough: --fix mends them all.
        for line in done.stderr.splitlines():
            if match := re.match(r"(.+?):(\d+):\d+: error: ", line):
                first.setdefault(match[1], match[2])
        for file, line in first.items():
            print(f"{file}:{line}: not formatted as .clang-format says", flush=True)
        sys.exit(f"{len(first)} of {len(files)} files; to format them: python3 tests/static/check_format.py --fix"
                 if first else done.stderr)
    print(f"{len(files)} files {'formatted' if options.fix else 'are well formatted'}")


if __name__ == "__main__":
    main()
