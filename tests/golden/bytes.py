"""Compares two builds of the program byte by byte: what they train, translate, convert and resume.

    bytes.py record PROGRAM OUT.json [--gpu FOLDER --nvrtc FOLDER] [--from KEPT]
    bytes.py compare OUT1.json OUT2.json [--shared]
    bytes.py keep PROGRAM KEPT

A change that must not alter any result is proved so: `record` with the program built before the
change and with the one built after it, on one machine, then `compare`. It names each difference
and exits with 1 if there is one. No hashes are committed, because the last bits of a sum depend on
the machine's instruction set: the script compares two programs on one machine, not one program
with a file.

`record` trains small networks on a few pictures of samples/atlas (the program crops and resizes
them) and on pictures given by a formula, in a temporary folder, and writes for every run

    values   SHA-256 of each tensor (with its type and extents) of every .safetensors file, of the
             run's last sample sheet, of each translated picture and of each .pth; losses, learning
             rates and scores as metrics.jsonl spells them; exit codes of refused commands; without
             times and without metadata, to which keys may be added. Any difference fails.
    text     what is printed by `train`, `describe`, `train --print-program` and `--help`, messages
             of refused commands, metadata of the files. Differences are shown and do not fail.

Runs that must agree with each other (one thread and all, stopped and straight, with and without
CUDA graphs) are compared by `record` itself, which exits with 1 if they differ.

--gpu    the folder of libcuda.so of softgpu (`cargo build --release -p softgpu-driver` puts it in
         target/release): adds runs with `--device cuda`. Nothing may be found by softgpu's checks.
--nvrtc  the folder of libnvrtc.so.13, needed with --gpu; `tools/provide-cuda` says where it is.
         Kernels are compiled anew each time, into the temporary folder.
--from   a folder written by `keep` with an older program: its runs are copied, resumed and used for
         translation. What the older program made of them stands in KEPT/resumed.json; a difference
         is named, and `record` exits with 1.
--shared compares only the runs that both files have.

Python 3.11 and its standard library are enough. On two cores with AVX-512 `record` took 110 s with
softgpu, 30 s without.
"""

import argparse
import collections
import difflib
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# A network that takes milliseconds a step and is deep enough for dropout.
SMALL = "--size 64 --base-channels 8"

