"""Files that are no plugins, or libraries that are wrong: each is refused by its own sentence, through `plugins`, `validate` and
`run`, and the host goes on.

A table of cases; every library is compiled from library.c with what the case defines. All lie in one folder, so that each
command meets all of them at once.
"""

import ctypes
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "end_to_end"), str(HERE.parent / "abi")]

from contract import HEADERS, Contract  # noqa: E402
from world import PROGRAM, SMALL, World  # noqa: E402

COMPILER = os.environ["PALIMPSEST_TEST_CC"]
TAG, TORCH = os.environ["PALIMPSEST_TEST_TORCH_TAG"], os.environ["PALIMPSEST_TEST_TORCH_VERSION"]
COMPILER_ABI = os.environ["PALIMPSEST_TEST_COMPILER_ABI"]
ABI = Contract().version
MAJOR, MINOR = ABI.split(".")


def note(name, abi=ABI, tier="none", torch=""):
    return f"abi={abi}\ntier={tier}\ntorch={torch}\ncompiler={COMPILER_ABI}\nids=editor:{name}\n"


# name -> (definitions, note (None: none; "": the usual), the sentence; {path} is the file)
LIBRARIES = {
    "no_symbol": (["NO_SYMBOL"], "", "{path} has a plugin note but does not export the symbol palimpsest_library; name its plugins "
                  "with PALIMPSEST_LIBRARY(...)"),
    "no_note": ([], None, "{path} is a shared library but not a Palimpsest plugin: it has no note .note.palimpsest; build it with "
                "palimpsest_add_plugin()"),
    "other_tier": (['TIER="stable"'], "", "{path}: note and symbol disagree on the tier (note: none; symbol: stable); build the "
                   "library again from one build folder"),
    "other_abi": (["MINOR=77"], "", f"{{path}}: note and symbol disagree on the ABI version (note: {ABI}; symbol: {MAJOR}.77); "
                  "build the library again from one build folder"),
    "other_plugins": (['ID="something_else"'], "", "{path}: note and symbol disagree on the plugins (note: editor:other_plugins; "
                      "symbol: editor:something_else); give palimpsest_add_plugin() the KIND and ID of each descriptor, in order"),
    "no_descriptors": (["DESCRIPTORS=NULL"], "", "{path}: note and symbol disagree on the plugins (note: editor:no_descriptors; "
                       "symbol: none); give palimpsest_add_plugin() the KIND and ID of each descriptor, in order"),
    "bad_magic": (["MAGIC=0x1234"], "", "{path}: the symbol palimpsest_library does not begin with Palimpsest's magic number; is it "
                  "something else of that name?"),
    "older_abi": (["MINOR=0"], note("older_abi", abi=f"{MAJOR}.0"), f"{{path}} was built for plugin ABI {MAJOR}.0; this host has "
                  f"{ABI}: build the plugin again with this version's headers"),
    "newer_abi": (["MINOR=99"], note("newer_abi", abi=f"{MAJOR}.99"), f"{{path}} was built for plugin ABI {MAJOR}.99; this host has "
                  f"{ABI}: update Palimpsest, or build the plugin against this version's headers"),
    "wrong_torch": (['TIER="locked"', 'TORCH="torch-1.13.0-cxx11abi-x"'],
                    note("wrong_torch", tier="locked", torch="torch-1.13.0-cxx11abi-x"),
                    f"{{path}} was built against torch-1.13.0-cxx11abi-x; this host runs {TAG}: build the plugin again with this "
                    "libtorch (a plugin of tier `locked` fits one build only)"),
    "torch_too_old": (['TIER="stable"', 'TORCH="99.0.0"'], note("torch_too_old", tier="stable", torch="99.0.0"),
                      f"{{path}} needs libtorch 99.0.0 or later; this host runs {TORCH}"),
    "unknown_kind": (['KIND="editr"'], "", "{path}, descriptor 0: malformed: unknown kind \"editr\" (did you mean \"editor\"?)"),
    "no_create": (["CREATE=NULL"], "", "{path}, descriptor 0: malformed: create, destroy or get_interface is NULL"),
    "no_summary": (['SUMMARY=""'], "", "{path}, descriptor 0: malformed: no summary"),
    "bad_id": (['ID="Bad Id"'], "", "{path}, descriptor 0: malformed: the id \"Bad Id\" is not lower case letters, digits, '_' or "
               "'-'"),
    "duplicate_id": (["DESCRIPTORS=&kEditor,&kEditor,NULL"], "", "{path} has two plugins of kind editor with the id "
                     "\"duplicate_id\""),
    "no_table": (["PARAMETERS=NULL,3"], "", "{path}, descriptor 0: malformed: the parameter table is NULL"),
    "long_table": (["PARAMETERS=kTwice,100000"], "", "{path}, descriptor 0: malformed: the parameter table has 100000 rows; at most "
                   "256 are accepted"),
    "same_name": (["PARAMETERS=kTwice,2"], "", "{path}, descriptor 0: malformed: two parameters are named \"a\""),
    "bad_default": (["PARAMETERS=kOutside,1"], "", "{path}, descriptor 0: malformed: parameter \"a\" has the default 2, outside its "
                    "own range"),
    "bad_type": (["PARAMETERS=kUnknownType,1"], "", "{path}, descriptor 0: malformed: parameter \"a\" has the unknown type 99"),
    "no_interface": (["INTERFACE=NULL"], "", "{path}, descriptor 0: malformed: no interface editor/1, which its kind must offer"),
    "loading_aborts": (["CONSTRUCTOR=abort()"], "", "{path} could not be loaded: the process was ended by signal 6 (Aborted)"),
    "loading_crashes": (["CONSTRUCTOR=raise(SIGSEGV)"], "", "{path} could not be loaded: the process was ended by signal 11 "
                        "(Segmentation fault)"),
    "loading_exits": (["CONSTRUCTOR=_exit(0)"], "", "{path} could not be loaded: it ended the process while it was being loaded"),
}

