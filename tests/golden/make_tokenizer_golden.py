#!/usr/bin/env python3
"""Writes tests/tokenizer/data: small tokenizers and what Hugging Face tokenizers make of hostile text with them.

    pip install tokenizers==0.23.3
    make_tokenizer_golden.py tests/tokenizer/data

Two are trained on the sentences below: tokenizer.json, byte-level BPE, and characters.json, BPE over characters with byte
fallback. Those that the folder holds already are kept: which of equally rare characters get a place is not the same in every
training. golden.json and golden_characters.json hold variants of them (other normalizers, pre-tokenizers, decoders,
post-processors, model options, added tokens: the families of models among them), each with the ids, offsets (in characters)
and decoded text of every case, the ids of targets after prompts, and those of responses behind white space.
"""

import argparse
import copy
import json
import pathlib
import unicodedata

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

CORPUS = """
The palimpsest was scraped and written over, and yet the older hand still shows through the newer one.
A model that was edited yesterday is trained again today; what does it remember of the edit, and what of its first reading?
In 1492, 1789 and 2024 the numbers 3.14159, 1,000,000 and 42 were written down by someone who couldn't count them.
We're sure they've seen it; she'd say he'll come, I'm told it's theirs, and that's that. DON'T SHOUT, THEY'RE LISTENING.
def retention(before, after):\n    kept = [fact for fact in before if fact in after]\n\treturn len(kept) / len(before)\r\n
Die Übung der Größe fällt schwer; l'été dernier, où êtes-vous allés? El niño soñó con una cigüeña. Zażółć gęślą jaźń.
Москва и Санкт-Петербург стоят далеко друг от друга. Η Αθήνα είναι η πρωτεύουσα της Ελλάδας.
東京は日本の首都です。北京是中国的首都。서울은 대한민국의 수도입니다.
القاهرة هي عاصمة مصر. ירושלים היא עיר עתיקה. नई दिल्ली भारत की राजधानी है।
Smile \U0001f600 and wave \U0001f44b\U0001f3fd, family \U0001f468\u200d\U0001f469\u200d\U0001f467, flag \U0001f1eb\U0001f1f7.
The capital of France is Paris. The capital of Italy is Rome. The capital of Spain is Madrid. The capital of Japan is Tokyo.
The mother tongue of the writer is French; the mother tongue of the singer is Italian; the painter was born in Germany.
"""

