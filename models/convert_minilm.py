#!/usr/bin/env python3
"""Convert all-MiniLM-L6-v2 from safetensors to the GGUF that the engine loads.

    convert_minilm.py model.safetensors tokenizer.json output.gguf

Standard library only, and the same bytes on every machine: quantisation is done in IEEE doubles,
no time stamp or path is written. Formats: the GGUF version 3 layout and the Q8_0 block are those
of the GGUF specification; the tensor and key names are what the `bert` architecture of the engine
asks for. Matrices become Q8_0 (blocks of 32 weights: one half-precision scale, 32 signed bytes),
while position and type embeddings, norms and biases stay in 32-bit floats, as they are only added
and take 2 % of the file.
"""

import array
import json
import struct
import sys

MAGIC, VERSION, ALIGNMENT = b"GGUF", 3, 32
F32, Q8_0 = 0, 8
BLOCK = 32
TYPE_UINT32, TYPE_INT32, TYPE_FLOAT32, TYPE_BOOL, TYPE_STRING, TYPE_ARRAY = 4, 5, 6, 7, 8, 9
TOKEN_NORMAL, TOKEN_CONTROL = 1, 3
POOLING_MEAN = 1
FILE_TYPE_MOSTLY_Q8_0 = 7

LAYERS, WIDTH, FEED_FORWARD, HEADS, CONTEXT = 6, 384, 1536, 12, 512

TENSORS = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm": "token_embd_norm",
}
LAYER_TENSORS = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
ADDED_NOT_MULTIPLIED = ("position_embd.weight", "token_types.weight")


def tensor_names():
    """Pairs (name in the safetensors file, name in the GGUF), in file order."""
    for source, target in TENSORS.items():
        if source.endswith(".weight"):
            yield source, target
        else:
            yield from ((f"{source}.{part}", f"{target}.{part}") for part in ("weight", "bias"))
    for layer in range(LAYERS):
        for source, target in LAYER_TENSORS.items():
            for part in ("weight", "bias"):
                yield f"encoder.layer.{layer}.{source}.{part}", f"blk.{layer}.{target}.{part}"


def read_safetensors(path):
    """Returns a function from tensor name to (shape, array of 32-bit floats)."""
    with open(path, "rb") as file:
        data = file.read()
    (header_length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + header_length])
    start = 8 + header_length

    def tensor(name):
        entry = header[name]
        if entry["dtype"] != "F32":
            raise SystemExit(f"{path}: tensor {name} is {entry['dtype']}, expected F32")
        begin, end = entry["data_offsets"]
        values = array.array("f")
        values.frombytes(data[start + begin : start + end])
        if sys.byteorder == "big":
            values.byteswap()
        return entry["shape"], values

    return tensor


def f32_bytes(values):
    if sys.byteorder == "big":
        values = array.array("f", values)
        values.byteswap()
    return values.tobytes()


def q8_0_bytes(values):
    """Symmetric 8-bit blocks: scale = largest magnitude / 127, weight = scale * byte."""
    pack = struct.Struct(f"<e{BLOCK}b").pack
    blocks = []
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK]
        scale = max(max(block), -min(block)) / 127.0
        inverse = 1.0 / scale if scale else 0.0
        blocks.append(pack(scale, *[round(value * inverse) for value in block]))
    return b"".join(blocks)


def string(text):
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


SCALARS = {
    TYPE_UINT32: lambda value: struct.pack("<I", value),
    TYPE_INT32: lambda value: struct.pack("<i", value),
    TYPE_FLOAT32: lambda value: struct.pack("<f", value),
    TYPE_BOOL: lambda value: struct.pack("<?", value),
    TYPE_STRING: string,
}


def entry(key, kind, value):
    return string(key) + struct.pack("<I", kind) + SCALARS[kind](value)


def array_entry(key, kind, values):
    head = string(key) + struct.pack("<IIQ", TYPE_ARRAY, kind, len(values))
    return head + b"".join(map(SCALARS[kind], values))


def vocabulary(tokenizer):
    """Tokens in the engine's spelling: word starts are marked instead of word continuations."""
    ids = {index: token for token, index in tokenizer["model"]["vocab"].items()}
    special = {token["id"] for token in tokenizer["added_tokens"] if token["special"]}
    tokens, kinds = [], []
    for index in range(len(ids)):
        token = ids[index]
        if index in special:
            kinds.append(TOKEN_CONTROL)
        else:
            kinds.append(TOKEN_NORMAL)
            token = token[2:] if token.startswith("##") else "\u2581" + token
        tokens.append(token)
    return tokens, kinds


