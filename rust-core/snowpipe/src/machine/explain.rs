//! Committed tokens that can be explained, and pauses.

use std::time::Duration;

use rand::Rng;

use super::Machine;
use super::types::Token;

/// Positions of Kinesis have 56 digits and more; from here on a token's length tells its origin.
const LONG_TOKEN: usize = 40;

impl Machine {
    /// The committed token as a number, or why it cannot be one of this lineage.
    pub(super) fn parse(&self, text: Option<&str>) -> Result<Option<Token>, String> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            // A channel that lost its token says so, whatever there was before it.
            return Ok(self.former.clone().filter(|former| self.proven.as_ref() <= Some(former)));
        };
        let parsed = text.parse::<Token>();
        if !self.rules.tracked {
            return Ok(parsed.ok());
        }
        let advice =
            "It belongs to another program or another source. Drop the channel, or use another Channel Group";
        let token = parsed.map_err(|_| {
            format!("{}: its committed offset token is not a decimal number. {advice}", self.rules.label)
        })?;
        let longest = self.uploads.values().map(|u| u.span.end.as_str().len()).max().unwrap_or(0);
        if longest >= LONG_TOKEN && token.as_str().len() > longest + 2 {
            return Err(format!(
                "{}: its committed offset token {token} is larger than anything this shard can have produced. {advice}",
                self.rules.label
            ));
        }
        Ok(Some(token))
    }

    /// `base` doubled `tries` times, at most `cap`, with jitter down to a half.
    pub(super) fn backoff(&mut self, tries: u32, base: Duration, cap: Duration) -> Duration {
        let full = base.saturating_mul(1u32.checked_shl(tries.min(16)).unwrap_or(u32::MAX)).min(cap);
        full.mul_f64(self.rng.random_range(0.5..1.0))
    }
}
