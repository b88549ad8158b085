//! Gives the shared library the name that programs ask the dynamic linker for.

fn main() {
    // glibc answers a later `dlopen("libcuda.so")` with a library already loaded under this SONAME.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcuda.so");
    println!("cargo:rerun-if-changed=build.rs");
}