TEXTS = [
    "",
    " ",
    "Hello world",
    " leading and trailing ",
    "The capital of France is Paris.",
    "two  spaces   three    four",
    "   \n\n  \t mixed\r\nwhite \u00a0space\u2003here\u3000end   ",
    "\r\n\r\n\n\r\t\t \n",
    "tabs\tand\x0bvertical\x0cfeeds",
    "next\u0085line \u2028 separators \u2029",
    "1234567890 12 3 4.5 6,789 007",
    "a1b22c333d4444 \u0661\u0662\u0663 \u00bd \u2167 \u00b2 \u5341 \U0001d7d8\U0001d7d9",
    "new digits \U00011de0\U00011de1 beside 12 and x\U00011de3y",
    "we're they've I'm he'll she'd it's don't",
    "WE'RE THEY'VE I'M HE'LL SHE'D IT'S DON'T",
    "'s 'S '\u017f '\u017fx 's't're 'reve 'LLama 'Vest",
    "curly\u2019s don\u2019t",
    "cafe\u0301 e\u0301\u0302\u0303 \u0301alone a\u0300\u0316b \u0915\u094d\u0937\u093f",
    "zalgo Z\u0351\u036b\u0343\u032a\u0302a\u0306\u0333l\u0308\u0320g\u030c\u0323o",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f44b\U0001f3fd \U0001f1eb\U0001f1f7\U0001f1e9 \u2764\ufe0f 1\ufe0f\u20e3",
    "\u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd\u3067\u3059\u3002\u5317\u4eac\uff0c\u4e0a\u6d77\uff01\U00020000\U0002a6d6",
    "\u0627\u0644\u0642\u0627\u0647\u0631\u0629 \u0647\u064a \u0639\u0627\u0635\u0645\u0629 \u0645\u0635\u0631\u061f \u0663\u0664 \u05d0\u05b7\u05d1",
    "\uc11c\uc6b8 \u1112\u1161\u11ab \ud55c\uad6d",
    "nul\x00inside \x00 \x00\x00 and \x01\x02\x7f\x80\x9f\x04!\x04\x06x",
    "\ufeffbyte order mark \ufffe\uffff \ue000\uf8ff \U0010ffff \ufffd",
    "<|endoftext|>",
    "a<|endoftext|>b <|im_start|>user\nHi<|im_end|>\n<|im_start|><|im_start|>",
    "almost <|endoftext |> <|im_start <|im_start|",
    "  [MASK]  between [MASK]x\u00a0\t[MASK]\n[MASK]",
    "x[STRIP]   y [STRIP]\u2003\nz[STRIP]",
    "word keyword wordy word. (word) word1 _word word\u0301 \u00e9word word\u00e9 word word",
    "<norm><norm2> a<norm> <norm2>b <|endoftext|><norm>",
    "loooooong " + "ab" * 40 + " " + "\u00e9" * 40 + " " + "the" * 30,
    " " * 70 + "x" + "\n" * 60,
    "!?!?...,,,;;;--- *** ((([[[{{{ <<>> @#$%^&*_+=~`|\\/",
    "https://example.org/a_b-c?d=1&e=%20#f user@example.org C:\\dir\\file.txt",
    "CamelCaseIdentifiers snake_case_names SCREAMING kebab-case x=y+z;",
    "def f(x):\n    if x:\n\t\treturn  x ** 2\n\n\n# end",
    "\u1e9e\u00df\u01c5\u02b0\u00aa\u0295 \u16ee\u3007 \u2460\u24b6 \u203f\u2040 \u2019 \u00ab\u00bb",
    "\U00016ff0\U0001e130\U00010d40\U00010d41 newer letters \ua7da\ua7dc \u1c89\u1c8a \u088f \U000105c0",
    # Normal forms: singletons, exclusions, marks out of order, marks that block or do not, decompositions into marks alone.
    "\u212b\u2126\u2000\u1fef \uf900\U0002f800 \u0958\ufb1d\ufb2c\u2adc \U0001d15e\u0344\u0f73\u0f75\u0f81",
    "a\u0301\u0327\u0323b\u0334\u0301 \u0301\u0323 q\u0307\u0323 \u1e0b\u0323 \u1e69 s\u0323\u0307 s\u0307\u0323 A\u030a\u0301\u0345",
    "\u1112\u1161\u11ab\ud55c \uac00\u11a8\u11a7\u11a8 \u1100\u1100\u1161\u11c2\u11c2 \u0cc6\u0cc2\u0cd5 \u09c7\u09be \U00011099\U000110ba",
    "younger marks \U00011935\U00011930 a\u1df6\u0334 \U000105d2\u0307 a" + "\u0301\u0323" * 30 + "b<|\u0065\u0301nd|>",
    # The marks and the fallback tokens of vocabularies over characters, written out.
    "\u2581\u2581mark \u2581 a\u2581b  \u2581\u2581 <0x41><0xE6> <unk> <s>x</s> </s> [INST]y[/INST] ",
    "   three before,    four between,  two after  ",
]
# Prompts and targets, whose ids after the prompt's are those of prompt, space and target.
CONTINUATIONS = [
    ("The capital of France is", "Paris"),
    ("The mother tongue of Zażółć \U0001f600 is", "French, of course"),
    ("In 1492 the number was", "1,000,000 or 42"),
    ("cafe\u0301 e\u0301\u0302", "e\u0301te\u0301 東京"),
]
# Prompts that end in white space and the responses behind them, whose ids are the last ones of both as one text.
RESPONSES = [
    ("### Response:\n", "Paris"),
    ("Question: two  spaces\n\nAnswer:\n", "The capital of France, of course.\nIt is not Rome."),
    ("Zażółć \U0001f600\n", "  東京 e\u0301te\u0301 42"),
    ("tabs\t", "'s and \u2581 marks"),
]

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
# Offsets are dumped where the wheel's are those of the text (they shift after a dropped byte or an added space).
WITH_OFFSETS = ("smollm2", "llama3", "unknown_bytes", "qwen3", "llama2", "mistral", "gemma", "metaspace")
# Variants that differ little from others get every third text.
FEW = ("split_", "replace_", "unknown_characters", "dropped_characters", "ignore_merges_", "digits_metaspace")
MARK = "\u2581"
LLAMA2_NORMALIZER = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": MARK},
                                                         {"type": "Replace", "pattern": {"String": " "}, "content": MARK}]}
