"""The project's own files, as the static checks see them: what git tracks, and new files that it does not ignore.

Outside a git checkout (an unpacked archive) the tree is walked instead, leaving out hidden folders, so that the checks say
something there too.
"""

import os
import pathlib
import subprocess

CXX = (".cpp", ".hpp", ".h", ".c")


def project_files(root, suffixes=None):
    """Sorted paths relative to `root`, as pathlib.Path; `suffixes` keeps only those endings."""
    root = pathlib.Path(root)
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    ) if (root / ".git").exists() else None
    if listing is not None and listing.returncode == 0:
        names = [name for name in listing.stdout.decode().split("\0") if name]
    else:
        names = []
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
            names += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    paths = (pathlib.Path(name) for name in names)
    return sorted(p for p in paths if (suffixes is None or p.suffix in suffixes) and (root / p).is_file())