CUT = "{path} is cut short: its "
# What is no library at all; the sentence, or its beginning where it goes on with numbers.
FILES = {
    "text": "{path} is not a shared library (it does not begin as an ELF file)",
    "empty": "{path} is not a shared library (the file is empty)",
    "half": CUT,
    "directory": "{path} is not a regular file; expected a plugin library",
    "pipe": "{path} is not a regular file; expected a plugin library",
    "circle": "plugin library {path} cannot be looked at: Too many levels of symbolic links",
    "dangling": "plugin library {path} does not exist",
    "program": "{path} is an ELF file but not a shared library",
    "other_machine": "{path} was built for another machine (ELF class 2, machine 243; this host is class 2, machine ",
    "unreadable": "{path} is not readable; give yourself read permission or remove it",
    "for_everybody": "the plugin library {path} can be written by everybody on this machine; take that permission away (chmod o-w)",
}


def give_up_root():
    """In a child: root without its right to read what it may not, so that "not readable" exists for it too."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, out of the bounding set (24)
        if os.geteuid() == 0 and libc.prctl(24, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "the capability to read everything could not be given up")


def compile_library(folder, name, definitions, text):
    given = [f"-D{d}" for d in definitions]
    if not any(d.startswith("ID=") for d in definitions):
        given.append(f'-DID="{name}"')
    if text is not None:
        escaped = (text or note(name)).replace("\n", "\\\\n")
        given.append(f'-DNOTE="{escaped}"')
    return [COMPILER, "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden", "-w", f'-DCOMPILER="{COMPILER_ABI}"', *given,
            "-I", str(HEADERS), str(HERE / "library.c"), "-o", str(folder / f"{name}.so")]


def make_files(folder):
    whole = (PROGRAM.parent.parent / "plugins" / "editor_rome.so").read_bytes()
    path = {name: folder / f"{name}.so" for name in FILES}
    path["text"].write_text("This is no library.\n", encoding="utf-8")
    path["empty"].write_bytes(b"")
    path["half"].write_bytes(whole[:len(whole) // 2])
    path["directory"].mkdir()
    os.mkfifo(path["pipe"])
    path["circle"].symlink_to(path["circle"])
    path["dangling"].symlink_to(folder / "nowhere")
    path["program"].write_bytes(whole[:16] + b"\2\0" + whole[18:])
    path["other_machine"].write_bytes(whole[:18] + b"\xf3\0" + whole[20:])
    for name in ("unreadable", "for_everybody"):
        path[name].write_bytes(whole)
    os.chmod(path["unreadable"], 0)
    os.chmod(path["for_everybody"], 0o666)


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="palimpsest-hostile-")
        cls.folder = pathlib.Path(cls.scratch.name).resolve() / "plugins"
        cls.folder.mkdir(mode=0o755)
        compilers = [subprocess.Popen(compile_library(cls.folder, name, *case[:2])) for name, case in LIBRARIES.items()]
        assert all(c.wait() == 0 for c in compilers)
        make_files(cls.folder)
        cls.expected = {name: sentence.format(path=cls.folder / f"{name}.so")
                        for name, sentence in [(n, c[2]) for n, c in LIBRARIES.items()] + list(FILES.items())}
        cls.world = World()

    @classmethod
    def tearDownClass(cls):
        cls.world.__exit__()
        cls.scratch.cleanup()

    def refused(self, lines, name):
        """Whether a line is the sentence of `name`."""
        sentence = self.expected[name]
        begins = name in ("half", "other_machine")
        return any(line == sentence or (begins and line.startswith(sentence)) for line in lines)

    def check(self, done, status):
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertNotIn("terminate called", done.stderr)
        lines = [line.removeprefix("refused: ") for line in done.stderr.splitlines()]
        self.assertEqual([name for name in self.expected if not self.refused(lines, name)], [], "\n" + done.stderr)
        return lines

    def do(self, *words, **how):
        return self.world.do(*words, expect=None, env={"PALIMPSEST_PLUGIN_PATH": str(self.folder)}, preexec_fn=give_up_root,
                             **how)

    def test_plugins_lists_the_rest_and_says_why_not_these(self):
        done = self.do("plugins")
        lines = self.check(done, 0)
        self.assertEqual(len(lines), len(self.expected), "a sentence a file, and nothing else:\n" + done.stderr)
        self.assertIn(" rome ", done.stdout)
        self.assertNotIn(str(self.folder), done.stdout)

    def test_an_experiment_that_names_them_is_refused_before_any_work(self):
        variants = ", ".join(f'{{ name = "{name}", editor = {{ id = "{name}" }} }}' for name in self.expected)
        for command in ("validate", "run"):
            done = self.do(command, self.world.config, sets=("experiment.replicates=1", f"sweep.variants=[{variants}]"))
            self.check(done, 1)
            self.assertFalse(self.world.output.exists())

    def test_an_experiment_that_does_not_name_them_is_in_order(self):
        self.assertEqual(self.do("validate", self.world.config, sets=SMALL).returncode, 0)

    def test_a_folder_that_everybody_may_write_to_ends_every_command(self):
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch).resolve()
            shutil.copy(PROGRAM.parent.parent / "plugins" / "editor_rome.so", folder)
            for mode in (0o757, 0o1777):
                os.chmod(folder, mode)
                for words in (("plugins",), ("validate", self.world.config), ("run", self.world.config)):
                    done = self.world.do(*words, expect=1, env={"PALIMPSEST_PLUGIN_PATH": str(folder)})
                    self.assertEqual(done.stderr, f"error: the plugin folder {folder} can be written by everybody on this machine; "
                                                  "take that permission away (chmod o-w)\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
