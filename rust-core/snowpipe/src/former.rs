//! The channel that Snowflake's own processor used for the same rows: whoever changes the type of the processor goes on
//! where that one has stopped.
//!
//! Its channels are called `<Channel Group>-<number>`, and it uses the first one of a group only. Their tokens are numbers as
//! ours are; without offset tracking they are times, which say nothing about rows.

use crate::channel::Channel;
use crate::core::Core;
use crate::machine::{ChannelStatus, Fault, FaultClass, Opened};
use bulletin::Level;

/// Milliseconds since 1970 from 2017 to 2065, which no position of Kinesis or Kafka is in practice.
const CLOCK: std::ops::Range<u64> = 1_500_000_000_000..3_000_000_000_000;

/// Adds the committed token of the former channel to the answer for one that has none. The former channel is opened, so
/// that nothing is under way in it any more and nobody else can go on with it.
///
/// # Errors
/// Those of the calls; rows that are still under way are waited for like those of the channel itself.
pub(crate) async fn adopt(
    core: &Core,
    channel: &Channel,
    force: bool,
    opened: Opened,
) -> Result<Opened, Fault> {
    if opened.status.committed.as_deref().is_some_and(|token| !token.is_empty()) {
        return Ok(opened);
    }
    let name = format!("{}-0", channel.name);
    if committed(core, channel, &name).await?.is_none() {
        return Ok(opened);
    }
    let former = core.api.open(&channel.pipe, &name, force).await?;
    let Some(token) = token(&former.status) else { return Ok(opened) };
    let this = format!("channel {} of pipe {}", channel.name, channel.pipe.pipe);
    if token.parse().is_ok_and(|time| CLOCK.contains(&time)) {
        let text = format!(
            "{this}: the channel {name} of the same rows was written without offset tracking, so it does not say which of \
             them are in the table. All of them are published"
        );
        core.messages.say(Level::Warn, &format!("former/{this}"), text);
        return Ok(opened);
    }
    let rejected = match former.status.row_errors {
        0 => String::new(),
        count => format!(". Snowflake has rejected {count} of its rows; they are not told again"),
    };
    let text = format!("{this}: goes on after {token}, where the channel {name} has ended{rejected}");
    core.messages.say(Level::Info, &format!("former/{this}"), text);
    Ok(Opened { former: Some(token), ..opened })
}

/// The token of the former channel, if there is such a channel.
async fn committed(core: &Core, channel: &Channel, name: &str) -> Result<Option<String>, Fault> {
    match core.api.bulk_status(&channel.pipe, &[name.to_owned()]).await {
        Ok(known) => Ok(known.get(name).and_then(token)),
        // A service may say so of a channel that it does not know.
        Err(fault) if fault.class == FaultClass::Missing => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn token(status: &ChannelStatus) -> Option<String> {
    status.committed.clone().filter(|token| !token.is_empty())
}
