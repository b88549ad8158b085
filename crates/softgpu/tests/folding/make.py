"""Asks NVIDIA's assembler what instructions on constants give, and writes the answers to table.txt.

Usage: python make.py PATH/TO/ptxas PATH/TO/nvdisasm

ptxas folds many instructions whose operands are constants; the folded value stands in the machine code.
Instructions that it leaves to the device are dropped. Rows: opcode, input widths, output kind, then on each
line the inputs and the result in hexadecimal. Written with ptxas 13.0 and nvdisasm 13.5 for sm_80.
"""
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile

ptxas, nvdisasm = sys.argv[1:3]
rng = random.Random(1)


def f32(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def f64(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


FLOATS = [f32(x) for x in (0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.0, 1.3, -7.75, 0.1, 3e10, -3e10, 65520.0,
                           65519.0, 1e-40, -1e-41, 1e-38, 3.4e38, 255.5, -0.5, 126.0, 16777217.0, 0.999999)]
FLOATS += [0x7F800000, 0xFF800000, 0x7FC00000, 0x3F800001, 0x3F801000, 0x3F803000, 0x3F808000, 0x477FE000]
INTS = [0, 1, 2, 3, 7, 0xFFFFFFFF, 0xFFFFFFF9, 0x80000000, 0x7FFFFFFF, 31, 32, 33, 40, 255, 0xFFFF, 0x12345678]
WIDE = [0, 1, 7, (1 << 64) - 1, (1 << 64) - 7, 1 << 63, (1 << 63) - 1, 0x123456789ABCDEF0, 1 << 32, 0xFFFFFFFF,
        (1 << 53) + 1, (1 << 24) + 1]
DOUBLES = [f64(x) for x in (0.0, -0.0, 1.0, -1.5, 2.5, 1e10, -3e10, 1e20, 65520.0, 0.1, 1e-40, 3.5e38, 1e300)]
DOUBLES += [0x7FF0000000000000, 0x7FF8000000000000]
SMALL = [0, 1, 5, 8, 16, 31, 32, 33, 40, 63, 64, 70, 200, 256]
HALVES = [0, 0x8000, 0x3C00, 0x0001, 0x03FF, 0x7BFF, 0x7C00, 0xFC00, 0x7E00, 0x3555, 0xC248, 0x3F80, 0xFFFF]
POOLS = {"i": (INTS, 32), "f": (FLOATS, 32), "l": (WIDE, 64), "d": (DOUBLES, 64), "n": (SMALL, 32),
         "h": (HALVES, 16)}


def cases():
    """(opcode, pools, output kind): the output is w (32 bits), x (64), h (16) or p (predicate)."""
    for op in ("add.s32 sub.s32 mul.lo.s32 mul.hi.s32 mul.hi.u32 min.s32 min.u32 max.s32 max.u32 and.b32 or.b32 "
               "xor.b32 div.s32 div.u32 rem.s32 rem.u32 add.sat.s32 sub.sat.s32 mul24.lo.s32 mul24.lo.u32").split():
        yield op, "ii", "w"
    for op in "neg.s32 abs.s32 not.b32 cnot.b32 popc.b32 clz.b32 brev.b32 bfind.s32 bfind.u32".split():
        yield op, "i", "w"
    for op in "bfind.shiftamt.u32 bfind.shiftamt.s32".split():
        yield op, "i", "w"
    for op in "shl.b32 shr.u32 shr.s32".split():
        yield op, "in", "w"
    for op in "shl.b64 shr.u64 shr.s64".split():
        yield op, "ln", "x"
    for op in "add.s64 sub.s64 mul.lo.s64 mul.hi.s64 mul.hi.u64 min.s64 max.u64 and.b64 div.s64 rem.u64".split():
        yield op, "ll", "x"
    for op in "neg.s64 abs.s64 not.b64 brev.b64".split():
        yield op, "l", "x"
    for op in "popc.b64 clz.b64 bfind.s64 bfind.u64".split():
        yield op, "l", "w"
    for op in "mul.wide.s32 mul.wide.u32".split():
        yield op, "ii", "x"
    for op in "mad.lo.s32 mad.hi.s32 mad.hi.u32 sad.s32 sad.u32 dp4a.s32.s32 dp4a.u32.u32 dp4a.s32.u32".split():
        yield op, "iii", "w"
    for op in "bfe.s32 bfe.u32".split():
        yield op, "inn", "w"
    for op in "bfe.s64 bfe.u64".split():
        yield op, "lnn", "x"
    yield "bfi.b32", "iinn", "w"
    yield "bfi.b64", "llnn", "x"
    for op in "shf.l.clamp.b32 shf.l.wrap.b32 shf.r.clamp.b32 shf.r.wrap.b32".split():
        yield op, "iin", "w"
    for op in ("prmt.b32", "prmt.b32.f4e", "prmt.b32.b4e", "prmt.b32.rc8", "prmt.b32.ecl", "prmt.b32.ecr",
               "prmt.b32.rc16"):
        yield op, "iii", "w"
    for op in "bmsk.clamp.b32 bmsk.wrap.b32".split():
        yield op, "nn", "w"
    for op in "add.s16 sub.s16 mul.lo.s16 mul.hi.s16 mul.hi.u16 min.s16 max.u16 div.s16 rem.s16".split():
        yield op, "hh", "h"
    for op in "shr.s16 shr.u16 shl.b16".split():
        yield op, "hn", "h"
    yield "mul.wide.s16", "hh", "w"
    yield "mul.wide.u16", "hh", "w"
    for mode in ("rn", "rz", "rm", "rp"):
        for flush in ("", ".ftz"):
            for op in ("add", "sub", "mul"):
                yield f"{op}.{mode}{flush}.f32", "ff", "w"
            yield f"fma.{mode}{flush}.f32", "fff", "w"
        yield f"div.{mode}.f32", "ff", "w"
        yield f"rcp.{mode}.f32", "f", "w"
        yield f"sqrt.{mode}.f32", "f", "w"
    for op in ("min.f32 max.f32 min.ftz.f32 min.NaN.f32 max.NaN.f32 add.sat.f32 mul.sat.f32 add.ftz.sat.f32 "
               "copysign.f32").split():
        yield op, "ff", "w"
    for op in ("abs.f32 neg.f32 abs.ftz.f32 ex2.approx.f32 ex2.approx.ftz.f32 lg2.approx.f32 lg2.approx.ftz.f32 "
               "rcp.approx.ftz.f32 rsqrt.approx.f32 rsqrt.approx.ftz.f32 sqrt.approx.f32 sin.approx.f32 "
               "cos.approx.f32 tanh.approx.f32").split():
        yield op, "f", "w"
    for op in "div.full.f32 div.approx.f32".split():
        yield op, "ff", "w"
    for op in "add.rn.f64 mul.rn.f64 min.f64 max.f64 div.rn.f64".split():
        yield op, "dd", "x"
    yield "fma.rn.f64", "ddd", "x"
    for mode in ("rni", "rzi", "rmi", "rpi"):
        for to, kind in (("s32", "w"), ("u32", "w"), ("s64", "x"), ("u64", "x"), ("s16", "h"), ("u8", "w")):
            yield f"cvt.{mode}.{to}.f32", "f", kind
            yield f"cvt.{mode}.{to}.f64", "d", kind
        yield f"cvt.{mode}.f32.f32", "f", "w"
        yield f"cvt.{mode}.ftz.f32.f32", "f", "w"
        yield f"cvt.{mode}.f64.f64", "d", "x"
        yield f"cvt.{mode}.s32.f16", "h", "w"
    for mode in ("rn", "rz", "rm", "rp"):
        for source, pool in (("s32", "i"), ("u32", "i"), ("s64", "l"), ("u64", "l"), ("s16", "h")):
            yield f"cvt.{mode}.f32.{source}", pool, "w"
            yield f"cvt.{mode}.f64.{source}", pool, "x"
            yield f"cvt.{mode}.f16.{source}", pool, "h"
        yield f"cvt.{mode}.f32.f64", "d", "w"
        yield f"cvt.{mode}.f16.f32", "f", "h"
        yield f"cvt.{mode}.f16.f64", "d", "h"
    for op, pool, kind in (("cvt.rn.bf16.f32", "f", "h"), ("cvt.rz.bf16.f32", "f", "h"), ("cvt.f32.f16", "h", "w"),
                           ("cvt.f32.bf16", "h", "w"), ("cvt.f64.f32", "f", "x"), ("cvt.rna.tf32.f32", "f", "w"),
                           ("cvt.sat.f32.f32", "f", "w"), ("cvt.rn.relu.f16.f32", "f", "h")):
        yield op, pool, kind
    for to in ("s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"):
        kind = {"8": "w", "16": "h", "32": "w", "64": "x"}[to[1:]]
        for source, pool in (("s32", "i"), ("u32", "i"), ("s64", "l"), ("u64", "l"), ("s16", "h"), ("u16", "h")):
            yield f"cvt.{to}.{source}", pool, kind
            yield f"cvt.sat.{to}.{source}", pool, kind
    for op in "cvt.rn.f16x2.f32 cvt.rz.f16x2.f32 cvt.rn.bf16x2.f32 cvt.rn.relu.bf16x2.f32".split():
        yield op, "ff", "w"
    for compare in "eq ne lt le gt ge".split():
        for ty, pool in (("s32", "i"), ("u32", "i"), ("s64", "l"), ("u64", "l"), ("s16", "h"), ("u16", "h")):
            yield f"setp.{compare}.{ty}", pool * 2, "p"
    for compare in "eq ne lt le gt ge equ neu ltu leu gtu geu num nan".split():
        yield f"setp.{compare}.f32", "ff", "p"
        yield f"setp.{compare}.ftz.f32", "ff", "p"
        yield f"setp.{compare}.f64", "dd", "p"
        yield f"setp.{compare}.f16", "hh", "p"
    for compare in "lo ls hi hs".split():
        yield f"setp.{compare}.u32", "ii", "p"
    for test in "finite infinite number notanumber normal subnormal".split():
        yield f"testp.{test}.f32", "f", "p"
    yield "slct.b32.s32", "iii", "w"
    yield "slct.f32.f32", "fff", "w"


def entry(name, opcode, widths, values, kind, part):
    lines = [f".visible .entry {name}(.param .u64 p) {{", ".reg .b64 %ptr, %x; .reg .b32 %w, %lo, %hi;",
             ".reg .b16 %h; .reg .pred %p;", "ld.param.u64 %ptr, [p];"]
    for i, (width, value) in enumerate(zip(widths, values)):
        lines.append(f".reg .b{width} %a{i}; mov.b{width} %a{i}, {value:#x};")
    target = {"w": "%w", "x": "%x", "h": "%h", "p": "%p"}[kind]
    operands = ", ".join([target] + [f"%a{i}" for i in range(len(values))])
    lines.append(f"{opcode} {operands};")
    if kind == "p":
        lines.append("selp.b32 %w, 1, 0, %p;")
    if kind == "h":
        lines.append("cvt.u32.u16 %w, %h;")
    if kind == "x":
        lines.append("mov.b64 {%lo, %hi}, %x; mov.b32 %w, " + ("%hi;" if part else "%lo;"))
    lines += ["st.global.b32 [%ptr], %w;", "ret;", "}"]
    return "\n".join(lines)


HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n"


def half(text):
    text = {"+INF": "inf", "-INF": "-inf", "+QNAN": "nan", "-QNAN": "nan"}.get(text, text)
    if text in ("nan",):
        return None
    return struct.unpack("<H", struct.pack("<e", float(text)))[0]


def folded(code):
    """The constant that the only store writes, or None."""
    store = re.search(r"STG\.E \[[^\]]*\], (\w+)", code)
    if not store or code.count("STG") != 1:
        return None
    register = store.group(1)
    if register == "RZ":
        return 0
    writes = re.findall(rf"^\s*(@!?U?P\d )?(\S+) {register}(?:\.\w+)?, (.*?) ;", code, re.M)
    if len(writes) != 1 or writes[0][0]:
        return None
    _, op, rest = writes[0]
    if op in ("MOV", "IMAD.MOV.U32"):
        last = rest.split(", ")[-1]
        if last == "RZ":
            return 0
        if rest in (last, f"RZ, RZ, {last}") and re.fullmatch(r"-?0x[0-9a-f]+", last):
            return int(last, 16) & 0xFFFFFFFF
    if op == "CS2R" and rest == "SRZ":
        return 0
    if op == "HFMA2.MMA":
        parts = rest.split(", ")
        if parts[:2] == ["-RZ", "RZ"] and len(parts) == 4:
            high, low = half(parts[2]), half(parts[3])
            if high is not None and low is not None:
                return high << 16 | low
    return None


def assemble(entries):
    """Folded values by entry; entries that ptxas refuses are left out one by one."""
    with tempfile.TemporaryDirectory() as folder:
        path, cubin = pathlib.Path(folder, "t.ptx"), pathlib.Path(folder, "t.cubin")
        path.write_text(HEAD + "\n".join(entries.values()))
        run = subprocess.run([ptxas, "-arch", "sm_80", "-O3", str(path), "-o", str(cubin)], capture_output=True)
        if run.returncode:
            if len(entries) == 1:
                return {}
            names = list(entries)
            out = {}
            for chunk in (names[: len(names) // 2], names[len(names) // 2:]):
                out.update(assemble({n: entries[n] for n in chunk}))
            return out
        text = subprocess.run([nvdisasm, "-c", str(cubin)], capture_output=True, text=True).stdout
    out = {}
    for part in text.split(".section\t.text.")[1:]:
        name = re.match(r"\w+", part).group(0)
        code = "\n".join(re.sub(r"/\*[0-9a-f]*\*/", "", line).strip() for line in part.splitlines())
        value = folded(code)
        if value is not None:
            out[name] = value
    return out


PER = 14
plan, entries = [], {}
for opcode, pools, kind in cases():
    widths = [POOLS[p][1] for p in pools]
    seen = set()
    pool = POOLS[pools[0]][0]
    for i in range(PER if len(pools) > 1 else len(pool)):
        values = tuple(POOLS[p][0][i] if len(pools) == 1 else rng.choice(POOLS[p][0]) for p in pools)
        if values in seen:
            continue
        seen.add(values)
        index = len(plan)
        plan.append((opcode, widths, kind, values))
        for half_of in range(2 if kind == "x" else 1):
            name = f"k{index}_{half_of}"
            entries[name] = entry(name, opcode, widths, values, kind, half_of)
results = {}
names = list(entries)
for start in range(0, len(names), 200):
    results.update(assemble({n: entries[n] for n in names[start:start + 200]}))
lines, last, kept = [], None, 0
for index, (opcode, widths, kind, values) in enumerate(plan):
    parts = [results.get(f"k{index}_{i}") for i in range(2 if kind == "x" else 1)]
    if None in parts:
        continue
    value = parts[0] if kind != "x" else parts[0] | parts[1] << 32
    if (opcode, kind) != last:
        lines.append(f"{opcode} {','.join(map(str, widths))} {kind}")
        last = (opcode, kind)
    lines.append(" " + " ".join(f"{v:x}" for v in values) + f" = {value:x}")
    kept += 1
pathlib.Path(__file__).with_name("table.txt").write_text("\n".join(lines) + "\n")
print(f"{kept} of {len(plan)} folded, {sum(not l.startswith(' ') for l in lines)} opcodes")
