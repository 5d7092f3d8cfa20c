#!/usr/bin/env python3
"""The rules of the tree that a compiler does not see: which module may include which, what is kept apart, and what never
stands in a tracked file. Prints every finding as file:line: what was found, what is wanted. `docs/architecture.md` has the
reasons."""

import argparse
import pathlib
import re
import sys

from sources import CXX, project_files

# module -> modules it may include. Everything may use the ABI. A module below another may be skipped over, never the reverse.
BELOW = {
    "abi": [],
    "sdk": ["abi"],
    "base": ["abi"],
    "data": ["base"],
    "model": ["base"],
    "config": ["data", "model"],
    "results": ["data", "model"],
    "plugin": ["data", "model"],
    "training": ["data", "model"],
    "analysis": ["results"],
    "experiment": ["plugin", "training", "analysis", "config"],
    "app": ["experiment"],
    "editing": ["sdk"],
    "plugins": ["editing"],
}
# Single headers of another module that a module may include beside the arrows, each with its reason.
ALSO = {
    ("plugin", "framework/sdk/palimpsest/sdk/testing.hpp"),  # palimpsest::testing: the runtime behind a header for authors
    ("data", "framework/model/tokenizer/tokenizer.hpp"),  # the target rule and packing are about tokens; the tokenizer needs no libtorch
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
TORCH = re.compile(r"^(torch|ATen|c10|caffe2)/")
LINE_LIMIT = 600
CODE = CXX + (".py", ".sh", ".cmake", ".txt", "")
PROSE = (".md", ".toml", ".yml", ".yaml", ".json")
# The folders that only exist on one machine, and the addresses of package registries. Written so as not to match themselves.
MACHINE = re.compile(r"(?:^|[^A-Za-z0-9_.}~-])/(?:work|root|farm|opt/wheels|opt/pypi|home/[a-z]\w*)(?:/|\b)")
REGISTRY = re.compile(r"\b(?:pypi\.org|pythonhosted\.org|download\.pytorch\.org|deb\.debian\.org|archive\.ubuntu\.com|"
                      r"registry\.npmjs\.org|proxy\.golang\.org|conda\.anaconda\.org)\b")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
TORCH_EVERYTHING_LIMIT = 5


def allowed(module):
    """All modules that `module` may include: itself, the ABI, and what lies below, at any depth."""
    found, waiting = {module, "abi"}, [module]
    while waiting:
        for below in BELOW[waiting.pop()]:
            if below not in found:
                found.add(below)
                waiting.append(below)
    return found


ALLOWED = {module: allowed(module) for module in BELOW}


def module_of(path):
    """The module a file belongs to, or None (tests, cmake, docs)."""
    if path.parts[0] == "plugins" and len(path.parts) > 2:
        return "plugins"
    if path.parts[0] == "framework" and len(path.parts) > 2:
        return path.parts[1] if path.parts[1] in BELOW else "unknown"
    return None


def target_of(name, including, known):
    """The project's file that an include names, as a path below the root, or None for a foreign header."""
    folders = (str(including.parent), "framework", "framework/abi", "framework/sdk", "plugins", "tests", "")
    for folder in folders:
        candidate = pathlib.Path(folder, name)
        if candidate in known:
            return candidate
    return None


class Tree:
    def __init__(self, root):
        self.root = root
        self.files = project_files(root)
        self.findings = []
        self.includes = {}  # path -> [(line number, name)]
        known = set(self.files)
        for path in self.files:
            if path.suffix in CXX:
                lines = self.lines(path)
                self.includes[path] = [(number, match[2]) for number, line in enumerate(lines, 1)
                                       if (match := INCLUDE.match(line))]
        self.targets = {path: [(number, name, target_of(name, path, known)) for number, name in names]
                        for path, names in self.includes.items()}

    def lines(self, path):
        return (self.root / path).read_text(encoding="utf-8", errors="replace").splitlines()

    def find(self, path, line, text):
        self.findings.append(f"{path}:{line}: {text}")

    def foreign(self, path):
        """The foreign headers that a file includes, itself or through headers of ours: name -> how it came there."""
        found, waiting, seen = {}, [(path, str(path))], set()
        while waiting:
            current, way = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            for _, name, target in self.targets.get(current, []):
                if target is None:
                    found.setdefault(name, way)
                else:
                    waiting.append((target, f"{way} -> {target}"))
        return found


def check_arrows(tree):
    for path, targets in tree.targets.items():
        module = module_of(path)
        if module is None:
            continue
        if module == "unknown":
            tree.find(path, 1, f"framework/{path.parts[1]} is no module of the design; known: {', '.join(sorted(BELOW))}")
            continue
        for number, name, target in targets:
            other = module_of(target) if target else None
            if target is not None and target.parts[0] == "tests" and not is_test(path):
                tree.find(path, number, f'includes "{name}" of tests/; only tests may')
            if other is None or other == "unknown" or is_test(path):
                continue
            if other == "plugins" and module == "plugins" and path.parts[:3] != target.parts[:3]:
                tree.find(path, number, f'a plugin includes "{name}" of another plugin; what two need lives in framework/editing')
            elif other not in ALLOWED[module] and (module, target.as_posix()) not in ALSO:
                tree.find(path, number, f'{module} includes "{name}" of {other}; it may include: '
                                        f"{', '.join(sorted(ALLOWED[module]))}")


def is_test(path):
    return path.stem.endswith("_test") or path.parts[0] == "tests"


def check_kept_apart(tree):
    everything = []
    for path in tree.includes:
        names = tree.foreign(path)
        torch = next((name for name in names if TORCH.match(name)), None)
        spdlog = next((name for name in names if name.startswith("spdlog/")), None)
        if torch and spdlog:
            tree.find(path, 1, f"includes <{torch}> ({names[torch]}) and <{spdlog}> ({names[spdlog]}); torch's own fmt clashes with "
                               f"the system's, so no unit has both")
        for number, name in tree.includes[path]:
            if name.startswith("spdlog/") and path != pathlib.Path("framework/base/log.cpp"):
                tree.find(path, number, f"includes <{name}>; only framework/base/log.cpp may")
            if name in ("torch/torch.h", "torch/all.h"):
                everything.append((path, number))
            in_module = module_of(path) not in (None, "sdk")
            if name in ("torch/torch.h", "ATen/ATen.h", "torch/extension.h") and path.suffix in (".hpp", ".h") and in_module:
                tree.find(path, number, f"a header includes <{name}>, which costs every includer ten seconds; "
                                        f"<ATen/core/Tensor.h> is enough for declarations")
            if module_of(path) == "abi" and (TORCH.match(name) or "." not in name):
                tree.find(path, number, f"the ABI includes <{name}>; it is pure C11 and knows only C headers and its own")
    for path, number in everything[TORCH_EVERYTHING_LIMIT:]:
        tree.find(path, number, f"is one of {len(everything)} files that include all of torch; at most {TORCH_EVERYTHING_LIMIT} may")


def check_host_asks_no_names(tree):
    ids = {path.parts[2] for path in tree.files if path.parts[0] == "plugins" and len(path.parts) > 3 and path.parts[1] != "template"} - {"none"}
    if not ids:
        return
    names = "|".join(sorted(map(re.escape, ids)))
    asks = re.compile(rf'[=!]=\s*"(?:{names})"|"(?:{names})"(?:sv?)?\s*[=!]=|starts_with\(\s*"(?:{names})|'
                      rf'strn?cmp\([^)]*"(?:{names})"')
    for path in tree.includes:
        if path.parts[0] == "framework" and not is_test(path):
            for number, line in enumerate(tree.lines(path), 1):
                if asks.search(line):
                    tree.find(path, number, f"asks for a plugin by name: {line.strip()}; ask for an interface or a declared property")


def check_devices(tree):
    """The maths runs wherever the model is: no algorithm names a device, or makes its indices where libtorch makes them by default."""
    named = re.compile(r'at::k(?:CPU|CUDA)\b|c10::k(?:CPU|CUDA)\b|"(?:cpu|cuda)[":]|DeviceType::')
    for path in tree.includes:
        if module_of(path) not in ("editing", "plugins") or is_test(path):
            continue
        for number, line in enumerate(tree.lines(path), 1):
            if match := named.search(line):
                tree.find(path, number, f"names a device: {match[0]}; tensors go where the model's are (sdk::on_device_of, options())")
            elif "at::tensor(" in line:
                tree.find(path, number, "at::tensor makes its tensor on the CPU, wherever the model is; use sdk::on_device_of")


def check_text(tree):
    for path in tree.files:
        if path.suffix not in CODE + PROSE:
            continue
        data = (tree.root / path).read_bytes()
        if b"\0" in data[:8000]:
            continue
        lines = data.decode("utf-8", errors="replace").splitlines()
        generated = any("do not edit" in line.lower() for line in lines[:5])
        if path.suffix in CXX + (".py", ".sh", ".cmake") and len(lines) > LINE_LIMIT and not generated:
            tree.find(path, len(lines), f"has {len(lines)} lines; a file of ours has at most {LINE_LIMIT}: it has two subjects")
        for number, line in enumerate(lines, 1):
            for pattern, what in ((MACHINE, "a path of one machine"), (REGISTRY, "the host of a package registry"),
                                  (UNFINISHED, "a mark of unfinished work")):
                if match := pattern.search(line):
                    tree.find(path, number, f"holds {what}: {match[0].strip()}")


def findings_of(root):
    tree = Tree(root)
    if not tree.files:
        sys.exit(f"no file was found in {root}: nothing was checked")
    check_arrows(tree)
    check_kept_apart(tree)
    check_host_asks_no_names(tree)
    check_devices(tree)
    check_text(tree)
    return tree


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2], type=pathlib.Path)
    tree = findings_of(parser.parse_args().root.resolve())
    for finding in tree.findings:
        print(finding, flush=True)
    if tree.findings:
        sys.exit(f"{len(tree.findings)} findings in {len(tree.files)} files")
    print(f"{len(tree.files)} files, {len(tree.includes)} of them C or C++, keep the rules")


if __name__ == "__main__":
    main()
