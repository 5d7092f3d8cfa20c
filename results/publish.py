#!/usr/bin/env python3
"""Takes an experiment's file into a folder of published results: NAME/NAME.h5 and NAME/table.txt.

    .palimpsest/venv/bin/python results/publish.py PROGRAM results/NAME/NAME.h5 [FOLDER]

PROGRAM prints the table (`palimpsest`, or the one in the build folder); FOLDER is results/NAME unless given. Left out of the
copy are /plugin_files, which holds paths of the machine that ran it, and /updates/data, the matrices of the edits, which are
most of the bytes. Needs h5py, and h5repack of Debian's hdf5-tools.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

import h5py

LEFT_OUT = ("plugin_files", "updates/data")


def publish(program, source, folder):
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / source.name
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch) / source.name
        shutil.copyfile(source, copy)
        with h5py.File(copy, "r+") as file:
            for group in LEFT_OUT:
                if group in file:
                    del file[group]
        # HDF5 gives the place of what was deleted back only to a file that is written anew.
        packed = copy.with_suffix(".packed")
        subprocess.run(["h5repack", str(copy), str(packed)], check=True)
        shutil.copyfile(packed, target)
    shown = subprocess.run([program, "show", str(target)], check=True, capture_output=True, text=True)
    (folder / "table.txt").write_text(shown.stdout, encoding="utf-8")
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    given = pathlib.Path(sys.argv[2])
    publish(sys.argv[1], given, pathlib.Path(sys.argv[3]) if len(sys.argv) == 4 else pathlib.Path(__file__).parent / given.stem)
