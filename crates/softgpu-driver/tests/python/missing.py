"""What NVIDIA's Python bindings tell of functions that a driver does not have."""

from cuda.bindings import driver

for name, version, flags in [
    (b"cuMemAlloc", 13000, 0),
    (b"cuMemAlloc", 2000, 0),
    (b"cuTexRefCreate", 13000, 0),
    (b"cuMemAlloc", 99000, 0),
]:
    error, function, _ = driver.cuGetProcAddress(name, version, flags)
    print(name.decode(), version, error.name, "found" if function else "nothing")

try:
    driver.cuTexRefCreate()
except RuntimeError as error:
    print(error)
