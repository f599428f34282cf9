"""Make small GGUF vocabularies, with llama.cpp's expected ids, for the tests of GGUF tokenizers.

    python -m tools.gguf_vocabularies FOLDER

FOLDER is `models/` of llama.cpp's source (the source package of llama-cpp-python has it under
`vendor/llama.cpp/`): `ggml-vocab-NAME.gguf` with its texts (`.inp`) and the ids that llama.cpp
gives them (`.out`). Of each vocabulary only the tokens are kept that could appear in an encoding
of the texts: the bytes, and every token that is a part of a text. Merging looks at nothing else, so
the ids are the same up to their numbers, which are written down beside the tokens.
"""

import json
import sys
from pathlib import Path

from gptterm.engine.gguf.reader import GgufFile, read_header
from gptterm.engine.text.token_bytes import byte_alphabet

TARGET = Path(__file__).parent.parent / "tests" / "engine" / "gguf" / "vocabularies"
SEPARATOR = "\n__ggml_vocab_test__\n"
KEYS = (
    "model", "pre", "add_bos_token", "add_space_prefix", "bos_token_id", "eos_token_id",
    "eot_token_id", "unknown_token_id",
)  # fmt: skip
_NORMAL, _BYTE = 1, 6


def read_cases(file: Path) -> list[tuple[str, list[int]]]:
    """Read a vocabulary's test texts and their expected ids."""
    with open(f"{file}.inp", encoding="utf-8", newline="") as opened:
        texts = opened.read().split(SEPARATOR)
    lines = Path(f"{file}.out").read_text("utf-8").split("\n")
    return [
        (text, [int(id_) for id_ in line.split()]) for text, line in zip(texts, lines, strict=False)
    ]


def reduce(file: GgufFile, cases: list[tuple[str, list[int]]]) -> dict[str, object]:
    """Reduce a vocabulary to the tokens and merges that the texts can reach."""
    tokens = file.texts("tokenizer.ggml.tokens")
    types = file.numbers("tokenizer.ggml.token_type")
    model = file.text("tokenizer.ggml.model")
    texts = [_as_stored(text, byte_level=model == "gpt2") for text, _ in cases]
    wanted = {id_ for _, ids in cases for id_ in ids}
    wanted |= {i for key in KEYS if (i := file.number(f"tokenizer.ggml.{key}")) is not None}
    kept = [
        i
        for i, token in enumerate(tokens)
        if i in wanted
        or types[i] == _BYTE
        or (len(token) == 1 and model == "gpt2")
        or (types[i] == _NORMAL and any(token in text for text in texts))
    ]
    known = {tokens[i] for i in kept}
    merges = []
    for merge in file.texts("tokenizer.ggml.merges"):
        cut = merge.find(" ", 1)
        left, right = merge[:cut], merge[cut + 1 :]
        if left in known and right in known and left + right in known:
            merges.append(merge)
    scores = file.numbers("tokenizer.ggml.scores")
    return {
        "metadata": {key: file.metadata.get(f"tokenizer.ggml.{key}") for key in KEYS},
        "ids": kept,
        "tokens": [tokens[i] for i in kept],
        "types": [types[i] for i in kept],
        "scores": [scores[i] for i in kept] if scores else [],
        "merges": merges,
        "cases": cases,
    }


def _as_stored(text: str, *, byte_level: bool) -> str:
    """Map a text to the alphabet of a vocabulary's tokens."""
    if not byte_level:
        return "▁" + text.replace(" ", "▁")
    names = {byte: character for character, byte in byte_alphabet().items()}
    return "".join(names[byte] for byte in text.encode())


def main() -> None:
    """Write a JSON file for each vocabulary that has expected ids."""
    for file in sorted(Path(sys.argv[1]).glob("ggml-vocab-*.gguf")):
        header = read_header(file)
        if not Path(f"{file}.inp").exists() or header.text("tokenizer.ggml.model") == "bert":
            continue
        name = file.stem.removeprefix("ggml-vocab-")
        reduced = json.dumps(
            reduce(header, read_cases(file)), ensure_ascii=False, separators=(",", ":")
        )
        (TARGET / f"{name}.json").write_text(reduced + "\n", "utf-8")
        print(name, len(reduced))


if __name__ == "__main__":
    main()
