"""What `cmake --install` gives: a program that finds what belongs to it wherever it is put, and a CMake package."""

import pathlib
import re
import shutil
import unittest

from installation import BUILD, Installation

ONLY_FIND = """cmake_minimum_required(VERSION 3.25)
project(asks LANGUAGES {languages})
find_package(Palimpsest {arguments})
{more}
"""


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.at = Installation("install")

    def project(self, arguments, more="", languages="C CXX"):
        folder = self.at.projects / self.id().rsplit(".", 1)[1]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "CMakeLists.txt").write_text(ONLY_FIND.format(arguments=arguments, more=more, languages=languages))
        return folder

    def test_the_program_finds_its_own(self):
        listed = self.at.do("palimpsest", "plugins")
        self.assertIn(str(self.at.prefix / "lib/palimpsest/plugins/editor_rome.so"), listed)
        self.assertTrue(self.at.do("palimpsest", "--version").startswith("palimpsest "))
        for name in ("configs/quickstart.toml", "configs/facts/world.jsonl", "cmake/prepare/prepare_model.py",
                     "cmake/prepare/requirements.txt", "tiny/model/config.json", "plugins/template/metric/my_method.hpp"):
            self.assertTrue((self.at.prefix / "share/palimpsest" / name).is_file(), name)
        for name in ("README.md", "LICENSE", "docs/configuration.md"):
            self.assertTrue((self.at.prefix / "share/doc/palimpsest" / name).is_file(), name)

    def test_one_command_installs(self):
        prefix = self.at.work / "anew"
        self.at.install_anew(prefix)
        listed = {path.relative_to(prefix) for path in prefix.rglob("*")}
        self.assertEqual(listed, {path.relative_to(self.at.prefix) for path in self.at.prefix.rglob("*")})
        shutil.rmtree(prefix)

    def test_what_is_installed_is_built_before(self):
        scripts = "\n".join(script.read_text() for script in BUILD.rglob("cmake_install.cmake"))
        files = set(re.findall(rf'"{re.escape(str(BUILD))}/(bin/[^"/]+|lib/[^"/]+|plugins/[^"/]+[.]so)"', scripts))
        self.assertIn("lib/libpalimpsest_testing.so", files)
        self.assertIn("plugins/editor_rome.so", files)
        commands = self.at.do("ninja", "-C", BUILD, "-t", "commands", "installable").split()
        self.assertEqual(files - set(commands), set())

    def test_nothing_points_into_the_build_or_the_sources(self):
        for path in self.at.prefix.rglob("*"):
            self.assertFalse(path.is_symlink(), path)
            self.assertNotIn("__pycache__", path.parts)

    def test_it_may_be_moved_as_a_whole(self):
        moved = self.at.work / "moved"
        shutil.copytree(self.at.prefix, moved)
        listed = self.at.do(moved / "bin/palimpsest", "plugins", "rome")
        self.assertIn(str(moved / "lib/palimpsest/plugins/editor_rome.so"), listed)
        self.at.do(moved / "bin/palimpsest", "check-plugin", moved / "lib/palimpsest/plugins/augmenter_none.so")
        shutil.rmtree(moved)

    def test_prepare_says_what_it_needs(self):
        said = self.at.do("palimpsest", "prepare", expect=1, PALIMPSEST_PYTHON="/nowhere/python3")
        self.assertIn("/nowhere/python3", said)
        self.assertIn("the variable PALIMPSEST_PYTHON chooses another", said)
        self.assertIn(str(self.at.prefix / "share/palimpsest/cmake/prepare/requirements.txt"), said)

    def test_another_version_is_refused(self):
        said = self.at.configure(self.project("9.9 REQUIRED"), expect=1)
        self.assertIn("9.9", said)
        self.assertIn("version: 0.", said)

    def test_an_unknown_component_is_refused(self):
        said = self.at.configure(self.project("REQUIRED COMPONENTS editor"), expect=1)
        self.assertIn("There is no component editor; Palimpsest has: sdk, torch, editing, testing.", " ".join(said.split()))

    def test_the_targets_are_there(self):
        checks = "".join(f"if(NOT TARGET palimpsest::{name})\n  message(FATAL_ERROR {name})\nendif()\n"
                         for name in ("sdk", "torch", "editing", "testing", "program"))
        self.at.configure(self.project("REQUIRED COMPONENTS torch editing testing", checks))

    def torch_of_another_version(self):
        """A folder that looks like a libtorch 2.11.7, to the build system at least."""
        torch = self.at.work / "torch"
        for folder in ("include/ATen", "include/torch/headeronly", "lib"):
            (torch / folder).mkdir(parents=True, exist_ok=True)
        (torch / "include/ATen/ATen.h").touch()
        for name in ("libtorch_cpu.so", "libc10.so"):
            (torch / "lib" / name).touch()
        (torch / "include/torch/headeronly/version.h").write_text(
            "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n#define TORCH_VERSION_PATCH 7\n")
        return torch

    def test_another_libtorch_is_refused_and_named(self):
        torch = self.torch_of_another_version()
        said = " ".join(self.at.configure(self.project("REQUIRED COMPONENTS editing"), f"-DTORCH_DIR={torch}", expect=1).split())
        self.assertIn("torch-2.11.7-", said)
        self.assertIn("-DTORCH_DIR=", said)

    def test_a_plugin_of_tier_locked_is_refused_beside_another_libtorch(self):
        project = self.project("REQUIRED", "palimpsest_add_plugin(a KIND augmenter ID a SOURCES a.cpp)")
        said = " ".join(self.at.configure(project, f"-DTORCH_DIR={self.torch_of_another_version()}", expect=1).split())
        self.assertIn("a plugin of tier locked needs libtorch", said)
        self.assertIn("torch-2.11.7-", said)

    def test_tier_none_needs_no_libtorch(self):
        project = self.project("REQUIRED", "palimpsest_add_plugin(b KIND augmenter ID my-method TIER none SOURCES library.cpp)",
                               languages="CXX")
        template = self.at.prefix / "share/palimpsest/plugins/template/augmenter"
        for name in ("library.cpp", "my_method.hpp"):
            shutil.copy(template / name, project)
        self.at.configure(project, f"-DTORCH_DIR={self.torch_of_another_version()}")
        self.at.do("cmake", "--build", "build", where=project)
        self.assertIn("0 failed", self.at.do("palimpsest", "check-plugin", project / "build/plugins/b.so"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
