//! Which channel an upload goes through, and the rules of that channel.

use std::sync::LazyLock;
use std::time::Duration;

use super::Sink;
use crate::config::{ChannelType, Resolution};
use crate::machine::{Id, Rules};
use crate::names::{self, PipePath};
use crate::rejected::error_query;
use crate::request::{Destination, UploadRequest};

/// Documented limit is 10 requests a second and channel.
const REQUEST_INTERVAL: Duration = Duration::from_millis(100);
/// Documented limit of a channel, uncompressed bytes a second.
const BYTE_RATE: u64 = 20_000_000;
/// `SHARDFLOW_CHANNEL_PACE=off` in the environment: appends leave as fast as they are answered. For measurements against
/// a service without limits; Snowflake would throttle.
static UNPACED: LazyLock<bool> =
    LazyLock::new(|| std::env::var("SHARDFLOW_CHANNEL_PACE").is_ok_and(|value| value == "off"));
/// What a channel without pace is to reach: more than one connection carries, so that measurements show what can be had.
const UNPACED_RATE: u64 = 200_000_000;
/// Appends at a time to one elastic channel.
const LANES: u64 = 4;

/// Uncompressed bytes a second that the bodies of a channel are made for.
pub(crate) fn rate(elastic: bool) -> u64 {
    match *UNPACED && !elastic {
        true => UNPACED_RATE,
        false => BYTE_RATE,
    }
}

/// Where an upload goes.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) destination: Destination,
    pub(super) pipe: PipePath,
    pub(super) name: String,
    pub(super) label: String,
    pub(super) elastic: Option<String>,
}

impl Sink {
    /// The channel that an upload goes through.
    pub(super) fn place(&self, upload: &UploadRequest, id: Id) -> Place {
        let destination = &upload.destination;
        let pipe = PipePath::of(destination);
        let label = names::label(destination);
        match self.core.config.channel_type {
            ChannelType::Standard => {
                let name = names::channel(&self.group(&upload.channel_group));
                Place {
                    destination: destination.clone(),
                    pipe,
                    label: format!("channel {name} of {label}"),
                    name,
                    elastic: None,
                }
            }
            ChannelType::Elastic => Place {
                destination: destination.clone(),
                pipe,
                label: format!("elastic channel of {label}"),
                name: format!("ELASTIC-{}", id % LANES),
                elastic: Some(names::elastic_path(destination)),
            },
        }
    }

    /// What names the channel. With tracking it is the same on all nodes, because its token says what is stored. Without,
    /// any node may publish any FlowFile, and of two that use one channel each would invalidate the other's.
    fn group(&self, group: &str) -> String {
        match &self.core.config.node {
            Some(node)
                if self.core.config.resolution == Resolution::Disabled && !group.contains(node.as_str()) =>
            {
                format!("{group}.{node}")
            }
            _ => group.to_owned(),
        }
    }

    pub(super) fn rules(&self, place: &Place) -> Rules {
        let config = &self.core.config;
        let elastic = place.elastic.is_some();
        Rules {
            label: place.label.clone(),
            tracked: config.resolution != Resolution::Disabled,
            row_tokens: config.resolution == Resolution::Record,
            insert_timeout: config.insert_timeout,
            tracking_timeout: config.tracking_timeout,
            gap_strategy: config.gap_strategy,
            gap_timeout: config.gap_timeout,
            request_interval: if elastic || *UNPACED { Duration::ZERO } else { REQUEST_INTERVAL },
            byte_rate: if elastic || *UNPACED { u64::MAX } else { BYTE_RATE },
            error_query: error_query(&place.destination, &place.name),
        }
    }
}
