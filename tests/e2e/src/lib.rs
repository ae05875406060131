//! The connector's core from stream to table, without a JVM: a source and a sink against the local cloud, joined by what
//! a NiFi flow would do between them.

mod connector;
mod intake;
mod rig;
pub mod vectors;

pub use connector::{Connector, Published, Rejected};
pub use intake::Intake;
pub use rig::Rig;

/// Any failure of a test's own machinery.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Value of a FlowFile's attribute.
#[must_use]
pub fn attribute<'a>(attributes: &'a [(&'static str, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
}
