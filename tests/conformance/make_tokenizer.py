"""Writes tests/conformance/data/tokenizer.json: a byte-level BPE of 256 tokens for the tiny checkpoints of tests/golden.

    python tests/conformance/make_tokenizer.py
"""

import json
import pathlib

SPECIAL = ["<|pad|>", "<|begin|>", "<|end|>"]
BYTES = ["Ċ", "Ġ"] + [chr(code) for code in range(0x21, 0x7F)]
# Words of the conformance facts: targets of one and of two tokens, two of them with the same first token.
WORDS = ["Ġthe", "ĠRome", "ĠParis", "ĠOslo", "ĠLima", "ĠNew", "ĠYork", "ĠDelhi", "Ġis", "Ġcity", "Ġof", "Ġin", "Ġlives"]


def main():
    tokens, merges = SPECIAL + BYTES, []
    for word in WORDS:
        piece = word[0]
        for letter in word[1:]:
            if piece + letter not in tokens:
                tokens.append(piece + letter)
            if [piece, letter] not in merges:
                merges.append([piece, letter])
            piece += letter
    assert len(tokens) <= 256, len(tokens)
    added = [dict(id=i, content=text, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
             for i, text in enumerate(SPECIAL)]
    byte_level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=False, use_regex=True)
    document = dict(
        version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=None, pre_tokenizer=byte_level,
        post_processor=None, decoder=byte_level,
        model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None,
                   fuse_unk=False, byte_fallback=False, ignore_merges=False,
                   vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    path = pathlib.Path(__file__).parent / "data" / "tokenizer.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
