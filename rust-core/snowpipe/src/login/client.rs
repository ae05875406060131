//! The HTTP client of a sink, and words for what goes wrong below HTTP.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client, Proxy};
use secrecy::ExposeSecret;

use crate::config::{HttpProxy, ProxyChoice};

/// Below NiFi's own patience, above a slow handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Servers and middleboxes drop idle connections after a minute or more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// One client for all calls of a sink: TLS only to hosts that the platform's or the given authorities vouch for.
///
/// # Errors
/// Names the file of authorities when it cannot be read.
pub(crate) fn build(ca_file: Option<&Path>, proxy: &ProxyChoice) -> Result<Client, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("Shardflow/", env!("CARGO_PKG_VERSION"), " (NiFi)"))
        .https_only(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(file) = ca_file {
        let problem =
            |reason: String| format!("CA Certificates File \"{}\" cannot be used: {reason}", file.display());
        let pem = std::fs::read(file).map_err(|error| problem(error.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| problem(error.to_string()))?;
        if certificates.is_empty() {
            return Err(problem("it holds no certificate in PEM form".to_owned()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder = match proxy {
        ProxyChoice::Environment => builder,
        ProxyChoice::Direct => builder.no_proxy(),
        ProxyChoice::Http(http) => builder.proxy(connect_through(http)?),
    };
    builder.build().map_err(|error| format!("the HTTPS client cannot be made: {}", chain(&error)))
}

fn connect_through(http: &HttpProxy) -> Result<Proxy, String> {
    let proxy = Proxy::all(http.url.clone())
        .map_err(|error| format!("the proxy {} cannot be used: {}", http.url, chain(&error)))?;
    Ok(match &http.login {
        Some((user, password)) => proxy.basic_auth(user, password.expose_secret()),
        None => proxy,
    })
}

/// What a failed exchange with `host` means and what to do about it.
pub(crate) fn describe(host: &str, error: &reqwest::Error) -> String {
    let causes = chain(error);
    let lower = causes.to_ascii_lowercase();
    if error.is_timeout() {
        format!("{host} did not answer in time; check network rules, proxy and firewall")
    } else if lower.contains("dns error") || lower.contains("failed to lookup") {
        format!("the host name {host} cannot be resolved; check the account identifier and the network's DNS")
    } else if lower.contains("certificate") || lower.contains("unknownissuer") {
        format!(
            "the certificate of {host} is not trusted ({causes}); behind a private authority set CA Certificates File to \
             its PEM file"
        )
    } else if error.is_connect() {
        format!("{host} cannot be reached ({causes}); check network rules, proxy and firewall")
    } else {
        format!("the exchange with {host} broke off ({causes})")
    }
}

/// The innermost causes, without the URL, whose query may be long.
fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    match causes.last() {
        Some(last) => last.clone(),
        None if error.is_body() || error.is_decode() => "incomplete answer".to_owned(),
        None => "no further reason".to_owned(),
    }
}
