//! Reading the text form of properties.

use crate::error::ConfigError;
use std::collections::BTreeMap;

/// Values by display name; blank is absent.
pub(crate) struct Properties<'a>(pub(crate) &'a BTreeMap<String, String>);

impl<'a> Properties<'a> {
    pub(crate) fn get(&self, property: &str) -> Option<&'a str> {
        self.0.get(property).map(|v| v.trim()).filter(|v| !v.is_empty())
    }

    pub(crate) fn required(&self, property: &'static str) -> Result<String, ConfigError> {
        self.get(property).map(str::to_owned).ok_or(ConfigError::Missing { property })
    }

    /// The first choice is the default.
    pub(crate) fn choice<T: Copy>(
        &self,
        property: &'static str,
        choices: &[(&str, T)],
    ) -> Result<T, ConfigError> {
        let found = match self.get(property) {
            None => choices.first(),
            Some(value) => choices.iter().find(|(name, _)| *name == value),
        };
        found.map(|(_, v)| *v).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(n, _)| *n).collect();
            ConfigError::Invalid { property, reason: format!("must be one of {}", names.join(", ")) }
        })
    }

    pub(crate) fn number<T>(
        &self,
        property: &'static str,
        default: T,
        min: T,
        max: T,
    ) -> Result<T, ConfigError>
    where
        T: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(text) = self.get(property) else { return Ok(default) };
        match text.parse::<T>() {
            Ok(n) if n >= min && n <= max => Ok(n),
            _ => Err(ConfigError::Invalid {
                property,
                reason: format!("must be a whole number between {min} and {max}"),
            }),
        }
    }

    /// An address with scheme and host.
    pub(crate) fn url(&self, property: &'static str) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.get(property) else { return Ok(None) };
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        match rest {
            Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(Some(text.to_owned())),
            _ => Err(ConfigError::Invalid {
                property,
                reason: "must be a URL that starts with http:// or https:// and names a host".to_owned(),
            }),
        }
    }
}