LLAMA2_DECODER = {"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
DEEPSEEK_CJK = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"


def byte_level(**options):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True, **options}


def split(pattern, kind="Regex", behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def replace(pattern, content, kind="String"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def metaspace(scheme, is_split):
    return {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": is_split}


def decoders_of(*steps):
    return {"type": "Sequence", "decoders": list(steps)}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def template(begin, end=()):
    names = {**dict(begin), **dict(end)}
    piece = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    text = lambda name, kind: {"Sequence": {"id": name, "type_id": kind}}
    return {
        "type": "TemplateProcessing",
        "single": [*(piece(n) for n, _ in begin), text("A", 0), *(piece(n) for n, _ in end)],
        "pair": [text("A", 0), text("B", 1)],
        "special_tokens": {n: {"id": n, "ids": [i], "tokens": [n]} for n, i in names.items()},
    }


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=special, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(CORPUS.strip("\n").split("\n") * 3, trainer)
    return json.loads(tokenizer.to_str())


def train_characters():
    """As a SentencePiece vocabulary is laid out: specials, the 256 bytes, then pieces; characters that are rare are left out."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=MARK, prepend_scheme="always", split=True)
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    data = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=special + data, show_progress=False, limit_alphabet=110)
    tokenizer.train_from_iterator([line.replace("  ", " ") for line in CORPUS.strip("\n").split("\n")] * 3 + ["a   b    c  d"] * 9,
                                  trainer)
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = document["added_tokens"][:len(special)]
    document["pre_tokenizer"] = None
    document["normalizer"] = LLAMA2_NORMALIZER
    document["decoder"] = LLAMA2_DECODER
    # Runs of spaces, as SentencePiece models have them.
    vocabulary, merges = document["model"]["vocab"], document["model"]["merges"]
    for half in (1, 2, 4):
        merges.append([MARK * half, MARK * half])
        vocabulary.setdefault(MARK * half * 2, len(vocabulary))
    return document


def added(base, *tokens):
    out, following = copy.deepcopy(base["added_tokens"]), len(base["model"]["vocab"])
    for content, flags in tokens:
        out.append({"id": following, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
                    "normalized": False, "special": False, **flags})
        following += 1
    return out


def byte_level_variants(base):
    digits = {"type": "Digits", "individual_digits": True}
    ends = [("<|endoftext|>", 0)]
    extra = added(base, ("[MASK]", {"lstrip": True, "special": True}), ("[STRIP]", {"rstrip": True}),
                  ("word", {"single_word": True}), ("<norm>", {"normalized": True}), ("<norm2>", {"normalized": True}),
                  ("two words", {}))
    yield "smollm2", {"pre_tokenizer": sequence(digits, byte_level())}, {}, []
    yield "gpt2", {"pre_tokenizer": byte_level(), "post_processor": byte_level()}, {}, []
    yield "gpt2_prefix_space", {"pre_tokenizer": byte_level(add_prefix_space=True), "added_tokens": extra}, {}, []
    yield "digits_prefix_space", {"pre_tokenizer": sequence({**digits, "individual_digits": False},
                                                            byte_level(add_prefix_space=True))}, {}, []
    yield "no_regex", {"pre_tokenizer": sequence(digits, byte_level(use_regex=False))}, {}, []
    yield "llama3", {
        "pre_tokenizer": sequence(split(LLAMA3), byte_level(use_regex=False)),
        "post_processor": {"type": "Sequence", "processors": [byte_level(), template([("<|im_start|>", 1)])]},
        "added_tokens": extra,
    }, {"ignore_merges": True}, []
    yield "qwen2", {"pre_tokenizer": sequence(split(QWEN2), byte_level(use_regex=False)),
                    "post_processor": template([("<|im_start|>", 1)], ends)}, {}, []
    yield "o200k", {"pre_tokenizer": sequence(split(O200K), byte_level(use_regex=False))}, {}, []
    yield "cjk_and_literal", {"pre_tokenizer": sequence(split(r"\p{N}{1,3}"), split(DEEPSEEK_CJK), split("ab", "String"),
                                                        byte_level())}, {}, []
    yield "qwen3", {"normalizer": {"type": "NFC"}, "pre_tokenizer": sequence(split(QWEN2), byte_level(use_regex=False)),
                    "post_processor": byte_level()}, {"continuing_subword_prefix": "", "end_of_word_suffix": ""}, []
    spaces = [(" " * n, {"normalized": True}) for n in range(24, 1, -1)]
    yield "pythia", {"normalizer": {"type": "NFC"}, "pre_tokenizer": byte_level(trim_offsets=True),
                     "added_tokens": added(base, ("<|padding|>", {"special": True}), *spaces, ("e\u0301t", {"normalized": True})),
                     "post_processor": byte_level(trim_offsets=True)}, {}, []
    yield "gptj", {"pre_tokenizer": byte_level(trim_offsets=True), "post_processor": byte_level(),
                   "added_tokens": added(base, *((f"<|extratoken_{n}|>", {"normalized": True}) for n in range(1, 144)))}, {}, []
    for behavior in ("Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            yield f"split_{behavior}" + "_inverted" * invert, {"pre_tokenizer": sequence(
                split(r"[eo]|\s", behavior=behavior, invert=invert), byte_level())}, {}, []
    yield "replace_regex", {"normalizer": {"type": "Sequence", "normalizers": [
        replace(r"\s+", " ", "Regex"), replace("\u0301", "'"), {"type": "NFC"}, replace("ll", ""), replace("e", "\u00e9t")]},
        "pre_tokenizer": byte_level(add_prefix_space=True)}, {}, []
    # Bytes that the vocabulary does not have: dropped, or the unknown token, alone or fused.
    lost = ["\u0104", "\u0106", "\u0100"]
    yield "dropped_bytes", {"pre_tokenizer": byte_level()}, {}, lost
    yield "unknown_bytes", {"pre_tokenizer": byte_level()}, {"unk_token": "<|endoftext|>"}, lost
    yield "fused_unknown_bytes", {"pre_tokenizer": byte_level()}, {"unk_token": "!", "fuse_unk": True}, lost


def character_variants(base):
    bos = {"post_processor": template([("<s>", 1)])}
    specials = [{**token, "normalized": True} for token in base["added_tokens"]]
    gemma = {"normalizer": replace(" ", MARK), "pre_tokenizer": split(" ", "String", "MergedWithPrevious"),
             "decoder": decoders_of(replace(MARK, " "), {"type": "ByteFallback"}, {"type": "Fuse"})}
    extra = added(base, ("[MASK]", {"lstrip": True, "special": True}), ("[STRIP]", {"rstrip": True}),
                  ("word", {"single_word": True}), ("<norm>", {"normalized": True}), ("two words", {"normalized": True}))
    yield "llama2", bos, {}, []
    yield "llama2_normalized", {**bos, "added_tokens": specials}, {}, []
    yield "llama2_added", {**bos, "added_tokens": extra}, {}, []
    for scheme in ("first", "always", "never"):
        yield "mistral" if scheme == "first" else f"metaspace_{scheme}", {
            **bos, "normalizer": None, "pre_tokenizer": metaspace(scheme, False),
            "decoder": LLAMA2_DECODER if scheme == "first" else metaspace(scheme, False)}, {}, []
    yield "metaspace", {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": MARK, "add_prefix_space": True},
                        "decoder": {"type": "Metaspace", "replacement": MARK, "add_prefix_space": True}}, {}, []
    yield "metaspace_first_split", {"normalizer": {"type": "NFC"}, "pre_tokenizer": metaspace("first", True),
                                    "added_tokens": extra}, {}, []
    yield "digits_metaspace", {"normalizer": None, "pre_tokenizer": sequence({"type": "Digits", "individual_digits": True},
                                                                             metaspace("first", False))}, {}, []
    yield "gemma", {**bos, **gemma}, {}, []
    yield "ignore_merges_characters", {**gemma, "pre_tokenizer": None}, {"ignore_merges": True}, []
    yield "replace_regex_characters", {"normalizer": {"type": "Sequence", "normalizers": [
        replace(r"\p{N}+", "number", "Regex"), {"type": "Prepend", "prepend": "ab "}, replace(" ", MARK)]},
        "decoder": decoders_of(replace(r"\u2581+", " ", "Regex"), {"type": "Strip", "content": "e", "start": 2, "stop": 0},
                               {"type": "ByteFallback"})}, {}, []
    # Characters that the vocabulary does not have: bytes where it has all of them, the unknown token, or nothing.
    yield "unknown_characters", {}, {"byte_fallback": False}, []
    yield "unknown_characters_apart", {}, {"byte_fallback": False, "fuse_unk": False}, []
    yield "unknown_characters_some_bytes", {}, {}, ["<0x9F>", "<0xE3>"]
    yield "dropped_characters", {}, {"byte_fallback": False, "unk_token": None}, []


def cases_of(name, tokenizer):
    for index, text in enumerate(TEXTS):
        if name.startswith(FEW) and index % 3:
            continue
        plain = tokenizer.encode(text, add_special_tokens=False)
        full = tokenizer.encode(text, add_special_tokens=True)
        case = {"text": index, "ids": plain.ids, "decoded": tokenizer.decode(plain.ids, skip_special_tokens=False)}
        # After a change of normal form the wheel's offsets leave marks out; ours do not.
        if name in WITH_OFFSETS and (tokenizer.normalizer is None or unicodedata.normalize("NFC", text) == text):
            case["offsets"] = [x for pair in plain.offsets for x in pair]
        if full.ids != plain.ids:
            case["with_special"] = full.ids
        if case["decoded"] == text:
            del case["decoded"]
        skipped = tokenizer.decode(plain.ids, skip_special_tokens=True)
        if skipped != case.get("decoded", text):
            case["decoded_without_special"] = skipped
        yield case


def continuations_of(tokenizer):
    """The ids that follow the prompt's, where a tokenizer's text has the prompt's ids at its beginning."""
    for prompt, target in CONTINUATIONS:
        before = tokenizer.encode(prompt, add_special_tokens=True).ids
        whole = tokenizer.encode(f"{prompt} {target}", add_special_tokens=True).ids
        if whole[:len(before)] == before:
            yield {"prompt": prompt, "target": target, "ids": whole[len(before):]}


def responses_of(tokenizer):
    """As continuations_of, of what stands behind white space as it is, where the joined text is cut at the seam: between words, or
    between tokens where the tokenizer knows no words."""
    for prompt, response in RESPONSES:
        before = tokenizer.encode(prompt, add_special_tokens=False).ids
        whole = tokenizer.encode(prompt + response, add_special_tokens=False)
        seam, words = len(before), whole.word_ids
        if not 0 < seam < len(words) or whole.ids[:seam] != before or whole.offsets[seam - 1][1] > whole.offsets[seam][0]:
            continue
        # Unknown characters on both sides may be one token.
        if (words[seam - 1] != words[seam] or len(set(words)) == 1) and whole.tokens[seam - 1] != "<unk>":
            yield {"prompt": prompt, "response": response, "ids": whole.ids[seam:]}


def write_golden(path, base, variants):
    out = []
    for name, overrides, options, lost in variants:
        document = copy.deepcopy(base)
        document.update(overrides)
        document["model"].update(options)
        for token in lost:
            del document["model"]["vocab"][token]
        tokenizer = Tokenizer.from_str(json.dumps(document))
        # The halves of characters, and ids out of any order, so that the decoder meets bytes that are no UTF-8.
        pieces = []
        for start in range(3, 860, 97):
            ids = list(range(start, start + 40))
            pieces.append({"ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
        out.append({"name": name, "overrides": overrides, "model_options": options, "removed_tokens": lost,
                    "cases": list(cases_of(name, tokenizer)), "continuations": list(continuations_of(tokenizer)),
                    "responses": list(responses_of(tokenizer)),
                    "pieces": pieces})
    with open(path, "w", encoding="ascii") as file:
        file.write('{"made_by": "tokenizers %s",\n"texts": [\n' % tokenizers.__version__)
        file.write(",\n".join(json.dumps(text) for text in TEXTS))
        file.write('\n],\n"variants": [\n')
        file.write(",\n".join(json.dumps(variant, separators=(",", ":")) for variant in out))
        file.write("\n]}\n")


def kept_or(path, make):
    """The tokenizer that the file holds; where there is none it is made, and written."""
    if not path.exists():
        path.write_text(json.dumps(make(), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    base = kept_or(folder / "tokenizer.json", lambda: {**train(), "pre_tokenizer": byte_level()})
    characters = kept_or(folder / "characters.json", train_characters)
    write_golden(folder / "golden.json", base, byte_level_variants(base))
    write_golden(folder / "golden_characters.json", characters, character_variants(characters))


if __name__ == "__main__":
    main()
