#!/usr/bin/env python3
"""clang-tidy over every unit of the project, with the checks of .clang-tidy, several units at a time.

It reads the compile commands of the build tree and drops what only g++ understands (its precompiled headers, ccache), so it
needs no second configured tree. Torch's headers make a unit cost many seconds, therefore a clean result is kept under
<home>/cache/tidy, by a hash of all that decides it: command, tool, .clang-tidy files, the unit and every header of ours that
it reaches. A unit with findings is never kept and so is told again on the next run.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

from check_format import find_tool

INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.MULTILINE)


class Unit:
    """One compile command, in the form clang understands."""

    def __init__(self, entry):
        words = entry.get("arguments") or shlex.split(entry["command"])
        compiler = next(i for i, word in enumerate(words) if re.search(r"(c\+\+|g\+\+|gcc|cc|clang)(-\d+)?$", word))
        self.file = pathlib.Path(entry["directory"], entry["file"])
        self.directory = entry["directory"]
        self.arguments = [words[compiler]]
        rest = iter(words[compiler + 1:])
        for word in rest:
            if word == "-include":
                header = next(rest)
                if "cmake_pch" not in header:
                    self.arguments += [word, header]
            elif word not in ("-fpch-preprocess", "-Winvalid-pch", "-Werror"):
                self.arguments.append(word)
        self.arguments.append("-Wno-unknown-warning-option")

    def include_folders(self):
        return [pathlib.Path(word[2:]) for word in self.arguments if word.startswith("-I") and len(word) > 2]


def reachable(unit, root, contents):
    """The unit and the project's headers that it includes, directly or not. `contents` caches path -> (digest, includes)."""
    waiting, seen = [unit.file], set()
    folders = unit.include_folders()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if path not in contents:
            data = path.read_bytes()
            contents[path] = (hashlib.sha256(data).hexdigest(), [name.decode() for name in INCLUDE.findall(data)])
        for name in contents[path][1]:
            for folder in [path.parent, *folders]:
                candidate = pathlib.Path(os.path.normpath(folder / name))
                if candidate.is_relative_to(root) and candidate.is_file():
                    waiting.append(candidate)
                    break
    return sorted(seen)


def key_of(unit, root, common, contents):
    """A digest of all that decides what clang-tidy says of this unit."""
    digest = hashlib.sha256(common)
    digest.update("\0".join(unit.arguments).encode())
    for path in reachable(unit, root, contents):
        digest.update(f"{path.relative_to(root) if path.is_relative_to(root) else path} {contents[path][0]}\n".encode())
    return digest.hexdigest()


def version_of(*command):
    return subprocess.run(command, capture_output=True, check=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2], type=pathlib.Path)
    parser.add_argument("--build", required=True, type=pathlib.Path, help="build tree with compile_commands.json")
    parser.add_argument("--home", type=pathlib.Path, help="folder for the cache; default: ROOT/.palimpsest")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-cache", action="store_true", help="check every unit again")
    parser.add_argument("--without-torch", action="store_true",
                        help="leave out units that use libtorch, whose headers cost 10 to 30 s each, and units of tests")
    parser.add_argument("paths", nargs="*", help="only units whose path contains one of these")
    options = parser.parse_args()

    root = options.root.resolve()
    tool = find_tool("clang-tidy")
    database = options.build / "compile_commands.json"
    if not database.is_file():
        sys.exit(f"{database} was not found; configure the build tree first (./palimpsest test does)")
    build = options.build.resolve()
    units = {}
    for entry in json.loads(database.read_text()):
        file = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if file.is_relative_to(root) and not file.is_relative_to(build):
            if file.is_relative_to(root / "tests/static") or not file.is_file():
                continue
            units.setdefault(file, Unit(entry))
    chosen = [u for f, u in sorted(units.items()) if not options.paths or any(p in str(f) for p in options.paths)]
    if options.without_torch:
        everything = len(chosen)
        chosen = [u for u in chosen if not any("/torch/" in w for w in u.arguments) and root / "tests" not in u.file.parents]
        print(f"{everything - len(chosen)} units that use libtorch, or test, are left out (--without-torch)", flush=True)
    if not chosen:
        sys.exit(f"{database} names no unit of {root}" + (" with " + ", ".join(options.paths) if options.paths else ""))

    common = version_of(tool, "--version") + version_of(chosen[0].arguments[0], "--version")
    for config in sorted(p for p in root.rglob(".clang-tidy") if build not in p.parents):
        common += config.read_bytes()
    home = (options.home or root / ".palimpsest").resolve()
    cache = home / "cache" / "tidy"
    cache.mkdir(parents=True, exist_ok=True)
    rewritten = home / "cache" / "tidy_commands"
    rewritten.mkdir(parents=True, exist_ok=True)
    temporary = rewritten / f"compile_commands.{os.getpid()}.json"
    temporary.write_text(json.dumps(
        [{"directory": u.directory, "file": str(u.file), "arguments": u.arguments} for u in chosen]))
    os.replace(temporary, rewritten / "compile_commands.json")

    contents = {}
    keys = {unit.file: key_of(unit, root, common, contents) for unit in chosen}
    waiting = [unit for unit in chosen if options.no_cache or not (cache / keys[unit.file]).exists()]

    def check(unit):
        start = time.monotonic()
        done = subprocess.run([tool, "--quiet", "-p", str(rewritten), str(unit.file)], capture_output=True, text=True,
                              check=False)
        if done.returncode == 0:
            (cache / keys[unit.file]).touch()
        # clang-tidy tells on stderr only how many warnings it hid, except where it could not start at all.
        said = done.stdout.strip() or (done.stderr.strip() if done.returncode else "")
        return unit, done.returncode, said, time.monotonic() - start

    failed = []
    with concurrent.futures.ThreadPoolExecutor(max(1, options.jobs)) as pool:
        for unit, code, said, seconds in pool.map(check, waiting):
            name = unit.file.relative_to(root)
            print(f"{'FAIL' if code else 'ok  '} {seconds:6.1f} s  {name}", flush=True)
            if code:
                failed.append(name)
                print(said.replace(str(root) + "/", ""), flush=True)
    print(f"{len(chosen)} units: {len(chosen) - len(waiting)} unchanged since they were found clean, "
          f"{len(waiting) - len(failed)} checked and clean, {len(failed)} with findings")
    if failed:
        sys.exit("clang-tidy has findings in: " + ", ".join(map(str, failed)))


if __name__ == "__main__":
    main()
