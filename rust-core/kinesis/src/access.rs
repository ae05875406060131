//! Credentials of the SDK's clients, made of an [`Identity`].

use crate::config::SourceConfig;
use crate::handed::{Handed, credentials};
use crate::identity::{Base, Role};
use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kinesis::config::{BehaviorVersion, IdentityCache, Region, SharedIdentityCache};

/// What every client of a source signs with.
pub(crate) struct Access {
    /// `None` only when the SDK was built without a default chain.
    pub(crate) provider: Option<SharedCredentialsProvider>,
    /// Shared, so that one renewal serves all clients.
    pub(crate) cache: SharedIdentityCache,
}

/// Prepares without calling anyone.
pub(crate) async fn access(config: &SourceConfig, handed: &Handed) -> Access {
    let base = match &config.identity.base {
        Base::Keys(keys) => Some(SharedCredentialsProvider::new(credentials(keys))),
        Base::Handed(_) => Some(SharedCredentialsProvider::new(handed.clone())),
        Base::Chain => surroundings(config, None).await.credentials_provider(),
    };
    // What is handed over is in memory and may be newer at any time.
    let in_memory = matches!(config.identity.base, Base::Handed(_)) && config.identity.role.is_none();
    let cache = if in_memory { IdentityCache::no_cache() } else { IdentityCache::lazy().build() };
    let provider = match &config.identity.role {
        None => base,
        Some(role) => Some(assume(config, role, base).await),
    };
    Access { provider, cache }
}

async fn assume(
    config: &SourceConfig,
    role: &Role,
    base: Option<SharedCredentialsProvider>,
) -> SharedCredentialsProvider {
    let mut surroundings = surroundings(config, base).await.into_builder();
    surroundings.set_endpoint_url(role.endpoint.clone());
    let mut builder = AssumeRoleProvider::builder(role.arn.clone())
        .session_name(role.session_name.clone())
        .configure(&surroundings.build());
    if let Some(id) = &role.external_id {
        builder = builder.external_id(id.clone());
    }
    SharedCredentialsProvider::new(builder.build().await)
}

/// The SDK's own view of the machine: environment and profiles.
async fn surroundings(config: &SourceConfig, base: Option<SharedCredentialsProvider>) -> SdkConfig {
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new(config.region.clone()))
        .http_client(config.network.identity_client());
    match base {
        Some(base) => loader.credentials_provider(base).load().await,
        None => loader.load().await,
    }
}
