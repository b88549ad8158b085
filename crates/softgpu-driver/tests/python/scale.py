"""A CUDA program in Python on NVIDIA's own bindings: it knows nothing of softgpu.

    python scale.py KERNEL.ptx [beyond]

Loads the kernel, launches it and prints what it computed, one number a line. With `beyond` it
tells the kernel that its vectors are longer than they are, and ends with the error's name.
"""

import ctypes
import sys
from array import array

from cuda.bindings import driver


def check(answer):
    """The values of a call that must succeed: none, one, or a tuple."""
    error, *values = answer
    if error != driver.CUresult.CUDA_SUCCESS:
        sys.exit(error.name)
    return values[0] if len(values) == 1 else values


check(driver.cuInit(0))
device = check(driver.cuDeviceGet(0))
print(check(driver.cuDeviceGetName(64, device)).split(b"\0")[0].decode())
context = check(driver.cuDevicePrimaryCtxRetain(device))
check(driver.cuCtxSetCurrent(context))

with open(sys.argv[1], "rb") as file:
    module = check(driver.cuModuleLoadData(file.read() + b"\0"))
kernel = check(driver.cuModuleGetFunction(module, b"scale"))

x = array("f", range(100))
y = array("f", [-1.0] * len(x))
bytes = len(x) * x.itemsize
there_x, there_y = check(driver.cuMemAlloc(bytes)), check(driver.cuMemAlloc(bytes))
check(driver.cuMemcpyHtoD(there_x, x.buffer_info()[0], bytes))

length = len(x) + 1 if "beyond" in sys.argv else len(x)
values = (int(there_y), int(there_x), 2.5, length)
types = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_float, ctypes.c_uint)
check(driver.cuLaunchKernel(kernel, 4, 1, 1, 32, 1, 1, 0, 0, (values, types), 0))
check(driver.cuCtxSynchronize())
check(driver.cuMemcpyDtoH(y.buffer_info()[0], there_y, bytes))
for value in y:
    print(value)

for memory in (there_x, there_y):
    check(driver.cuMemFree(memory))
check(driver.cuModuleUnload(module))
check(driver.cuDevicePrimaryCtxRelease(device))
