//! Reading typed values from the text properties of a processor or a FlowFile.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use crate::error::ConfigError;

/// A view on text properties; blank values count as absent.
pub(crate) struct Properties<'a>(&'a BTreeMap<String, String>);

impl<'a> Properties<'a> {
    pub(crate) fn new(map: &'a BTreeMap<String, String>) -> Self {
        Self(map)
    }

    /// The value as it is, for passwords, where spaces count.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.raw(name).map(str::trim).filter(|value| !value.is_empty())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&'a str, ConfigError> {
        self.text(name).ok_or_else(|| ConfigError::new(name, "a value is required"))
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str, default: T) -> Result<T, ConfigError> {
        self.text(name).map_or(Ok(default), |text| {
            text.parse().map_err(|_| ConfigError::new(name, format!("\"{text}\" is not a number in range")))
        })
    }

    pub(crate) fn millis(&self, name: &str, default: Duration) -> Result<Duration, ConfigError> {
        let millis = self.number(name, u64::try_from(default.as_millis()).unwrap_or(u64::MAX))?;
        Ok(Duration::from_millis(millis))
    }

    /// One of the allowed values, `T::default()` when absent.
    pub(crate) fn choice<T: Copy + Default>(
        &self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<T, ConfigError> {
        let Some(text) = self.text(name) else { return Ok(T::default()) };
        choices.iter().find(|(key, _)| key.eq_ignore_ascii_case(text)).map(|(_, value)| *value).ok_or_else(
            || {
                let allowed: Vec<&str> = choices.iter().map(|(key, _)| *key).collect();
                ConfigError::new(name, format!("\"{text}\" is not one of {}", allowed.join(", ")))
            },
        )
    }

    pub(crate) fn https_url(&self, name: &str) -> Result<Option<Url>, ConfigError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match Url::parse(text) {
            Ok(url) if url.scheme() == "https" && url.has_host() => Ok(Some(url)),
            _ => Err(ConfigError::new(name, format!("\"{text}\" must have the form https://host[:port]"))),
        }
    }
}