# name: data folder and flags of `train` on the CPU.
CPU = {
    # U-Net: norms, losses, distances, patches, batch sizes.
    "unet-batch": ("atlas", f"{SMALL} --patch 34 --steps 6"),
    "unet-batch-one-thread": ("atlas", f"{SMALL} --patch 34 --steps 6 --threads 1"),
    "unet-instance-lsgan": ("atlas", f"{SMALL} --norm instance --gan lsgan --patch 70 --steps 6"),
    "unet-no-norm-l2": ("atlas", f"{SMALL} --norm none --distance l2 --patch 16 --steps 6"),
    "unet-unconditional": (
        "atlas",
        f"{SMALL} --unconditional --gan lsgan --batch-size 2 --patch 16 --steps 6",
    ),
    "unet-pixel-b2a": ("atlas", f"{SMALL} --patch 1 --batch-size 3 --direction b2a --steps 5"),
    "unet-no-gan": ("atlas", f"{SMALL} --gan none --no-jitter --no-flip --steps 6"),
    "unet-gan-alone": ("atlas", f"{SMALL} --distance none --patch 34 --no-dropout --steps 6"),
    "unet-instance-batch-3": (
        "atlas",
        f"{SMALL} --norm instance --batch-size 3 --patch 34 --distance l2 --lambda-l1 10 --steps 5",
    ),
    "unet-depth": (
        "pairs",
        "--size 96 --depth 5 --base-channels 6 --discriminator-channels 10 --steps 4 --seed 7",
    ),
    # Encoder-decoder.
    "encoder-decoder-batch": (
        "atlas",
        f"{SMALL} --generator encoder-decoder --patch 34 --batch-size 2 --steps 5",
    ),
    "encoder-decoder-instance": (
        "atlas",
        f"{SMALL} --generator encoder-decoder --norm instance --gan lsgan --unconditional "
        "--direction b2a --patch 16 --steps 6",
    ),
    "encoder-decoder-no-norm": (
        "pairs",
        f"{SMALL} --generator encoder-decoder --norm none --gan none --distance l2 --no-shuffle "
        "--batch-size 3 --steps 5",
    ),
    # Length, schedules, validation, saving.
    "schedule-linear": (
        "atlas",
        f"{SMALL} --patch 16 --epochs 4 --full-epochs 1 --decay-epochs 3 --lr 1e-3 --beta1 0.9",
    ),
    "schedule-step": ("atlas", f"{SMALL} --patch 16 --schedule step --full-epochs 1 --epochs 3"),
    "schedule-cosine": (
        "atlas",
        f"{SMALL} --patch 16 --schedule cosine --epochs 4 --val-every 2 --save-every 3 "
        "--batch-size 2 --seed 18446744073709551615",
    ),
    "schedule-constant": (
        "atlas",
        f"{SMALL} --patch 16 --schedule constant --steps 7 --val-every 0 --seed 1",
    ),
    # Other data: no pictures for validation, folders A and B of many formats, a broken picture.
    "data-pairs": ("pairs", f"{SMALL} --patch 34 --batch-size 2 --no-shuffle --no-flip --steps 5"),
    "data-formats": ("formats", f"{SMALL} --patch 16 --steps 6 --no-jitter"),
    "data-formats-jitter": ("formats", f"{SMALL} --patch 16 --steps 6 --batch-size 2"),
    "data-skip-bad": ("broken", f"{SMALL} --patch 16 --skip-bad --steps 4"),
    # First values from PyTorch's files.
    "init-pth": (
        "atlas",
        "--size 32 --depth 5 --base-channels 2 --discriminator-channels 4 --patch 70 --steps 4 "
        "--init-generator pth/unet5_batch.pth --init-discriminator pth/patch3_batch.pth",
    ),
    "init-pth-instance": (
        "atlas",
        "--size 32 --depth 5 --base-channels 1 --discriminator-channels 2 --norm instance "
        "--patch 70 --gan lsgan --unconditional --steps 4 "
        "--init-generator pth/unet5_instance_2018.pth --init-discriminator pth/patch3_instance.pth",
    ),
    # Wide layers take other ways through a convolution than narrow ones.
    "wide": ("atlas", "--size 128 --base-channels 32 --batch-size 2 --steps 3"),
    "wide-encoder-decoder": (
        "atlas",
        "--size 128 --base-channels 32 --generator encoder-decoder --norm instance --steps 2",
    ),
    "defaults": ("pairs", "--steps 2"),
}

# name: data, flags until the stop, flags with --resume, the straight run that it must equal.
STOPPED = {
    "stopped-steps": ("atlas", f"{SMALL} --patch 34 --steps 3", "--steps 6", "unet-batch"),
    "stopped-epochs": (
        "atlas",
        f"{SMALL} --patch 16 --epochs 2 --full-epochs 1 --decay-epochs 3 --lr 1e-3 --beta1 0.9",
        "--epochs 4",
        "schedule-linear",
    ),
    "stopped-formats": (
        "formats",
        f"{SMALL} --patch 16 --steps 2 --batch-size 2",
        "--steps 6",
        "data-formats-jitter",
    ),
}

