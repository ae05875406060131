//! Query and form parameters, decoded; a repeated name keeps its last value.

use percent_encoding::percent_decode_str;

/// Decoded `name=value` pairs.
#[derive(Debug, Default)]
pub(crate) struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Parses a query string, where `+` stands for itself: clients send tokens there without form encoding.
    pub(crate) fn query(text: &str) -> Self {
        Self::parse(text, false)
    }

    /// Parses an `application/x-www-form-urlencoded` body.
    pub(crate) fn form(text: &str) -> Self {
        Self::parse(text, true)
    }

    fn parse(text: &str, plus_is_space: bool) -> Self {
        let decode = |part: &str| {
            let part = if plus_is_space { part.replace('+', " ") } else { part.to_owned() };
            percent_decode_str(&part).decode_utf8_lossy().into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Pairs(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(k, v)| (decode(k), decode(v)))
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
