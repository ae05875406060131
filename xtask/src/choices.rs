//! What a user can choose on the command line, by the names that the product uses.

use clap::ValueEnum;
use nifi_harness::Shape;

/// How the stream is read, by the names of the flow's parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ConsumerType {
    /// Polling, with throughput shared by all consumers.
    #[default]
    #[value(name = "SHARED_THROUGHPUT")]
    SharedThroughput,
    /// A registered consumer with its own throughput, over HTTP/2.
    #[value(name = "ENHANCED_FAN_OUT")]
    EnhancedFanOut,
}

impl std::fmt::Display for ConsumerType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SharedThroughput => "SHARED_THROUGHPUT",
            Self::EnhancedFanOut => "ENHANCED_FAN_OUT",
        })
    }
}

/// What the rows go to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Destination {
    /// The recommended table: the metadata's column, all others by schema evolution.
    #[default]
    Standard,
    /// A table with columns of its owner's.
    CustomerSchema,
    /// A pipe of the owner's, which renames and casts.
    CustomPipe,
    /// An Iceberg table.
    Iceberg,
    /// An interactive table.
    Interactive,
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

impl From<Destination> for Shape {
    fn from(destination: Destination) -> Self {
        match destination {
            Destination::Standard => Self::Standard,
            Destination::CustomerSchema => Self::CustomerSchema,
            Destination::CustomPipe => Self::CustomPipe,
            Destination::Iceberg => Self::Iceberg,
            Destination::Interactive => Self::Interactive,
        }
    }
}