# name: the card that softgpu poses as, and flags of `train`; on pictures of "atlas".
TINY = "--size 32 --base-channels 8"
GPU = {
    "gpu-f32": ("a100", f"{TINY} --precision f32 --patch 16 --steps 6"),
    "gpu-f32-no-graph": ("a100", f"{TINY} --precision f32 --patch 16 --steps 6 --no-graph"),
    "gpu-f32-no-norm": (
        "a100",
        f"{TINY} --steps 3 --precision f32 --norm none --gan none --distance l2 --batch-size 3",
    ),
    "gpu-tf32": ("a100", f"{TINY} --steps 3 --precision tf32 --patch 34 --batch-size 2"),
    "gpu-tf32-instance": (
        "a100",
        f"{TINY} --steps 3 --precision tf32 --norm instance --gan lsgan --patch 16 --unconditional",
    ),
    "gpu-tf32-encoder-decoder": (
        "a100",
        f"{TINY} --steps 3 --precision tf32 --generator encoder-decoder --patch 1 --direction b2a",
    ),
    "gpu-bf16": ("a100", f"{TINY} --steps 3 --precision bf16 --patch 16"),
    "gpu-bf16-no-graph": ("a100", f"{TINY} --steps 3 --precision bf16 --patch 16 --no-graph"),
    "gpu-bf16-instance": (
        "a100",
        f"{TINY} --steps 3 --precision bf16 --norm instance --batch-size 2 --patch 34 --gan lsgan",
    ),
    "gpu-bf16-wide": ("a100", "--size 64 --base-channels 16 --precision bf16 --steps 2"),
    "gpu-t4": ("t4", f"{TINY} --steps 3 --precision f32 --patch 16 --norm instance"),
}

# Pairs of runs with one result.
EQUAL = [("unet-batch", "unet-batch-one-thread")]
EQUAL += [(straight, name) for name, (*_, straight) in STOPPED.items()]
EQUAL += [("gpu-f32", "gpu-f32-no-graph"), ("gpu-f32", "gpu-stopped")]
EQUAL += [("gpu-bf16", "gpu-bf16-no-graph")]

# name: flags of a run that `keep` leaves behind, and flags with --resume.
KEPT = {
    "kept-unet": (f"{SMALL} --patch 34 --steps 7", "--steps 12"),
    "kept-encoder-decoder": (
        f"{SMALL} --generator encoder-decoder --norm instance --gan lsgan --unconditional "
        "--direction b2a --batch-size 2 --patch 16 --distance l2 --epochs 2",
        "--epochs 4",
    ),
}
KEPT_FILES = [
    "checkpoints/latest.safetensors",
    "best.safetensors",
    "model.safetensors",
    "metrics.jsonl",
]

# Commands whose output is text.
DESCRIBED = [
    "--help",
    "train --help",
    "translate --help",
    "convert --help",
    "describe --help",
    "verify --help",
    "describe",
    "describe --generator encoder-decoder --norm instance --size 128 --patch 286",
    "describe --gan none --norm none --depth 5",
    "describe unet-batch",
    "describe encoder-decoder-instance/checkpoints/latest.safetensors",
    "describe pth/patch5_batch.pth",
    f"train atlas --out none --device cpu --print-program {SMALL} --patch 34",
    "train atlas --out none --device cpu --print-program --batch-size 2 --gan lsgan "
    f"--generator encoder-decoder --norm instance {SMALL} --patch 16",
    f"train atlas --out none --device cpu --print-program --gan none --norm none {SMALL}",
]

# Commands that are refused. The exit code is a value, the message is text.
REFUSED = [
    "train nowhere --out none --device cpu",
    f"train broken --out broken-run --device cpu {SMALL}",
    "train atlas --out none --device cpu --size 50",
    "train atlas --out none --device cpu --gan none --distance none",
    "train atlas --out none --device cpu --size 32 --patch 286",
    "train atlas --out unet-batch --device cpu",
    "train atlas --resume unet-batch --device cpu --norm none",
    "train atlas --resume unet-batch --device cpu --steps 2",
    f"train atlas --out none --device cpu {SMALL} --init-generator pth/unet5_batch.pth",
    "train atlas --out none --device cpu --precision bf16",
    "translate unet-instance-lsgan odd --norm running --device cpu",
    "translate pth/patch3_batch.pth odd --device cpu",
    "translate unet-batch odd/37x45.png --output none.heic --device cpu",
    "translate unet-batch odd/37x45.png --output none.png --pairs --device cpu",
    "convert unet-batch none.onnx",
    "convert encoder-decoder-instance none.pth",
    "convert atlas/train/001.jpg none.pth",
]


