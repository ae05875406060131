//! How the local Snowflake is started.

use std::time::Duration;

use clap::{Args, ValueEnum};
use local_cloud::snowflake::Options;

/// Options of `serve` that concern Snowflake.
#[derive(Args)]
pub(crate) struct SnowflakeFlags {
    /// Milliseconds from an append to its rows being in the table.
    #[arg(long)]
    commit_delay: Option<u64>,
    /// Seconds that a token of the login lives; 3600 by default.
    #[arg(long, value_name = "SECONDS")]
    token_lifetime: Option<u64>,
    /// Way in which the service answers at times. May be given several times.
    #[arg(long = "quirk", value_enum)]
    quirks: Vec<Quirk>,
    /// Another limit of Snowflake than the documented one. May be given several times.
    #[arg(long = "snowflake-limit", value_name = "NAME=NUMBER", value_parser = limit)]
    snowflake_limits: Vec<(Limit, u64)>,
}

/// A way in which the service answers at times.
#[derive(Clone, Copy, ValueEnum)]
enum Quirk {
    /// Hostname and token come as JSON.
    JsonLogin,
    /// Opening a channel of a missing pipe is answered 200, with a status code that says so.
    MissingPipeAsStatus,
    /// Appends are answered with the header `x-snowflake-session`.
    SessionHeader,
}

/// A limit of Snowflake.
#[derive(Clone, Copy, ValueEnum)]
enum Limit {
    BodyBytes,
    RequestsPerSecond,
    BytesPerSecond,
    ChannelsPerPipe,
    IdleChannelSeconds,
    PendingBytes,
    EvolvedColumns,
}

fn limit(text: &str) -> Result<(Limit, u64), String> {
    let (name, number) = text.split_once('=').ok_or("a limit is written NAME=NUMBER")?;
    let known = || {
        let names = Limit::value_variants().iter().filter_map(Limit::to_possible_value);
        names.map(|value| value.get_name().to_owned()).collect::<Vec<_>>().join(", ")
    };
    let limit = Limit::from_str(name, false)
        .map_err(|_| format!("there is no limit '{name}'; there are {}", known()))?;
    let number = number.parse().map_err(|_| format!("'{number}' is not a number"))?;
    Ok((limit, number))
}

impl SnowflakeFlags {
    /// Puts what was given into the options.
    pub(crate) fn apply(self, options: &mut Options) {
        if let Some(ms) = self.commit_delay {
            options.commit_delay = Duration::from_millis(ms);
        }
        if let Some(seconds) = self.token_lifetime {
            options.token_lifetime = Duration::from_secs(seconds);
        }
        for quirk in self.quirks {
            match quirk {
                Quirk::JsonLogin => options.quirks.json_login = true,
                Quirk::MissingPipeAsStatus => options.quirks.missing_pipe_as_status = true,
                Quirk::SessionHeader => options.quirks.session_header = true,
            }
        }
        let limits = &mut options.limits;
        for (limit, number) in self.snowflake_limits {
            let size = usize::try_from(number).unwrap_or(usize::MAX);
            match limit {
                Limit::BodyBytes => limits.body_bytes = size,
                Limit::RequestsPerSecond => {
                    limits.requests_per_second = u32::try_from(number).unwrap_or(u32::MAX);
                }
                Limit::BytesPerSecond => limits.bytes_per_second = number,
                Limit::ChannelsPerPipe => limits.channels_per_pipe = size,
                Limit::IdleChannelSeconds => limits.idle_channel = Duration::from_secs(number),
                Limit::PendingBytes => limits.pending_bytes = number,
                Limit::EvolvedColumns => limits.evolved_columns = size,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: SnowflakeFlags,
    }

    fn options(line: &str) -> Options {
        let mut options = Options::default();
        let words = std::iter::once("serve").chain(line.split_whitespace());
        Line::try_parse_from(words).unwrap().flags.apply(&mut options);
        options
    }

    #[test]
    fn every_flag_reaches_its_option() {
        let options = options(
            "--commit-delay 7 --token-lifetime 60 --quirk json-login --quirk missing-pipe-as-status \
             --quirk session-header --snowflake-limit body-bytes=1 --snowflake-limit requests-per-second=2 \
             --snowflake-limit bytes-per-second=3 --snowflake-limit channels-per-pipe=4 \
             --snowflake-limit idle-channel-seconds=5 --snowflake-limit pending-bytes=6 \
             --snowflake-limit evolved-columns=7",
        );
        assert_eq!(options.commit_delay, Duration::from_millis(7));
        assert_eq!(options.token_lifetime, Duration::from_secs(60));
        let quirks = &options.quirks;
        assert!(quirks.json_login && quirks.missing_pipe_as_status && quirks.session_header);
        let limits = &options.limits;
        assert_eq!((limits.body_bytes, limits.channels_per_pipe, limits.evolved_columns), (1, 4, 7));
        assert_eq!((limits.requests_per_second, limits.bytes_per_second, limits.pending_bytes), (2, 3, 6));
        assert_eq!(limits.idle_channel, Duration::from_secs(5));
    }
}
