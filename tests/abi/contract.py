"""The contract's public structs, constants and types, as framework/abi declares them; what layout.py and signatures.py share.

The headers are our own and formatted, so they are read by a few expressions; that nothing was overlooked is checked by the
compiler, which is given every name found, and by counting what the expressions passed over.
"""

import pathlib
import re
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parents[2]
HEADERS = SOURCE / "framework" / "abi"

COMMENT = re.compile(r"/\*.*?\*/", re.S)
STRUCT = re.compile(r"typedef struct (\w+) \{(.*?)\n\} (\w+);", re.S)
FUNCTION = re.compile(r"\(\*(\w+)\)\s*\(")
TYPE = re.compile(r"typedef (u?int\d+_t) (palimpsest_\w+);")
ENUM = re.compile(r"\benum \{(.*?)\}", re.S)
DEFINE = re.compile(r"^#define (PALIMPSEST_\w+)[ \t]+(.+)$", re.M)


class Contract:
    """What the headers below `folder` promise; draft/ promises nothing."""

    def __init__(self, folder=HEADERS):
        self.folder = pathlib.Path(folder)
        self.structs = {}    # name -> [member]
        self.functions = {}  # name -> [member that is a function pointer]
        self.types, self.constants, self.texts = [], [], []
        for path in sorted((self.folder / "palimpsest").rglob("*.h")):
            if "draft" not in path.parts:
                self.read(COMMENT.sub(" ", path.read_text(encoding="utf-8")), path)

    def read(self, text, path):
        found = STRUCT.findall(text)
        # An opaque object is declared and never defined.
        if len(found) != len(re.findall(r"^(?:typedef )?struct \w+ \{", text, re.M)):
            raise SystemExit(f"{path}: a struct is not written as `typedef struct NAME {{ ... }} NAME;`")
        for name, body, again in found:
            if name != again or name in self.structs:
                raise SystemExit(f"{path}: struct {name} is named {again}, or there twice")
            self.structs[name], self.functions[name] = [], []
            for declaration in filter(None, map(str.strip, body.split(";"))):
                function = FUNCTION.search(declaration)
                if function:
                    self.functions[name].append(function[1])
                    self.structs[name].append(function[1])
                    continue
                for part in declaration.split(","):
                    self.structs[name].append(re.search(r"(\w+)(?:\[\w+\])?\s*$", part)[1])
        self.types += TYPE.findall(text)
        for body in ENUM.findall(text):
            self.constants += re.findall(r"(PALIMPSEST_\w+)\s*=", body)
        for name, value in DEFINE.findall(text):
            if value.startswith('"'):
                self.texts.append(name)
            elif "attribute" not in value and not name.endswith("_H"):
                self.constants.append(name)

    @property
    def version(self):
        text = (self.folder / "palimpsest" / "version.h").read_text(encoding="utf-8")
        return ".".join(re.search(rf"PALIMPSEST_ABI_{part} (\d+)", text)[1] for part in ("MAJOR", "MINOR"))

    def compile(self, compiler, source, output, *flags):
        done = subprocess.run([compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", *flags, "-I", str(self.folder), str(source),
                               "-o", str(output)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{compiler} refused what was read from {self.folder}:\n{done.stderr}")