def sha(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


# Pictures.


def png(path, width, height, tag, channels=3, bits=8):
    """Writes a picture that is a function of its size and `tag`: slopes and a product, so that no
    two crops, mirrored pictures or halves are equal. 1 to 4 channels are grey, grey and alpha, RGB,
    RGBA; bits are 8 or 16."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            slopes = [x * 7 + y * 3 + tag * 40, x * 2 + y * 5 + tag * 11, x * y // 4 + tag]
            alpha = 255 - (x + y) % 128
            values = [slopes[0], alpha] if channels == 2 else [*slopes, alpha][:channels]
            for value in values:
                value = value if bits == 8 else value * 263 + x
                rows += (value % (1 << bits)).to_bytes(bits // 8, "big")
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b"")]
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in chunks:
            crc = struct.pack(">I", zlib.crc32(kind + data))
            file.write(struct.pack(">I", len(data)) + kind + data + crc)


def make_data(folder):
    """Data folders (atlas, pairs, formats, broken), pictures to translate (odd, kinds), and pth."""
    atlas = ROOT / "samples" / "atlas"
    train = sorted((atlas / "train").glob("*.jpg"))[:5]
    copies = {"atlas/train": train, "atlas/val": sorted((atlas / "val").glob("*.jpg"))[:2]}
    copies |= {"pairs": train[:3], "broken": train[:3]}
    for name, pictures in copies.items():
        (folder / name).mkdir(parents=True)
        for picture in pictures:
            shutil.copy(picture, folder / name)
    shutil.copytree(ROOT / "tests" / "golden" / "pth", folder / "pth")
    cut = folder / "broken" / train[1].name
    cut.write_bytes(cut.read_bytes()[:-2000])
    # Sizes above and below --size, upright and lying; every kind of PNG.
    kinds = [(80, 70, 3, 8), (64, 64, 1, 8), (50, 90, 4, 8), (101, 67, 3, 16), (72, 72, 2, 8)]
    for i, (width, height, channels, bits) in enumerate(kinds):
        png(folder / f"formats/A/{i}.png", width, height, i, channels, bits)
        png(folder / f"formats/B/{i}.png", width, height, i + 9)
    for i, (width, height) in enumerate([(37, 45), (65, 51), (129, 97)]):
        png(folder / f"odd/{width}x{height}.png", width, height, i + 20)
    for i, (_, _, channels, bits) in enumerate(kinds):
        png(folder / f"kinds/{i}.png", 41 + i, 33, i + 30, channels, bits)


# Running the program, and what a run left.


class Failed(Exception):
    """A command that had to end well and did not."""


class Program:
    """A built program that runs in a folder of its own."""

    def __init__(self, path, folder, gpu=None, nvrtc=None):
        self.path = Path(path).resolve()
        self.folder = folder
        self.gpu = Path(gpu).resolve() if gpu else None
        self.nvrtc = Path(nvrtc).resolve() if nvrtc else None
        make_data(folder)

    def environment(self, card):
        """For the CPU alone, or for softgpu posing as `card`. SOFTGPU_PRINT prints what its checks
        find to stderr, where `ok` refuses any line."""
        mine = {k: v for k, v in os.environ.items() if not k.startswith(("SOFTGPU_", "PIX2PIX_"))}
        if card is None:
            mine.pop("LD_LIBRARY_PATH", None)
            mine["CUDA_VISIBLE_DEVICES"] = ""
            return mine
        mine.pop("CUDA_VISIBLE_DEVICES", None)
        mine["LD_LIBRARY_PATH"] = str(self.gpu)
        mine["PIX2PIX_NVRTC"] = str(self.nvrtc / "libnvrtc.so.13")
        mine["PIX2PIX_CACHE"] = str(self.folder / "compiled")
        mine["SOFTGPU_PRINT"] = "1"
        mine["SOFTGPU_DEVICE"] = card
        return mine

    def run(self, line, card=None):
        return subprocess.run(
            [self.path, *line.split()],
            cwd=self.folder,
            env=self.environment(card),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def ok(self, line, card=None):
        """What the program prints; it must end well and say nothing on stderr."""
        done = self.run(line, card)
        if done.returncode != 0 or done.stderr:
            raise Failed(f"`{line}` ended with code {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def train(self, name, line, card=None):
        """Trains or goes on, translates with the model, and returns the entry of the run."""
        out = self.ok(f"train {line} --out {name} {device(card)}", card)
        found = entry(self.folder / name)
        found["text"]["train"] = without_speed(out)
        found["values"] |= self.translate(name, "odd", precision(line), card)[0]
        return found

    def translate(self, model, pictures, flags="", card=None):
        """Hashes of the translated pictures by name, and what was printed."""
        to = self.folder / "translated"
        shutil.rmtree(to, ignore_errors=True)
        line = f"translate {model} {pictures} --output {to.name} {flags}"
        out = self.ok(f"{line} {device(card)}", card)
        hashes = {path.name: sha(path.read_bytes()) for path in sorted(to.iterdir())}
        return prefixed("translated", hashes), out


def device(card):
    return "--device cuda" if card else "--device cpu"


def precision(line):
    """The flag --precision of a command line, which a later command takes as well."""
    words = line.split()
    at = words.index("--precision") if "--precision" in words else len(words)
    return " ".join(words[at : at + 2])


def without_speed(printed):
    """What `train` prints, without the lines of steps, which hold a speed."""
    lines = printed.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("step "))


def prefixed(prefix, values):
    return {f"{prefix}: {key}": value for key, value in values.items()}


def entry(run):
    """The values and the text of a run's folder."""
    found = {"values": {}, "text": {}}
    for path in sorted(run.rglob("*.safetensors")):
        add_tensors(found, path, path.relative_to(run).as_posix())
    sheets = sorted((run / "samples").glob("*.png"))
    # Earlier sheets depend on where a run was stopped, and on how long it took.
    if sheets:
        found["values"][f"samples/{sheets[-1].name}"] = sha(sheets[-1].read_bytes())
    lines = (run / "metrics.jsonl").read_text().splitlines()
    found["values"]["metrics: lines"] = str(len(lines))
    for line in lines:
        # Numbers stay as they are spelt.
        fields = json.loads(line, parse_float=str, parse_int=str)
        fields.pop("seconds", None)
        step = fields.pop("step")
        if scores := fields.pop("validation", None):
            fields = {f"validation {name}": score for name, score in scores.items()} | fields
            step += " validated"
        for name, value in fields.items():
            found["values"][f"metrics: step {step}: {name}"] = value
    return found


def add_tensors(found, path, name):
    """Hashes each tensor of a safetensors file; its metadata is text."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = {key: expanded(value) for key, value in header.pop("__metadata__", {}).items()}
    found["text"][f"metadata of {name}"] = json.dumps(metadata, indent=1, sort_keys=True)
    bytes_of = memoryview(data)[8 + length :]
    for tensor, about in header.items():
        start, end = about["data_offsets"]
        kind = f"{about['dtype']} {about['shape']} ".encode()
        found["values"][f"{name}: {tensor}"] = sha(kind, bytes_of[start:end])


def expanded(text):
    """Metadata is JSON inside strings; spread over lines, a difference is short."""
    try:
        return json.loads(text)
    except ValueError:
        return text


# Whole jobs of `record`: each returns an entry.


def stopped(program, name, data, first, then, card=None):
    """A run in two parts, of which the second is begun from the checkpoint's path."""
    program.ok(f"train {data} --out {name} {device(card)} {first}", card)
    resume = f"--resume {name}/checkpoints/latest.safetensors"
    return program.train(name, f"{data} {resume} {then} {precision(first)}", card)


def init_run(program):
    """A run whose first values are those of another run."""
    flags = f"{SMALL} --patch 34 --steps 4 --init-generator unet-batch"
    return program.train("init-run", f"atlas {flags} --init-discriminator unet-batch")


def translations(program):
    """Models of every kind of file, and one in every way that `translate` has."""
    values, text = {}, {}
    ways = ["--norm running", "--dropout on --seed 9", "--norm running --dropout on --seed 3"]
    for flags in ["", "--threads 1", *ways]:
        values |= prefixed(flags, program.translate("unet-batch", "odd kinds", flags)[0])
    models = ["unet-batch/checkpoints/latest.safetensors", "unet-batch/best.safetensors"]
    for model in [*models, "pth/unet5_batch.pth", "pth/unet8_batch_half.pth"]:
        values |= prefixed(model, program.translate(model, "odd")[0])
    for name in ["one.jpg", "one.bmp", "one.tiff", "one.webp"]:
        program.ok(f"translate unet-batch odd/65x51.png --output {name} --device cpu")
        values[name] = sha((program.folder / name).read_bytes())
    for model in ["unet-batch", "encoder-decoder-instance"]:
        hashes, out = program.translate(model, "atlas/val", "--pairs")
        values |= prefixed(f"{model} --pairs", hashes)
        # The numbers are values, whatever the words around them are.
        text[f"scores of {model}"] = scores = out.splitlines()[-1]
        numbers = [word.strip(",:") for word in scores.split() if word[0].isdigit()]
        values[f"scores of {model}"] = " ".join(numbers)
    return {"values": values, "text": text}


def conversions(program):
    """Every golden .pth to .safetensors and back, and two runs to .pth and back."""
    found = {"values": {}, "text": {}}
    golden = sorted((program.folder / "pth").glob("*.pth"))
    sources = {path.stem: f"pth/{path.name}" for path in golden}
    sources |= {name: name for name in ["unet-batch", "unet-instance-lsgan"]}
    sources["checkpoint"] = "unet-batch/checkpoints/latest.safetensors"
    for name, source in sources.items():
        steps = [f"{name}.safetensors", f"{name}.pth", f"{name}-back.safetensors"]
        for target in steps:
            program.ok(f"convert {source} converted-{target}")
            source = f"converted-{target}"
            path = program.folder / source
            if path.suffix == ".pth":
                found["values"][target] = sha(path.read_bytes())
            else:
                add_tensors(found, path, target)
    return found


def gpu_translations(program):
    """A model that the CPU trained, translated by softgpu in every way."""
    values = {}
    for flags in ["f32", "bf16 --norm running", "tf32 --dropout on --seed 9", "bf16 --no-graph"]:
        line = ("unet-batch", "odd/37x45.png odd/65x51.png", f"--precision {flags}", "a100")
        values |= prefixed(flags, program.translate(*line)[0])
    return {"values": values, "text": {}}


def gpu_verify(program):
    """What `verify` compares, and how far apart GPU and CPU are."""
    line = f"verify --device cuda --precision f32 --verbose {TINY} --patch 16"
    return {"values": {}, "text": {"verify": program.ok(line, "a100")}}


def texts(program):
    """What is printed, and what is refused."""
    found = {"values": {}, "text": {}}
    for line in DESCRIBED:
        found["text"][line] = program.ok(line)
    for line in REFUSED:
        done = program.run(line)
        found["values"][f"exit code of {line}"] = str(done.returncode)
        found["text"][line] = without_speed(done.stdout) + done.stderr
    left = sorted(path.name for path in program.folder.glob("none*"))
    found["values"]["files left by what was refused"] = " ".join(left)
    return found


def resumed(program, kept, name):
    """Copies a run that `keep` left, translates with each of its files and goes on with it."""
    shutil.copytree(kept / name, program.folder / name)
    before = {}
    for file in ["model", "best", "checkpoints/latest"]:
        hashes = program.translate(f"{name}/{file}.safetensors", "odd")[0]
        before |= prefixed(f"before, {file}", hashes)
    found = program.train(name, f"atlas --resume {name} {KEPT[name][1]}")
    found["values"] |= before
    return found


def resumed_jobs(program, kept):
    return {name: lambda n=name: resumed(program, kept, n) for name in KEPT}


# The three commands.


def perform(jobs):
    """Runs the jobs in order and prints a line each. Jobs that fail are named in `failed`, and the
    others go on."""
    entries, failed = {}, []
    for name, job in jobs.items():
        begun = time.monotonic()
        try:
            found = job()
        except (Failed, FileNotFoundError) as error:
            failed.append(f"{name}: {error}")
            found = {"values": {}, "text": {}}
        seconds = time.monotonic() - begun
        entries[name] = {"seconds": round(seconds, 2), **found}
        print(f"{name:28} {len(found['values']):4} values {seconds:6.1f} s", flush=True)
    return entries, failed


def record(args):
    if args.gpu and not (args.nvrtc and (Path(args.nvrtc) / "libnvrtc.so.13").exists()):
        sys.exit("--gpu needs --nvrtc FOLDER with libnvrtc.so.13 in it; see tools/provide-cuda")
    if args.gpu and not (Path(args.gpu) / "libcuda.so").exists():
        sys.exit(f"--gpu {args.gpu}: there is no libcuda.so in it")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bytes-") as folder:
        program = Program(args.program, Path(folder), args.gpu, args.nvrtc)
        jobs = {}
        for name, (data, flags) in CPU.items():
            jobs[name] = lambda n=name, d=data, f=flags: program.train(n, f"{d} {f}")
        for name, (data, first, then, _) in STOPPED.items():
            jobs[name] = lambda n=name, p=(data, first, then): stopped(program, n, *p)
        jobs["init-run"] = lambda: init_run(program)
        jobs["translations"] = lambda: translations(program)
        jobs["conversions"] = lambda: conversions(program)
        jobs["texts"] = lambda: texts(program)
        if args.kept:
            jobs |= resumed_jobs(program, Path(args.kept))
        if args.gpu:
            for name, (card, flags) in GPU.items():
                flags = f"atlas {flags}"
                jobs[name] = lambda n=name, f=flags, c=card: program.train(n, f, c)
            first = GPU["gpu-f32"][1].replace("--steps 6", "--steps 2")
            parts = ("atlas", first, "--steps 6", "a100")
            jobs["gpu-stopped"] = lambda: stopped(program, "gpu-stopped", *parts)
            jobs["gpu-translations"] = lambda: gpu_translations(program)
            jobs["gpu-verify"] = lambda: gpu_verify(program)
        runs, failed = perform(jobs)
    write(Path(args.out), runs)
    for a, b in EQUAL:
        if a in runs and b in runs:
            failed += [f"{a} and {b}, {what}" for what in differences(runs[a], runs[b])]
    if args.kept:
        old = json.loads((Path(args.kept) / "resumed.json").read_text())["runs"]
        failed += compare_runs(old, {name: runs[name] for name in KEPT})
    values = sum(len(run["values"]) for run in runs.values())
    print(f"{len(runs)} runs, {values} values, {time.monotonic() - begun:.0f} s: {args.out}")
    report(failed)


def keep(args):
    kept = Path(args.kept)
    if kept.exists():
        sys.exit(f"{kept} is there already; give another folder")
    lines = ["Runs of an older program, for `tests/golden/bytes.py record --from`.", ""]
    with tempfile.TemporaryDirectory(prefix="bytes-") as folder:
        program = Program(args.program, Path(folder))
        for name, (flags, then) in KEPT.items():
            program.ok(f"train atlas --out {name} --device cpu {flags}")
            for file in KEPT_FILES:
                (kept / name / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(program.folder / name / file, kept / name / file)
            shutil.rmtree(program.folder / name)
            lines.append(f"{name}: `train atlas {flags}`; resumed with `{then}`")
        (kept / "README").write_text(
            "\n".join([*lines, "resumed.json: what the older program made of them", ""])
        )
        runs, failed = perform(resumed_jobs(program, kept))
        write(kept / "resumed.json", runs)
        report(failed)


def compare(args):
    old, new = (json.loads(Path(path).read_text())["runs"] for path in (args.first, args.second))
    shared = [name for name in old if name in new]
    if args.shared:
        old, new = ({name: runs[name] for name in shared} for runs in (old, new))
    failed = compare_runs(old, new)
    for name in shared:
        show_texts(name, old[name]["text"], new[name]["text"])
    values = sum(len(old[name]["values"]) for name in shared)
    print(f"{len(shared)} runs, {values} values compared")
    report(failed)


def write(path, runs):
    path.write_text(json.dumps({"runs": runs}, indent=1))


def compare_runs(old, new):
    failed = [f"{name}: only in the first" for name in old if name not in new]
    failed += [f"{name}: only in the second" for name in new if name not in old]
    for name in old:
        if name in new:
            failed += [f"{name}, {what}" for what in differences(old[name], new[name])]
    return failed


def differences(a, b):
    """Each value that two entries do not share, in words."""
    a, b = a["values"], b["values"]
    found = [f"{key}: only in the first" for key in a if key not in b]
    found += [f"{key}: only in the second" for key in b if key not in a]
    found += [f"{k}: {a[k][:20]} and {b[k][:20]}" for k in a if k in b and a[k] != b[k]]
    return found


def show_texts(name, a, b, most=12):
    """Prints where texts differ, at most `most` lines of each."""
    for key in sorted({*a, *b}):
        if key not in a or key not in b:
            print(f"text     {name}, {key}: only in the {'first' if key in a else 'second'}")
        elif a[key] != b[key]:
            lines = difflib.unified_diff(a[key].splitlines(), b[key].splitlines(), n=0, lineterm="")
            # Without the two lines of file names, and without those that only say where.
            lines = [line for line in list(lines)[2:] if not line.startswith("@@")]
            print(f"text     {name}, {key}: {len(lines)} lines of difference")
            for line in lines[:most]:
                print(f"    {line}")


def report(failed):
    for line in failed:
        print(f"DIFFERS  {line}")
    if failed:
        counts = collections.Counter(re.split("[:,] ", line)[0] for line in failed)
        print("in all   " + ", ".join(f"{name} {count}" for name, count in counts.items()))
        sys.exit(1)
    print("no difference")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("record")
    one.add_argument("program")
    one.add_argument("out", metavar="OUT.json")
    one.add_argument("--gpu", metavar="FOLDER")
    one.add_argument("--nvrtc", metavar="FOLDER")
    one.add_argument("--from", metavar="KEPT", dest="kept")
    one.set_defaults(do=record)
    two = commands.add_parser("compare")
    two.add_argument("first", metavar="OUT1.json")
    two.add_argument("second", metavar="OUT2.json")
    two.add_argument("--shared", action="store_true")
    two.set_defaults(do=compare)
    three = commands.add_parser("keep")
    three.add_argument("program")
    three.add_argument("kept", metavar="KEPT")
    three.set_defaults(do=keep)
    args = parser.parse_args()
    args.do(args)


if __name__ == "__main__":
    main()
