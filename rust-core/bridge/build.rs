//! Link arguments of the library that Java loads.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // A collected class loader unmaps its libraries; code must stay mapped under threads that still wind down.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
