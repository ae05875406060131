//! The native side of the Java class `io.shardflow.nifi.bridge.Native`, and the only crate that knows JNI.
//!
//! Java calls in and asks; nothing here calls Java beyond building the answer, and no thread of this library is ever
//! attached to the JVM. Sources and sinks are named by ids of a registry, so that a stale id is an exception. Errors and
//! panics become `NativeException(code, message)`. There is one tokio runtime for a loaded copy of the library; it
//! lives as long as any source or sink is open.

mod allocator;
#[cfg(test)]
mod boundary_tests;
mod bytes_view;
mod classes;
mod command;
mod error;
mod log_ring;
mod logging;
#[cfg(test)]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod memory_tests;
mod natives;
mod pairs;
mod registry;
mod runtime;
#[cfg(test)]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod sink_memory_tests;
mod sinks;
mod sources;
mod testing;
mod throw;
mod types;

/// Version of the surface between the Java class and this library; both sides refuse a mismatch.
pub const ABI_VERSION: i32 = 1;
