"""An installation of the build, made once a test program, and a folder to work in. Both lie at the same place every time, so that
a compiler cache knows the files again; both are emptied first.

    PALIMPSEST_TEST_BUILD   the build folder
    PALIMPSEST_TEST_WORK    where to work
"""

import os
import pathlib
import shutil
import subprocess

BUILD = pathlib.Path(os.environ["PALIMPSEST_TEST_BUILD"])
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent


class Installation:
    def __init__(self, name):
        self.work = pathlib.Path(os.environ["PALIMPSEST_TEST_WORK"]) / name
        shutil.rmtree(self.work, ignore_errors=True)
        self.prefix = self.work / "prefix"
        self.projects = self.work / "projects"
        self.home = self.work / "home"
        for folder in (self.projects, self.home):
            folder.mkdir(parents=True)
        # Nothing of the source tree or of the build is told to what runs here.
        self.environment = {k: v for k, v in os.environ.items()
                            if not k.startswith("PALIMPSEST_") and k not in ("TORCH_DIR", "CMAKE_PREFIX_PATH")}
        self.environment.update(PALIMPSEST_HOME=str(self.home), OMP_NUM_THREADS="1",
                                PATH=f"{self.prefix / 'bin'}:{os.environ['PATH']}")
        if shutil.which("ccache"):
            self.environment.update(CMAKE_CXX_COMPILER_LAUNCHER="ccache", CMAKE_C_COMPILER_LAUNCHER="ccache")
        self.do("cmake", "--install", BUILD, "--prefix", self.prefix, where=self.work)

    def install_anew(self, prefix):
        """By the front door where it runs these tests, else by hand, as CONTRIBUTING.md says: build what is installed, install.
        (A build of somebody else's is not the front door's to configure.)"""
        if os.environ.get("PALIMPSEST_FRONT_DOOR") == str(BUILD):
            subprocess.run([SOURCE / "palimpsest", "install", prefix], stdin=subprocess.DEVNULL, check=True, timeout=1200)
        else:
            self.do("cmake", "--build", BUILD, "--target", "installable", timeout=1200)
            self.do("cmake", "--install", BUILD, "--prefix", prefix)

    def do(self, *words, where=None, expect=0, timeout=300, **environment):
        """What the command said (both streams), when it left with `expect`."""
        done = subprocess.run([str(word) for word in words], cwd=where or self.projects, stdin=subprocess.DEVNULL,
                              env={**self.environment, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=timeout, check=False)
        if done.returncode != expect:
            raise AssertionError(f"{' '.join(map(str, words))}: exit status {done.returncode}, expected {expect}\n{done.stdout}")
        return done.stdout

    def configure(self, project, *options, expect=0):
        return self.do("cmake", "-G", "Ninja", "-B", "build", f"-DCMAKE_PREFIX_PATH={self.prefix}", *options, where=project,
                       expect=expect)