def metadata(tokenizer):
    tokens, kinds = vocabulary(tokenizer)
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    normalizer = tokenizer["normalizer"]
    lowercase = normalizer["lowercase"]
    # The tokenizer file leaves `strip_accents` empty, which means: as `lowercase`.
    strip_accents = lowercase if normalizer["strip_accents"] is None else normalizer["strip_accents"]
    return [
        entry("general.architecture", TYPE_STRING, "bert"),
        entry("general.name", TYPE_STRING, "all-MiniLM-L6-v2"),
        entry("general.license", TYPE_STRING, "apache-2.0"),
        entry("general.file_type", TYPE_UINT32, FILE_TYPE_MOSTLY_Q8_0),
        entry("general.quantization_version", TYPE_UINT32, 2),
        entry("general.alignment", TYPE_UINT32, ALIGNMENT),
        entry("bert.block_count", TYPE_UINT32, LAYERS),
        entry("bert.context_length", TYPE_UINT32, CONTEXT),
        entry("bert.embedding_length", TYPE_UINT32, WIDTH),
        entry("bert.feed_forward_length", TYPE_UINT32, FEED_FORWARD),
        entry("bert.attention.head_count", TYPE_UINT32, HEADS),
        entry("bert.attention.layer_norm_epsilon", TYPE_FLOAT32, 1e-12),
        entry("bert.attention.causal", TYPE_BOOL, False),
        entry("bert.pooling_type", TYPE_UINT32, POOLING_MEAN),
        entry("tokenizer.ggml.model", TYPE_STRING, "bert"),
        entry("tokenizer.ggml.pre", TYPE_STRING, "default"),
        entry("tokenizer.ggml.token_type_count", TYPE_UINT32, 2),
        entry("tokenizer.ggml.normalizer.lowercase", TYPE_BOOL, lowercase),
        entry("tokenizer.ggml.normalizer.strip_accents", TYPE_BOOL, strip_accents),
        entry("tokenizer.ggml.bos_token_id", TYPE_UINT32, special["[CLS]"]),
        entry("tokenizer.ggml.unknown_token_id", TYPE_UINT32, special["[UNK]"]),
        entry("tokenizer.ggml.seperator_token_id", TYPE_UINT32, special["[SEP]"]),
        entry("tokenizer.ggml.padding_token_id", TYPE_UINT32, special["[PAD]"]),
        entry("tokenizer.ggml.mask_token_id", TYPE_UINT32, special["[MASK]"]),
        array_entry("tokenizer.ggml.tokens", TYPE_STRING, tokens),
        array_entry("tokenizer.ggml.token_type", TYPE_INT32, kinds),
    ]


def padding(length):
    return b"\0" * (-length % ALIGNMENT)


def convert(safetensors_path, tokenizer_path, output_path):
    with open(tokenizer_path, encoding="utf-8") as file:
        entries = metadata(json.load(file))
    tensor = read_safetensors(safetensors_path)

    descriptions, blobs, offset = [], [], 0
    for source, target in tensor_names():
        shape, values = tensor(source)
        multiplied = len(shape) == 2 and target not in ADDED_NOT_MULTIPLIED
        kind = Q8_0 if multiplied else F32
        blob = q8_0_bytes(values) if multiplied else f32_bytes(values)
        # GGUF lists the fastest-varying dimension first.
        description = string(target) + struct.pack("<I", len(shape))
        description += struct.pack(f"<{len(shape)}Q", *reversed(shape))
        descriptions.append(description + struct.pack("<IQ", kind, offset))
        blobs.append(blob + padding(len(blob)))
        offset += len(blobs[-1])

    head = MAGIC + struct.pack("<IQQ", VERSION, len(descriptions), len(entries))
    head += b"".join(entries) + b"".join(descriptions)
    with open(output_path, "wb") as file:
        file.write(head + padding(len(head)))
        file.writelines(blobs)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit("usage: convert_minilm.py model.safetensors tokenizer.json output.gguf")
    convert(*sys.argv[1:])
