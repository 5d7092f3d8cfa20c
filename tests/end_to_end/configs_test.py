"""Every committed experiment is in order. The models and the data are stand-ins: a model of as many layers as the real one and
nothing else of its size, files of a few rows. So `validate` sees all that it sees on the real machine: keys, values, plugins
and their parameters, files, layers, facts, cells. Where a model is absent, its path is the only problem."""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import tomllib
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = pathlib.Path(os.environ["PALIMPSEST_TEST_PROGRAM"])
CONFIGS = SOURCE / "configs"
LAYERS = {"smollm2-135m-instruct": 30, "gpt2-xl": 48, "llama-3-8b": 32, "gpt-j-6b": 28, "llama-2-7b": 32, "mistral-7b": 32,
          "qwen2.5-7b": 28}
# Made by tests/benchmarks/make_random_model.py, in the shape of one of those.
RANDOM = {"gpt2-xl-random": 48}
# Files that others extend, which are no experiments themselves.
PARTS = ("models", "elements")

EXPERIMENT = """
extends = "{file}"
[experiment]
name = "values"
stages = ["edit", "finetune"]
[facts]
file = "{facts}"
edited = 2
intrinsic = 2
[editor]
id = "{editor}"
[second_moments]
file = "${{home}}/data/general.jsonl"
[task]
id = "language_modeling"
file = "${{home}}/data/passages.jsonl"
[training]
max_steps = 1
[[metric]]
id = "edit_success"
"""

TEXT = [{"text": f"Sentence number {i} of a short text that stands for a longer one."} for i in range(40)]
DATA = {
    "data/passages.jsonl": TEXT,
    "data/general.jsonl": TEXT,
    "data/tasks/instruction.jsonl": [{"instruction": f"Say {i}.", "input": "", "output": f"{i}", "source": "test"}
                               for i in range(40)],
    "data/tasks/sentiment.jsonl": [{"text": f"This is good or bad {i}.", "label": ("positive", "negative")[i % 2],
                              "rating": "1", "source": "test"} for i in range(40)],
    "data/tasks/question_answering.jsonl": [{"context": f"It is {i}.", "question": "What is it?", "answer": f"{i}",
                                       "source": "test"} for i in range(40)],
    "data/tasks/preference.jsonl": [{"prompt": f"Do {i}.", "chosen": "yes", "rejected": "no", "source": "test"}
                              for i in range(40)],
    "evaluation/multiple_choice.jsonl": [{"set": "test", "question": f"{i // 2}", "context": "It is",
                                          "choice": ("so", "not")[i % 2], "correct": i % 2 == 0} for i in range(40)],
}


def write_model(folder, layers):
    """A Llama of width 4: tensors of zeros under the names that the real one has."""
    folder.mkdir(parents=True)
    tensors = {"model.embed_tokens.weight": [256, 4], "model.norm.weight": [4]}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        tensors |= {prefix + "input_layernorm.weight": [4], prefix + "post_attention_layernorm.weight": [4]}
        tensors |= {f"{prefix}self_attn.{part}_proj.weight": [4, 4] for part in "qkvo"}
        tensors |= {f"{prefix}mlp.{part}_proj.weight": [8, 4] for part in ("gate", "up")}
        tensors[prefix + "mlp.down_proj.weight"] = [4, 8]
    header, at = {}, 0
    for name, shape in tensors.items():
        size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))
    config = json.loads((SOURCE / "tests/golden/models/llama_tied/config.json").read_text(encoding="utf-8"))
    config |= {"num_hidden_layers": layers, "hidden_size": 4, "intermediate_size": 8, "num_attention_heads": 2,
               "num_key_value_heads": 2, "head_dim": 2, "max_position_embeddings": 2048}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    shutil.copy(SOURCE / "tests/conformance/data/tokenizer.json", folder / "tokenizer.json")


def experiments():
    found = [p for p in sorted(CONFIGS.rglob("*.toml"))
             if not any(part in PARTS for part in p.relative_to(CONFIGS).parts) and p.name != "common.toml"
             and "facts" not in p.relative_to(CONFIGS).parts]
    assert len(found) > 5, found
    return found


class Configs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="palimpsest-configs-")
        cls.home = pathlib.Path(cls.folder.name) / "home"
        for name, rows in DATA.items():
            path = cls.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def validate(self, path):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PALIMPSEST_")}
        return subprocess.run([str(PROGRAM), "validate", str(path)], cwd=self.folder.name, text=True, check=False,
                              env={**environment, "PALIMPSEST_HOME": str(self.home)}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)

    def make_models(self):
        for name, layers in (LAYERS | RANDOM).items():
            if not (self.home / "models" / name).exists():
                write_model(self.home / "models" / name, layers)

    def test_1_without_models_their_path_is_the_only_problem(self):
        for path in experiments():
            with self.subTest(config=str(path.relative_to(CONFIGS))):
                done = self.validate(path)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                problems = [line for line in done.stderr.splitlines() if not line.startswith(("error:", "warning:"))]
                self.assertEqual(len(problems), 1, done.stderr)
                self.assertIn("model.path", problems[0])

    def test_2_with_them_it_is_in_order(self):
        self.make_models()
        for path in experiments():
            with self.subTest(config=str(path.relative_to(CONFIGS))):
                done = self.validate(path)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertIn("is in order", done.stdout)

    # Of every editor that a file of configs/models gives values to: its names, its bounds, its layers.
    def test_3_the_values_by_model_fit(self):
        self.make_models()
        files = [file for file in sorted((CONFIGS / "models").glob("*.toml")) if file.name != "published.toml"]
        self.assertEqual({file.stem for file in files}, set(LAYERS))
        # "auto" finds each, and none has a layer that its model lacks.
        entries = tomllib.loads((CONFIGS / "models" / "published.toml").read_text(encoding="utf-8"))["model"]
        self.assertEqual({entry["file"]: entry["layers"] for entry in entries},
                         {f"{name}.toml": layers for name, layers in LAYERS.items()})
        for file in files:
            for editor in tomllib.loads(file.read_text(encoding="utf-8"))["defaults"]["editor"]:
                with self.subTest(config=file.stem, editor=editor):
                    path = self.home / "experiment.toml"
                    path.write_text(EXPERIMENT.format(file=file, editor=editor, facts=CONFIGS / "facts/world.jsonl"),
                                    encoding="utf-8")
                    done = self.validate(path)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                    self.assertIn("is in order", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
