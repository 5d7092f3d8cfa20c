"""A world of its own for each end-to-end test: a copy of the tiny experiment, its model, a home and an output folder.

Nothing is shared between tests, so any of them may break its files, but what is known of the plugins: that is stored
under the digest of a plugin's file, and looking at all of them anew takes longer than many a test. The program and its
plugins come from the build:

    PALIMPSEST_TEST_PROGRAM   the program
    PALIMPSEST_TEST_PROBES    folder in which the tests keep what is known of the plugins (absent: each its own)
    PALIMPSEST_TEST_PLUGINS   folder of plugins that misbehave
    PALIMPSEST_TEST_HOME      home with the real model and data, for the tests that need them
"""

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
PROGRAM = pathlib.Path(os.environ["PALIMPSEST_TEST_PROGRAM"])
BAD_PLUGINS = pathlib.Path(os.environ.get("PALIMPSEST_TEST_PLUGINS", ""))
PROBES = os.environ.get("PALIMPSEST_TEST_PROBES")
REAL_HOME = pathlib.Path(os.environ.get("PALIMPSEST_TEST_HOME", ""))


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def is_cell(path):
    return path.suffix == ".h5" and not path.name.endswith(".timing.h5")


class World:
    """Use it as a context manager; the folder goes when it ends."""

    def __init__(self, store_of=None):
        """`store_of`: another world whose home it shares: what both need is then computed once."""
        self._folder = tempfile.TemporaryDirectory(prefix="palimpsest-test-")
        self.root = pathlib.Path(self._folder.name)
        self.home = store_of.home if store_of else self.root / "home"
        if not store_of:
            (self.home / "store").mkdir(parents=True)
            if PROBES:
                pathlib.Path(PROBES).mkdir(parents=True, exist_ok=True)
                (self.home / "store" / "probes").symlink_to(PROBES, target_is_directory=True)
        self.tiny = self.root / "tiny"
        self.tiny.mkdir()
        for name in ("facts.jsonl", "text.jsonl"):
            shutil.copy(HERE / "tiny" / name, self.tiny / name)
        shutil.copytree(HERE.parent / "golden" / "rome" / "model", self.root / "model")
        text = (HERE / "tiny" / "tiny.toml").read_text(encoding="utf-8")
        wanted = 'path = "../../golden/rome/model"'
        assert wanted in text
        self.config = self.tiny / "tiny.toml"
        self.config.write_text(text.replace(wanted, 'path = "../model"'), encoding="utf-8")
        self.output = self.root / "out"
        self.said = self.root / "said.txt"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def environment(self, **extra):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PALIMPSEST_")}
        environment.update(PALIMPSEST_HOME=str(self.home), **extra)
        return environment

    def command(self, *words, sets=(), output=None):
        line = [str(PROGRAM), *map(str, words)]
        if words[0] in ("run", "plan", "validate"):
            line += ["--set", f"experiment.output={output or self.output}"]
            for setting in sets:
                line += ["--set", setting]
        return line

    def do(self, *words, sets=(), output=None, expect=0, env=None, **how):
        """Runs the program to its end; `expect` is its exit status (None: any)."""
        done = subprocess.run(self.command(*words, sets=sets, output=output), cwd=self.root, text=True,
                              env=self.environment(**(env or {})), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=how.pop("timeout", 300), check=False, **how)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"{' '.join(map(str, words))}: exit status {done.returncode}, expected {expect}\n"
                                 f"--- standard output\n{done.stdout}\n--- standard error\n{done.stderr}\n{self.logs()}")
        return done

    def run(self, *words, **how):
        return self.do("run", self.config, *words, **how)

    def start(self, *words, sets=()):
        """Starts a run in a process group of its own; what it says goes to `said`."""
        with open(self.said, "w", encoding="utf-8") as said:
            return subprocess.Popen(self.command("run", self.config, *words, sets=sets), cwd=self.root,
                                    env=self.environment(), stdin=subprocess.DEVNULL, stdout=said,
                                    stderr=subprocess.STDOUT, start_new_session=True)

    def logs(self):
        text = ""
        for log in sorted((self.output / "logs").glob("*.log")) if (self.output / "logs").exists() else []:
            content = log.read_text(encoding="utf-8", errors="replace")
            if "error" in content:
                text += f"--- {log.name}\n{content[-2000:]}\n"
        return text

    def cells(self, output=None):
        """SHA-256 of every cell's file, by name."""
        folder = (output or self.output) / "cells"
        return {p.name: sha256(p) for p in sorted(folder.iterdir()) if is_cell(p)} if folder.exists() else {}

    def files(self, output=None):
        """Everything that lies in the output folder but logs: path -> (digest, time of change)."""
        root = output or self.output
        return {str(p.relative_to(root)): (sha256(p), p.stat().st_mtime_ns) for p in sorted(root.rglob("*"))
                if p.is_file() and "logs" not in p.parts}

    def forget(self):
        """Empties store and output. Which plugins load is kept: looking again at all of them takes longest."""
        shutil.rmtree(self.output, ignore_errors=True)
        for entry in (self.home / "store").glob("*"):
            if entry.name != "probes" and entry.is_dir():
                shutil.rmtree(entry)


def kill_group(process):
    """SIGKILL for the process and all that it started; waits until none of the group is left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for _ in range(1000):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.005)
    raise AssertionError("workers outlived the kill of their group")


# A plan of two cells: the quickest experiment that still edits, fine-tunes and measures.
SMALL = ("experiment.replicates=1",
         'sweep.variants=[{ name = "plain" }, { name = "unedited", editor = { id = "none" } }]')
