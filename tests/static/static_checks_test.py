#!/usr/bin/env python3
"""Each rule of check_layering.py is broken on purpose in a tree made for it, and must be told; a tree that breaks none passes.
The same for the format check and for the dependency hash that lets clang-tidy skip unchanged units."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import check_layering
import check_tidy

HERE = pathlib.Path(__file__).resolve().parent
SLASH = "/"


class StaticChecks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def told(self):
        return "\n".join(check_layering.findings_of(self.root).findings)

    def test_a_clean_tree_passes(self):
        self.write("framework/base/error.hpp", "#pragma once\n")
        self.write("framework/model/config.cpp", '#include "base/error.hpp"\n#include <ATen/ATen.h>\n')
        self.write("framework/app/main.cpp", '#include "experiment/plan.hpp"\n#include "base/error.hpp"\n')
        self.write("framework/experiment/plan.hpp", '#pragma once\n#include "model/sites.hpp"\n')
        self.write("framework/model/sites.hpp", "#pragma once\n")
        self.write("framework/sdk/palimpsest/sdk/plugin.hpp", "#pragma once\n#include <palimpsest/entry.h>\n")
        self.write("framework/abi/palimpsest/entry.h", "#include <stdint.h>\n")
        self.write("framework/editing/solve.hpp", '#pragma once\n#include "palimpsest/sdk/plugin.hpp"\n')
        self.write("plugins/editors/rome/rome.cpp", '#include "editing/solve.hpp"\n#include "rome.hpp"\n')
        self.write("plugins/editors/rome/rome.hpp", "#pragma once\n")
        self.assertEqual(self.told(), "")

    def test_arrows(self):
        self.write("framework/app/help.hpp", "#pragma once\n")
        self.write("framework/model/sites.hpp", "#pragma once\n")
        self.write("framework/base/error.cpp", '#include "model/sites.hpp"\n')
        self.write("framework/model/tokenizer/tokenizer.hpp", "#pragma once\n")
        self.write("framework/data/facts.cpp", '\n#include "model/sites.hpp"\n#include "model/tokenizer/tokenizer.hpp"\n')
        self.write("framework/training/loop.cpp", '#include "app/help.hpp"\n')
        self.write("framework/shop/till.cpp", "\n")
        told = self.told()
        self.assertIn('framework/base/error.cpp:1: base includes "model/sites.hpp" of model', told)
        self.assertIn('framework/data/facts.cpp:2: data includes "model/sites.hpp" of model', told)
        self.assertNotIn("model/tokenizer/tokenizer.hpp", told)
        self.assertIn('framework/training/loop.cpp:1: training includes "app/help.hpp" of app', told)
        self.assertIn("framework/shop is no module of the design", told)

    def test_plugins_see_no_host(self):
        self.write("framework/base/error.hpp", "#pragma once\n")
        self.write("framework/editing/solve.hpp", '#pragma once\n#include "base/error.hpp"\n')
        self.write("plugins/editors/rome/rome.cpp", '#include "base/error.hpp"\n#include "editors/memit/memit.hpp"\n')
        self.write("plugins/editors/memit/memit.hpp", "#pragma once\n")
        told = self.told()
        self.assertIn('framework/editing/solve.hpp:2: editing includes "base/error.hpp" of base', told)
        self.assertIn('plugins/editors/rome/rome.cpp:1: plugins includes "base/error.hpp" of base', told)
        self.assertIn("of another plugin", told)

    def test_torch_and_spdlog_apart_also_through_a_header(self):
        self.write("framework/model/tensor.hpp", "#pragma once\n#include <ATen/core/Tensor.h>\n")
        self.write("framework/model/chatty.cpp", '#include "model/tensor.hpp"\n#include <spdlog/spdlog.h>\n')
        told = self.told()
        self.assertIn("framework/model/chatty.cpp:1: includes <ATen/core/Tensor.h>", told)
        self.assertIn("only framework/base/log.cpp may", told)

    def test_heavy_headers(self):
        self.write("framework/model/tensor.hpp", "#pragma once\n#include <ATen/ATen.h>\n")
        for i in range(6):
            self.write(f"framework/model/all{i}.cpp", "#include <torch/torch.h>\n")
        told = self.told()
        self.assertIn("framework/model/tensor.hpp:2: a header includes <ATen/ATen.h>", told)
        self.assertIn("framework/model/all5.cpp:1: is one of 6 files that include all of torch", told)

    def test_the_abi_is_c(self):
        self.write("framework/abi/palimpsest/entry.h", "#include <string>\n")
        self.assertIn("the ABI includes <string>", self.told())

    def test_the_host_asks_no_names(self):
        self.write("plugins/editors/rome/rome.cpp", "\n")
        self.write("plugins/editors/none/none.cpp", "\n")
        self.write("framework/plugin/host.cpp", 'if (id == "rome") {}\nif (tuning == "none") {}\nif ("rome" != id) {}\n')
        told = self.told()
        self.assertIn("framework/plugin/host.cpp:1: asks for a plugin by name", told)
        self.assertIn("framework/plugin/host.cpp:3: asks for a plugin by name", told)
        self.assertNotIn("host.cpp:2", told)

    def test_algorithms_name_no_device(self):
        self.write("framework/editing/solve.cpp", "auto a = x.to(at::kCPU);\nauto i = at::tensor(rows, at::kLong);\n")
        self.write("plugins/editors/rome/rome.cpp", 'auto d = at::Device("cuda:0");\nauto b = sdk::on_device_of(x, rows);\n')
        self.write("plugins/editors/rome/rome_test.cpp", "auto a = x.to(at::kCPU);\n")
        self.write("framework/model/device.cpp", "auto a = x.to(at::kCPU);\n")
        told = self.told()
        self.assertIn("framework/editing/solve.cpp:1: names a device: at::kCPU", told)
        self.assertIn("framework/editing/solve.cpp:2: at::tensor makes its tensor on the CPU", told)
        self.assertIn('plugins/editors/rome/rome.cpp:1: names a device: "cuda:', told)
        self.assertNotIn("rome.cpp:2", told)
        self.assertNotIn("rome_test.cpp", told)
        self.assertNotIn("framework/model", told)

    def test_text(self):
        self.write("framework/base/long.cpp", "\n" * 601)
        self.write("framework/base/table.cpp", "// Written by a script; do not edit.\n" + "\n" * 700)
        self.write("docs/a.md", f"see {SLASH}root{SLASH}x\n")
        self.write("docs/b.md", "fetch from pypi" + ".org\n")
        self.write("framework/base/a.cpp", "// TO" "DO later\n")
        told = self.told()
        self.assertIn("framework/base/long.cpp:601: has 601 lines", told)
        self.assertNotIn("table.cpp", told)
        self.assertIn("docs/a.md:1: holds a path of one machine", told)
        self.assertIn("docs/b.md:1: holds the host of a package registry", told)
        self.assertIn("framework/base/a.cpp:1: holds a mark of unfinished work", told)

    def test_format(self):
        (self.root / ".clang-format").write_bytes((HERE.parents[1] / ".clang-format").read_bytes())
        command = [sys.executable, str(HERE / "check_format.py"), "--root", str(self.root)]
        self.write("a.cpp", "int  main( ){return 0;}\n")
        self.assertNotEqual(subprocess.run(command, capture_output=True, check=False).returncode, 0)
        self.assertEqual(subprocess.run([*command, "--fix"], capture_output=True, check=False).returncode, 0)
        self.assertEqual((self.root / "a.cpp").read_text(), "int main() { return 0; }\n")
        self.assertEqual(subprocess.run(command, capture_output=True, check=False).returncode, 0)

    def run_tidy(self):
        return subprocess.run([sys.executable, str(HERE / "check_tidy.py"), "--root", str(self.root), "--build",
                               str(self.root / "build"), "--home", str(self.root / "home")],
                              capture_output=True, text=True, check=False)

    def test_tidy_tells_findings_and_skips_only_what_is_unchanged(self):
        (self.root / ".clang-tidy").write_bytes((HERE.parents[1] / ".clang-tidy").read_bytes())
        self.write("framework/base/a.hpp", "#pragma once\nint* answer();\n")
        self.write("framework/base/a.cpp", '#include "a.hpp"\nint* answer() { return nullptr; }\n')
        pch = str(self.root / "build/cmake_pch.hxx")
        self.write("build/compile_commands.json", json.dumps([{
            "directory": str(self.root), "file": str(self.root / "framework/base/a.cpp"),
            "command": f"cmake -E env CCACHE_SLOPPINESS=x ccache /usr/bin/c++ -std=c++20 -fpch-preprocess -Winvalid-pch "
                       f"-include {pch} -o a.o -c {self.root}/framework/base/a.cpp"}]))
        first = self.run_tidy()
        self.assertEqual(first.returncode, 0, first.stdout + first.stderr)
        self.assertIn("1 checked and clean", first.stdout)
        self.assertIn("1 unchanged", self.run_tidy().stdout)
        self.write("framework/base/a.hpp", "#pragma once\nint* answer();\ntypedef int number;\n")
        for _ in range(2):  # A finding is told each time.
            again = self.run_tidy()
            self.assertNotEqual(again.returncode, 0)
            self.assertIn("modernize-use-using", again.stdout)

    def test_tidy_drops_what_only_gcc_understands(self):
        unit = check_tidy.Unit({"directory": "d", "file": "a.cpp",
                                "command": "ccache g++ -Iinc -include d/cmake_pch.hxx -include keep.h -Werror -c a.cpp"})
        self.assertEqual(unit.arguments, ["g++", "-Iinc", "-include", "keep.h", "-c", "a.cpp", "-Wno-unknown-warning-option"])


if __name__ == "__main__":
    unittest.main()
