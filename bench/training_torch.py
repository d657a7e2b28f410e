"""Seconds per training step in PyTorch: the other half of the comparison (see README.md).

The same step as `crates/quartet-train/examples/training_step.rs`: a decoder of the same shapes with
random weights (time does not depend on their values), frozen, trained by LoRA or through one
injected row. Nothing is computed that the step does not need: frozen weights ask for no gradient,
the head sees only the rows that are predicted. Prints one line of JSON.
"""

import argparse
import json
import math
import resource
import time

import torch
import torch.nn.functional as F

SHAPES = {
    "gemma": dict(layers=18, width=640, heads=4, shared=1, length=256, inner=2048, vocabulary=262144),
    "qwen": dict(layers=24, width=896, heads=14, shared=2, length=64, inner=4864, vocabulary=151936),
}
READOUT = 640


def matrix(rows, columns, kind):
    return torch.empty(rows, columns).normal_(0, 0.02).to(kind)


class Linear:
    def __init__(self, inputs, outputs, kind, bias=False):
        self.weight = matrix(outputs, inputs, kind)
        self.bias = torch.zeros(outputs, dtype=kind) if bias else None
        self.a = self.b = None

    def adapt(self, rank):
        outputs, inputs = self.weight.shape
        self.a = torch.empty(rank, inputs).uniform_(-1, 1).div_(math.sqrt(inputs)).requires_grad_()
        self.b = torch.zeros(outputs, rank).requires_grad_()
        return [self.a, self.b]

    def __call__(self, x):
        y = F.linear(x, self.weight, self.bias)
        if self.a is not None:
            narrow = F.linear(x, self.a.to(x.dtype))
            y = y + F.linear(narrow, self.b.to(x.dtype)) * 2.0
        return y


class Decoder:
    def __init__(self, name, kind):
        self.name, self.shape = name, SHAPES[name]
        s = self.shape
        query, shared = s["heads"] * s["length"], s["shared"] * s["length"]
        bias = name == "qwen"
        self.head = matrix(s["vocabulary"], s["width"], kind)
        self.blocks = [
            dict(
                q=Linear(s["width"], query, kind, bias),
                k=Linear(s["width"], shared, kind, bias),
                v=Linear(s["width"], shared, kind, bias),
                o=Linear(query, s["width"], kind),
                gate=Linear(s["width"], s["inner"], kind),
                up=Linear(s["width"], s["inner"], kind),
                down=Linear(s["inner"], s["width"], kind),
            )
            for _ in range(s["layers"])
        ]
        self.norm = torch.ones(s["width"], dtype=kind)
        self.head_norm = torch.ones(s["length"], dtype=kind)

    def angles(self, start, count):
        half = self.shape["length"] // 2
        frequency = 1e6 ** (-torch.arange(half).float() / half)
        angle = torch.arange(start, start + count).float()[:, None] * frequency[None]
        kind = self.head.dtype
        return torch.cat([angle, angle], 1).cos().to(kind), torch.cat([angle, angle], 1).sin().to(kind)

    def normalise(self, x, weight):
        return F.rms_norm(x, (x.shape[-1],), weight, 1e-6)

    def run(self, x, start=0, earlier=None, keep=False):
        s, gemma = self.shape, self.name == "gemma"
        rows = x.shape[0]
        cosine, sine = self.angles(start, rows)

        def turn(h):
            first, second = h.chunk(2, -1)
            return h * cosine + torch.cat([-second, first], -1) * sine

        mask = None
        if earlier is not None:
            mask = torch.ones(rows, start + rows, dtype=torch.bool).tril(start)
        kept = []
        for index, block in enumerate(self.blocks):
            n = self.normalise(x, self.norm)
            q = block["q"](n).view(rows, s["heads"], s["length"])
            k = block["k"](n).view(rows, s["shared"], s["length"])
            v = block["v"](n).view(rows, s["shared"], s["length"]).transpose(0, 1)
            if gemma:
                q, k = self.normalise(q, self.head_norm), self.normalise(k, self.head_norm)
            q, k = turn(q.transpose(0, 1)), turn(k.transpose(0, 1))
            if keep:
                kept.append((k, v))
            if earlier is not None:
                k = torch.cat([earlier[index][0], k], 1)
                v = torch.cat([earlier[index][1], v], 1)
            mixed = F.scaled_dot_product_attention(
                q[None], k[None], v[None], attn_mask=mask, is_causal=mask is None, enable_gqa=True
            )[0]
            out = block["o"](mixed.transpose(0, 1).reshape(rows, -1))
            x = x + (self.normalise(out, self.norm) if gemma else out)
            n = self.normalise(x, self.norm)
            gate = block["gate"](n)
            gate = F.gelu(gate, approximate="tanh") if gemma else F.silu(gate)
            out = block["down"](gate * block["up"](n))
            x = x + (self.normalise(out, self.norm) if gemma else out)
        return x, kept

    def loss(self, hidden, rows, targets):
        logits = F.linear(self.normalise(hidden[rows], self.norm), self.head)
        return F.cross_entropy(logits.float(), targets)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--linears", choices=["all", "qv"], default="all")
    parser.add_argument("--loss", type=int)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--mode", choices=["floats", "projector"], default="floats")
    parser.add_argument("--kind", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    kind = torch.float32 if options.kind == "f32" else torch.bfloat16
    decoder = Decoder(options.shape, kind)
    tokens, width = options.tokens, decoder.shape["width"]
    ids = torch.tensor([1000 + index * 7919 % 20000 for index in range(tokens)])
    predicted = min(options.loss or tokens - 1, tokens - 1)
    rows = slice(tokens - 1 - predicted, tokens - 1)
    targets = ids[tokens - predicted :]
    if options.mode == "projector":
        start = tokens // 2
        with torch.no_grad():
            _, earlier = decoder.run(decoder.head[ids[:start]], keep=True)
        first = torch.empty(width, READOUT).normal_(0, 0.03).requires_grad_()
        second = torch.empty(width, width).normal_(0, 0.03).requires_grad_()
        trained, readout = [first, second], torch.randn(1, READOUT)
        rest = decoder.head[ids[start + 1 :]]
        rows = slice(max(rows.start - start, 0), rows.stop - start)

        def forward():
            row = torch.tanh(readout @ first.T) @ second.T
            hidden, _ = decoder.run(torch.cat([row.to(kind), rest]), start, earlier)
            return decoder.loss(hidden, rows, targets)
    else:
        chosen = ("q", "v") if options.linears == "qv" else tuple(decoder.blocks[0])
        trained = [one for block in decoder.blocks for name in chosen for one in block[name].adapt(options.rank)]
        entering = decoder.head[ids]

        def forward():
            hidden, _ = decoder.run(entering)
            return decoder.loss(hidden, rows, targets)

    optimiser = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.01)
    steps = []
    for _ in range(options.steps):
        wall, processor = time.perf_counter(), time.process_time()
        loss = forward()
        optimiser.zero_grad()
        loss.backward()
        length = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        steps.append(
            dict(
                loss=loss.item(),
                gradient=length.item(),
                wall=time.perf_counter() - wall,
                processor=time.process_time() - processor,
            )
        )
    report = dict(
        engine=f"torch {torch.__version__} {options.kind}",
        trained=sum(one.numel() for one in trained),
        steps=steps,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )
    print(json.dumps(report))


main()
