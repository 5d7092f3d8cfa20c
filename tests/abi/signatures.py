"""The types of the contract, function pointers' signatures among them, against a committed dump: what offsets cannot see.

    python tests/abi/signatures.py            compares with tests/abi/signatures.abi
    python tests/abi/signatures.py --write    writes it; only for a new version of the ABI

A probe library with one exported variable of every public struct is compiled with debug information; libabigail's abidw
writes what it exports, abidiff says what changed.
"""

import argparse
import pathlib
import re
import subprocess
import tempfile

from contract import HEADERS, Contract

GOLDEN = pathlib.Path(__file__).resolve().with_name("signatures.abi")
# Nothing of where it was built, nor for which processor.
ABIDW = ["abidw", "--no-show-locs", "--no-comp-dir-path", "--no-corpus-path", "--no-architecture", "--no-elf-needed"]


def run(command, statuses=(0,)):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit(f"{command[0]} was not found; it is part of the Debian package abigail-tools") from None
    if done.returncode not in statuses:
        raise SystemExit(f"{' '.join(map(str, command))} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def probe(folder, compiler, scratch):
    """The probe library of the headers below `folder`."""
    contract = Contract(folder)
    source, library = pathlib.Path(scratch, "probe.c"), pathlib.Path(scratch, "probe.so")
    source.write_text('#include "palimpsest/palimpsest.h"\n' + "".join(
        f"extern {name} probe_{name};\n{name} probe_{name};\n" for name in contract.structs), encoding="utf-8")
    contract.compile(compiler, source, library, "-g", "-shared", "-fPIC")
    return library


def dump(library, output):
    run([*ABIDW, "--out-file", str(output), str(library)])
    text = output.read_text(encoding="utf-8")
    # The compiler's own name and flags say nothing about the contract.
    text = re.sub(r"<abi-instr [^>]*>", "<abi-instr address-size='64' path='probe.c' language='LANG_C11'>", text)
    output.write_text(text, encoding="utf-8")


def changes(golden, folder=HEADERS, compiler="cc"):
    """abidiff's report on the headers below `folder` against a dump; empty where nothing changed."""
    with tempfile.TemporaryDirectory() as scratch:
        new = pathlib.Path(scratch, "new.abi")
        dump(probe(folder, compiler, scratch), new)
        # 4: something changed; 8: incompatibly. --harmless: renamed enumerators and the like count too.
        done = run(["abidiff", "--harmless", str(golden), str(new)], statuses=(0, 4, 8, 12))
        return done.stdout if done.returncode != 0 else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--compiler", default="cc")
    arguments = parser.parse_args()
    if arguments.write:
        with tempfile.TemporaryDirectory() as scratch:
            dump(probe(HEADERS, arguments.compiler, scratch), GOLDEN)
        return
    report = changes(GOLDEN, compiler=arguments.compiler)
    if report:
        raise SystemExit(f"{report}\nThe contract differs from tests/abi/signatures.abi; raise its version as docs/abi.md says, "
                         "then write the dump with tests/abi/signatures.py --write")
    print(f"no type of the contract differs from {GOLDEN.name}")


if __name__ == "__main__":
    main()
