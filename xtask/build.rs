//! Tells the program which target it was built for: the native library of the same build is for that one.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=SHARDFLOW_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
