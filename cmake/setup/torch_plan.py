#!/usr/bin/env python3
"""Reads pip's dry-run report (--report FILE) and says, one `key=value` a line, which torch would be installed and how many
NVIDIA packages it brings, so that the front door can warn before several GB are fetched."""

import json
import re
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        report = json.load(file)
    packages = [(item["metadata"]["name"], item["metadata"]["version"]) for item in report["install"]]
    torch = next((version for name, version in packages if name == "torch"), "")
    cuda = [name for name, _ in packages if re.match(r"(nvidia|cuda|triton)([-_]|$)", name)]
    print(f"torch={torch}")
    print(f"cuda_packages={len(cuda)}")


if __name__ == "__main__":
    main()
