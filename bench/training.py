"""Training steps, side by side with PyTorch in one run (see README.md).

The engines take turns, so that whatever else the machine does hits all of them. For each the
median step of all rounds is reported; the first two steps of a run warm up and are not counted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    "gemma": "gemma-3-270m-q4_k_m.gguf",
    "qwen": "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
}
WARM_UP = 2
COLUMNS = ("ours", "f32", "bf16")
# Shape, tokens, linears, predicted tokens, mode.
ALL = [
    (shape, tokens, linears, loss, "floats")
    for shape in FILES
    for tokens in (128, 256)
    for linears in ("all", "qv")
    for loss in (None, 24)
]
ALL += [("qwen", tokens, "-", 24, "projector") for tokens in (128, 256)]
QUICK = [one for one in ALL if one[2:4] in (("all", None), ("qv", 24)) or one[4] == "projector"]


def python(folder):
    """A Python that has PyTorch, made on the first run."""
    found = folder / "bin" / "python"
    if not found.exists():
        print(f"installing PyTorch to {folder} (once, some gigabytes)", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([found, "-m", "pip", "install", "--quiet", "torch", "numpy"], check=True)
    return found


def build():
    """Our half, as the workspace builds it. Returns the program."""
    command = ["cargo", "build", "--release", "--workspace", "--example", "training_step"]
    done = subprocess.run(
        [*command, "--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [
        one["executable"]
        for one in lines
        if one.get("target", {}).get("name") == "training_step" and one.get("executable")
    ][-1]


def run(command, threads):
    environment = dict(os.environ)
    if threads:
        environment |= {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    parts = [str(part) for part in command]
    done = subprocess.run(parts, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    models = os.environ.get("QUARTET_MODELS", Path.home() / ".local/share/quartet/models")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the cases")
    parser.add_argument("--only", help="cases whose name contains this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5, help="per round; two of them warm up")
    parser.add_argument("--threads", type=int, help="1: seconds of the processor mean something on a busy machine too")
    parser.add_argument("--skip-bf16", action="store_true")
    parser.add_argument("--models", type=Path, default=Path(models))
    parser.add_argument("--torch", type=Path, default=cache / "quartet-bench-torch")
    parser.add_argument("--program", help="a built training_step; otherwise it is built")
    parser.add_argument("--json", type=Path, help="every single step goes here")
    options = parser.parse_args()
    torch, ours = python(options.torch), options.program or build()
    script = Path(__file__).with_name("training_torch.py")
    ratio = "ours / f32"
    titles = ["case", *(f"{one}, s" for one in COLUMNS), ratio, *(f"{one}, processor s" for one in COLUMNS), ratio]
    titles += [*(f"{one}, peak MB" for one in COLUMNS), "load"]
    print("| " + " | ".join(titles) + " |\n|" + "---|" * len(titles))
    record = []
    for shape, tokens, linears, loss, mode in QUICK if options.quick else ALL:
        name = f"{shape} T{tokens} {linears if mode == 'floats' else mode} loss {loss or 'all'}"
        if options.only and options.only not in name:
            continue
        common = ["--tokens", tokens, "--steps", options.steps, "--mode", mode]
        common += ["--loss", loss] if loss else []
        common += ["--linears", linears] if mode == "floats" else []
        engines = {
            "ours": [ours, options.models / FILES[shape], *common],
            "f32": [torch, script, shape, *common, "--kind", "f32"],
            "bf16": [torch, script, shape, *common, "--kind", "bf16"],
        }
        if options.skip_bf16:
            del engines["bf16"]
        found = {engine: [] for engine in engines}
        for _ in range(options.rounds):
            for engine, command in engines.items():
                found[engine].append(run(command, options.threads))
        cells = [name]
        for key in ("wall", "processor"):
            seconds = {
                engine: statistics.median(step[key] for one in runs for step in one["steps"][WARM_UP:])
                for engine, runs in found.items()
            }
            cells += [f"{seconds[engine]:.2f}" if engine in seconds else "-" for engine in COLUMNS]
            cells.append(f"{seconds['ours'] / seconds['f32']:.2f}")
        peaks = {engine: max(one["peak_mb"] for one in runs) for engine, runs in found.items()}
        cells += [f"{peaks[engine]:.0f}" if engine in peaks else "-" for engine in COLUMNS]
        print("| " + " | ".join([*cells, f"{os.getloadavg()[0]:.1f}"]) + " |", flush=True)
        record.append(dict(case=name, runs=found))
        if options.json:
            options.json.write_text(json.dumps(record, indent=1))


main()
