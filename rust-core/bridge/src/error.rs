//! Everything that can go wrong at the boundary, with the code Java knows it by.

use thiserror::Error;

/// An error on its way to Java. Texts hold neither secrets nor record data.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error(transparent)]
    SourceConfig(#[from] kinesis::ConfigError),
    #[error(transparent)]
    SinkConfig(#[from] snowpipe::ConfigError),
    #[error("{0}")]
    Argument(String),
    #[error(transparent)]
    Source(#[from] kinesis::SourceError),
    #[error(transparent)]
    Sink(#[from] snowpipe::SinkError),
    #[error("{kind} {id} is not open")]
    NotOpen { kind: &'static str, id: i64 },
    #[error("batch {batch} has no part {part} that is outstanding")]
    NoSuchPart { batch: i64, part: i32 },
    #[error("the range {offset}+{length} does not fit an array of {capacity} bytes")]
    Range { offset: i32, length: i32, capacity: usize },
    #[error("{0} took longer than {1} s; the services did not answer")]
    TimedOut(&'static str, u64),
    #[error("threads for the connector could not be started: {0}")]
    Threads(std::io::Error),
    #[error("unknown command {0}")]
    UnknownCommand(String),
    #[error("{0}")]
    Panic(String),
    #[error("the boundary to Java failed: {0}")]
    Jni(#[from] jni::errors::Error),
}

/// Codes shared with the Java enum `ErrorCode`; they never change their meaning.
mod code {
    pub(super) const CONFIG: i32 = 1;
    pub(super) const THROTTLED: i32 = 3;
    pub(super) const UNAVAILABLE: i32 = 4;
    pub(super) const NOT_FOUND: i32 = 6;
    pub(super) const CLOSED: i32 = 9;
    pub(super) const INTERNAL: i32 = 99;
    pub(super) const PANIC: i32 = 255;
}

impl Error {
    /// The number of the Java enum `ErrorCode`.
    pub(crate) fn code(&self) -> i32 {
        use kinesis::SourceError;
        use snowpipe::SinkError;
        match self {
            Self::SourceConfig(_) | Self::SinkConfig(_) | Self::Argument(_) => code::CONFIG,
            Self::Sink(SinkError::Request(_)) => code::CONFIG,
            Self::Sink(SinkError::Congested(..)) => code::THROTTLED,
            Self::TimedOut(..) | Self::Threads(_) => code::UNAVAILABLE,
            Self::Source(SourceError::UnknownBatch(_)) | Self::Sink(SinkError::UnknownUpload(_)) => {
                code::NOT_FOUND
            }
            Self::NoSuchPart { .. } => code::NOT_FOUND,
            Self::NotOpen { .. } | Self::Source(SourceError::Closed) | Self::Sink(SinkError::Closed) => {
                code::CLOSED
            }
            Self::Sink(SinkError::NotWriting(_)) | Self::Range { .. } | Self::UnknownCommand(_) => {
                code::INTERNAL
            }
            Self::Jni(_) => code::INTERNAL,
            Self::Panic(_) => code::PANIC,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_java_enum() {
        let java = include_str!("../../../java-shim/src/main/java/io/shardflow/nifi/bridge/ErrorCode.java");
        let constants = [
            ("CONFIG", code::CONFIG),
            ("THROTTLED", code::THROTTLED),
            ("UNAVAILABLE", code::UNAVAILABLE),
            ("NOT_FOUND", code::NOT_FOUND),
            ("CLOSED", code::CLOSED),
            ("INTERNAL", code::INTERNAL),
            ("PANIC", code::PANIC),
        ];
        for (name, value) in constants {
            assert!(java.contains(&format!(" {name}({value})")), "{name}({value})");
        }
    }

    #[test]
    fn a_closed_handle_and_a_wrong_kind_have_the_same_code() {
        assert_eq!(Error::NotOpen { kind: "source", id: 7 }.code(), 9);
        assert_eq!(Error::from(kinesis::SourceError::Closed).code(), 9);
        assert_eq!(Error::from(snowpipe::SinkError::Closed).code(), 9);
        assert_eq!(Error::Panic(String::new()).code(), 255);
    }
}
