"""Compiles the .cu files beside this script to PTX with NVRTC (no GPU needed).

Usage: python make.py PATH/TO/libnvrtc.so.13      (written with nvidia-cuda-nvrtc 13.0)
"""
import ctypes
import pathlib
import sys

library = pathlib.Path(sys.argv[1])
for builtins in library.parent.glob("libnvrtc-builtins.so.*"):
    ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
nvrtc = ctypes.CDLL(str(library))


def compile(path, options):
    program = ctypes.c_void_p()
    source = path.read_text().encode()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, path.name.encode(), 0, None, None)
    words = [o.encode() for o in options]
    array = (ctypes.c_char_p * len(words))(*words)
    result = nvrtc.nvrtcCompileProgram(program, len(words), array)
    size = ctypes.c_size_t()
    if result:
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        sys.exit(log.value.decode())
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, ptx)
    return ptx.value.decode()


here = pathlib.Path(__file__).parent
for path in sorted(here.glob("*.cu")):
    options = ["--gpu-architecture=compute_80", "--std=c++17"]
    if path.stem != "kernels":
        options.append("-lineinfo")
    text = compile(path, options)
    target = path.with_suffix(".ptx")
    # NVRTC writes where the source lay; the tests want its name alone.
    text = text.replace(f"{here.resolve()}/", "")
    target.write_text(text)
    print(target.name, len(text), text.count(".entry"))
