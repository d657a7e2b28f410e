#!/usr/bin/env python3
"""An independent encoder for all-MiniLM-L6-v2, to check the conversion and the engine.

    check_minilm.py model.safetensors tokenizer.json > ../crates/quartet-llm/tests/golden/minilm.json

It shares no code with convert_minilm.py or the engine: the tokenizer follows tokenizer.json (the
normaliser, pre-tokenizer and WordPiece rules of BERT), the network is written out in numpy from
the BERT paper (Devlin et al. 2019, arXiv:1810.04805; post-norm layers of Vaswani et al. 2017,
arXiv:1706.03762, section 3) in double precision on the original 32-bit weights, with the exact GELU.
The sentence vector is the mean over all positions, [CLS] and [SEP] included, divided by its length.

Output: JSON with the sha256 of the weights and, for each sentence, its token ids and 384 numbers
rounded to 5 decimals. A 4-bit or 8-bit engine agrees to its own precision, not to these decimals.
Needs numpy. It is run by hand when the sentences change; tests read the file it wrote.
"""

import hashlib
import json
import math
import struct
import sys
import unicodedata

import numpy

LAYERS, HEADS = 6, 12
EPSILON = 1e-12
LONGEST_WORD = 100

SENTENCES = [
    "Where is the spare key to the seed vault?",
    "The spare key hangs behind the barometer in the drying room.",
    "Payment is due within 30 days; interest runs at 4.25 % p.a. afterwards.",
    "Zoë Brontë-Núñez naïvely ordered crème brûlée in Malmö, Łódź and Århus.",
    "Die Übergabe der Schlüssel erfolgt am Montag gegen 8:15 Uhr durch Frau Größmann.",
    "Договор вступает в силу первого марта.",
    "図書館の鍵は机の引き出しにあります。",
    "한국어 문장도 읽을 수 있어야 한다.",
    "non\u2011breaking hyphen, en\u2013dash, em\u2014dash, \u201cquotes\u201d and an ellipsis\u2026",
    "e\u0301tude and \u00e9tude are the same word; soft\u00adhyphens and zero\u200bwidth marks are not text.",
    "x = (a + b)^2 / 3.5e-7; see src/main.rs:42 & <https://example.org/?q=1#top>",
    "\N{SEEDLING} emoji, supercalifragilisticexpialidocious, ABC123def and a\tb\n\nc",
    " ".join(
        f"In year {year} the garden kept {year % 7 + 12} sorts of beans in {year % 5 + 3} cabinets, "
        "and the warden wrote the weight of every drawer into the green register."
        for year in range(1, 11)
    ),
]


def is_punctuation(character):
    ascii_symbol = character.isascii() and character.isprintable() and not character.isalnum() and character != " "
    return ascii_symbol or unicodedata.category(character).startswith("P")


def is_ideograph(character):
    code = ord(character)
    ranges = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)]
    ranges += [(0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]
    return any(first <= code <= last for first, last in ranges)


def words_of(text):
    cleaned = []
    for character in text:
        if character.isspace():
            cleaned.append(" ")
        elif character in "\0\ufffd" or unicodedata.category(character).startswith("C"):
            continue
        elif is_ideograph(character):
            cleaned.append(f" {character} ")
        else:
            cleaned.append(character)
    decomposed = unicodedata.normalize("NFD", "".join(cleaned))
    plain = "".join(c for c in decomposed if unicodedata.category(c) != "Mn").lower()
    return "".join(f" {c} " if is_punctuation(c) else c for c in plain).split()


def token_ids(text, vocabulary):
    ids = [vocabulary["[CLS]"]]
    for word in words_of(text):
        pieces, start = [], 0
        while start < len(word) and len(word) <= LONGEST_WORD:
            prefix = "##" if start else ""
            end = next((e for e in range(len(word), start, -1) if prefix + word[start:e] in vocabulary), None)
            if end is None:
                break
            pieces.append(vocabulary[prefix + word[start:end]])
            start = end
        ids += pieces if start == len(word) else [vocabulary["[UNK]"]]
    return ids + [vocabulary["[SEP]"]]


def read_weights(data):
    (length,) = struct.unpack_from("<Q", data)
    weights = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if entry.get("dtype") == "F32":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            weights[name] = numpy.frombuffer(data[begin:end], "<f4").reshape(entry["shape"]).astype("f8")
    return weights


def encode(ids, weights):
    def linear(x, name):
        return x @ weights[name + ".weight"].T + weights[name + ".bias"]

    def layer_norm(x, name):
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        return centred / numpy.sqrt(variance + EPSILON) * weights[name + ".weight"] + weights[name + ".bias"]

    def heads(x):
        return x.reshape(len(ids), HEADS, -1).transpose(1, 0, 2)

    gauss = numpy.vectorize(lambda v: v * 0.5 * (1.0 + math.erf(v / math.sqrt(2.0))))

    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = x + weights["embeddings.token_type_embeddings.weight"][0]
    x = layer_norm(x, "embeddings.LayerNorm")
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        query, key, value = (heads(linear(x, f"{layer}.attention.self.{part}")) for part in ("query", "key", "value"))
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        scores = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        mixed = mixed.transpose(1, 0, 2).reshape(len(ids), -1)
        x = layer_norm(x + linear(mixed, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        inner = gauss(linear(x, f"{layer}.intermediate.dense"))
        x = layer_norm(x + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    mean = x.mean(axis=0)
    return mean / numpy.linalg.norm(mean)


def main(weights_path, tokenizer_path):
    with open(weights_path, "rb") as file:
        data = file.read()
    with open(tokenizer_path, encoding="utf-8") as file:
        vocabulary = json.load(file)["model"]["vocab"]
    weights = read_weights(data)
    rows = []
    for text in SENTENCES:
        ids = token_ids(text, vocabulary)
        vector = [round(float(value), 5) for value in encode(ids, weights)]
        rows.append(json.dumps({"text": text, "tokens": ids, "vector": vector}, ensure_ascii=False, separators=(",", ":")))
    digest = hashlib.sha256(data).hexdigest()
    print(f'{{"model":"all-MiniLM-L6-v2","source_sha256":"{digest}","sentences":[')
    print(",\n".join(rows))
    print("]}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: check_minilm.py model.safetensors tokenizer.json")
    main(*sys.argv[1:])
