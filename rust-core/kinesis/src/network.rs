//! The way to AWS: a proxy, and authorities of one's own.

use crate::error::ConfigError;
use crate::properties::Properties;
use aws_sdk_kinesis::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const TYPE: &str = "Proxy Type";
const HOST: &str = "Proxy Server Host";
const PORT: &str = "Proxy Server Port";
const USER: &str = "Proxy User Name";
const PASSWORD: &str = "Proxy User Password";
const AUTHORITIES: &str = "CA Certificates File";
/// Where machines and containers ask for their own identity: addresses that no proxy can reach.
const OF_THE_MACHINE: &str = "169.254.0.0/16,fd00:ec2::/32,127.0.0.0/8,::1,localhost";

/// See the module.
#[derive(Clone)]
pub struct Network {
    proxy: ProxyConfig,
    /// `host:port`, for messages.
    pub(crate) proxy_name: Option<String>,
    /// PEM text, checked.
    authorities: Option<Vec<u8>>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("proxy", &self.proxy_name).finish_non_exhaustive()
    }
}

impl Network {
    /// Without a proxy property the environment's `HTTPS_PROXY` and its kin count, as in every client of AWS.
    pub(crate) fn from_properties(p: &Properties<'_>) -> Result<Self, ConfigError> {
        let authorities = p.get(AUTHORITIES).map(read_authorities).transpose()?;
        #[derive(Clone, Copy)]
        enum Kind {
            Environment,
            Direct,
            Http,
        }
        let kinds = [("ENVIRONMENT", Kind::Environment), ("DIRECT", Kind::Direct), ("HTTP", Kind::Http)];
        let (proxy, proxy_name) = match p.choice(TYPE, &kinds)? {
            Kind::Environment => (ProxyConfig::from_env(), None),
            Kind::Direct => (ProxyConfig::disabled(), None),
            Kind::Http => {
                let (proxy, name) = http_proxy(p)?;
                (proxy, Some(name))
            }
        };
        Ok(Self { proxy, proxy_name, authorities })
    }

    /// A client with connections of its own.
    pub(crate) fn client(&self) -> SharedHttpClient {
        build(self.proxy.clone(), self.authorities.clone())
    }

    /// A client that asks the machine itself without a proxy and everyone else as [`Network::client`] does.
    pub(crate) fn identity_client(&self) -> SharedHttpClient {
        let proxy = match self.proxy_name {
            Some(_) => self.proxy.clone().no_proxy(OF_THE_MACHINE),
            None => self.proxy.clone(),
        };
        build(proxy, self.authorities.clone())
    }
}

fn build(proxy: ProxyConfig, authorities: Option<Vec<u8>>) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        if let Some(pem) = &authorities {
            let store = TrustStore::empty().with_native_roots(true).with_pem_certificate(pem.clone());
            if let Ok(context) = TlsContext::builder().with_trust_store(store).build() {
                connector.set_tls_context(context);
            }
        }
        connector.build()
    })
}

fn http_proxy(p: &Properties<'_>) -> Result<(ProxyConfig, String), ConfigError> {
    let host = p.required(HOST)?;
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    let name = format!("{host}:{}", p.number::<u16>(PORT, 8080, 1, u16::MAX)?);
    let invalid = |_| ConfigError::Invalid { property: HOST, reason: format!("\"{host}\" is no host name") };
    let proxy = ProxyConfig::all(format!("http://{name}")).map_err(invalid)?;
    let Some(user) = p.get(USER) else { return Ok((proxy, name)) };
    // The client puts both into a URL.
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let password = p.0.get(PASSWORD).map(|text| encoded(text)).unwrap_or_default();
    Ok((proxy.with_basic_auth(encoded(user), password), name))
}

fn read_authorities(file: &str) -> Result<Vec<u8>, ConfigError> {
    let invalid = |reason: String| ConfigError::Invalid {
        property: AUTHORITIES,
        reason: format!("\"{file}\" {reason}"),
    };
    let pem = std::fs::read(file).map_err(|e| invalid(format!("cannot be read: {e}")))?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| invalid(format!("is no PEM file: {e}")))?;
        store.add(certificate).map_err(|e| invalid(format!("holds no usable certificate: {e}")))?;
    }
    if store.is_empty() {
        return Err(invalid("holds no certificate in PEM form".to_owned()));
    }
    Ok(pem)
}
