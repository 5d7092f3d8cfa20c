#!/usr/bin/env python3
"""Compares Palimpsest's tokenizer with Hugging Face tokenizers on the vocabularies of published models.

    compare_real_vocabularies.py --dump build/bin/tokenizer_dump --vocabularies .palimpsest/vocabularies --texts passages.jsonl

The packages that carry them (cmake/prepare/prepare_vocabularies.py) have no tokenizer.json, so one is made here: merges by the
converters of transformers, which made those that were published; the steps around them as the models' own files have them. Two
words whose ids are known from the published files show that a conversion is the right one.
"""

import argparse
import base64
import json
import pathlib
import struct
import sys
import tempfile

from compare_with_huggingface import compare, real_lines
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers.convert_slow_tokenizer import TikTokenConverter, generate_merges

MARK = "\u2581"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)"
          r"|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
CONTROL, USER_DEFINED = 3, 4  # types of SentencePiece's pieces


def tiktoken_ranks(path):
    rows = (line.split() for line in path.read_bytes().splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in rows}


def tekken_ranks(document):
    config = document["config"]
    kept = config["default_vocab_size"] - config["default_num_special_tokens"]
    return {base64.b64decode(row["token_bytes"]): row["rank"] for row in document["vocab"][:kept]}


def from_ranks(ranks, pattern, specials):
    class Converter(TikTokenConverter):
        @staticmethod
        def load_tiktoken_bpe(tiktoken_url):
            return tiktoken_url  # the ranks themselves: the package tiktoken is not needed to read a file

    return Converter(vocab_file=ranks, pattern=pattern, extra_special_tokens=specials).converted()


def fields_of(message):
    """(number, value) of each field of a protocol buffer."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(key & 7) or varint()
        yield key >> 3, message[at:at + size]
        at += size


def sentencepiece(path):
    """The pieces of a SentencePiece model in their order: text and type."""
    pieces = []
    for number, value in fields_of(path.read_bytes()):
        if number == 1:
            piece = dict(fields_of(value))
            pieces.append((piece[1].decode("utf-8"), piece.get(3, 1)))
            assert len(piece[2]) == struct.calcsize("f")
    return pieces


def from_sentencepiece(path, metaspace):
    """As Llama 2's and Mistral's files are: a mark before the text by the normalizer, or by Metaspace."""
    pieces = sentencepiece(path)
    vocab = {text: i for i, (text, _) in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab, generate_merges(vocab, None), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    specials = ["<unk>"] + [text for text, kind in pieces if kind in (CONTROL, USER_DEFINED)]
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in specials])
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=MARK, prepend_scheme="first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(content=" ", left=1)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", vocab["<s>"])])
    return tokenizer


def llama3(folder):
    ranks = tiktoken_ranks(folder / "llama3.tiktoken")
    tokenizer = from_ranks(ranks, LLAMA3, ["<|begin_of_text|>", "<|end_of_text|>"])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", len(ranks))])])
    return tokenizer


def qwen2(folder):
    tokenizer = from_ranks(tiktoken_ranks(folder / "qwen2.tiktoken"), QWEN2, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.model.ignore_merges = False
    return tokenizer


def tekken(folder):
    document = json.loads((folder / "tekken.json").read_text(encoding="utf-8"))
    return from_ranks(tekken_ranks(document), document["config"]["pattern"], None)


# Each with the ids of "Hello world" in the published file; tekken's there come after 1000 special tokens.
VOCABULARIES = {
    "llama3": (llama3, [9906, 1917]),
    "qwen2": (qwen2, [9707, 1879]),
    "mistral_v1": (lambda folder: from_sentencepiece(folder / "mistral_v1.model", False), [22557, 1526]),
    "mistral_v3": (lambda folder: from_sentencepiece(folder / "mistral_v3.model", True), [23325, 2294]),
    "tekken": (tekken, [22177 - 1000, 4304 - 1000]),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dump", type=pathlib.Path, required=True, help="the program tokenizer_dump")
    parser.add_argument("--vocabularies", type=pathlib.Path, required=True, help="the folder of prepare_vocabularies.py")
    parser.add_argument("--only", nargs="*", default=list(VOCABULARIES), choices=list(VOCABULARIES))
    parser.add_argument("--texts", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--longest", type=int, default=200)
    parser.add_argument("--least-lines", type=int, default=0)
    parser.add_argument("--most-lines", type=int)
    parser.add_argument("--marks", type=int, default=0)
    parser.add_argument("--continuations", action="store_true")
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    arguments.code_points = False
    texts = real_lines(arguments.texts, arguments.longest, arguments.most_lines)
    if len(texts) < arguments.least_lines:
        sys.exit(f"only {len(texts)} different lines were given; at least {arguments.least_lines} are wanted")
    different = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            make, known = VOCABULARIES[name]
            tokenizer = make(arguments.vocabularies)
            found = tokenizer.encode("Hello world", add_special_tokens=False).ids
            if found != known:
                sys.exit(f"{name}: the conversion gives {found} for 'Hello world', the published file {known}")
            path = pathlib.Path(folder) / f"{name}.json"
            path.write_text(tokenizer.to_str(), encoding="utf-8")
            different += compare(arguments, f"{name}: ", path, texts)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
