//! TLS with an authority of its own, made anew at each start unless it is kept.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Why certificates or keys could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("kept certificate: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
}

/// Certificates and key of the port, beside the authority's file.
const SERVER_FILE: &str = "server.pem";

/// What a port needs to speak TLS as `localhost` and `127.0.0.1`. The authority's certificate is written to `ca_file`.
/// When it is `kept`, that of an earlier start is used again, so that who trusts it need not be told.
pub(crate) fn acceptor(ca_file: &Path, kept: bool) -> Result<TlsAcceptor, TlsError> {
    let server_file = ca_file.with_file_name(SERVER_FILE);
    if !(kept && ca_file.exists() && server_file.exists()) {
        let pem = make(ca_file)?;
        if !kept {
            return serve(pem.as_bytes());
        }
        write_file(&server_file, pem.as_bytes(), true)?;
    }
    let pem = fs::read(&server_file).map_err(|error| TlsError::File(server_file, error))?;
    serve(&pem)
}

/// Makes an authority and a certificate, and gives the chain and the private key in PEM form.
fn make(ca_file: &Path) -> Result<String, TlsError> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name.push(DnType::CommonName, "Local cloud authority");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let key = KeyPair::generate()?;
    let mut server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    server.distinguished_name.push(DnType::CommonName, "localhost");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let certificate = server.signed_by(&key, &issuer)?;
    write_file(ca_file, ca_certificate.pem().as_bytes(), false)?;
    Ok(certificate.pem() + &ca_certificate.pem() + &key.serialize_pem())
}

fn serve(pem: &[u8]) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?;
    let private = PrivateKeyDer::from_pem_slice(pem)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The same for HTTP/1.1 only.
pub(crate) fn http1_only(acceptor: &TlsAcceptor) -> TlsAcceptor {
    let mut config = ServerConfig::clone(acceptor.config());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Makes an RSA key pair of 2,048 bits, writes the private half to `file` (PKCS#8, PEM, readable by the owner
/// only) and gives the public half (SubjectPublicKeyInfo, PEM). When it is `kept`, that of an earlier start is used.
pub(crate) fn user_key(file: &Path, kept: bool) -> Result<String, TlsError> {
    if kept && file.exists() {
        let pem = fs::read_to_string(file).map_err(|error| TlsError::File(file.to_owned(), error))?;
        return Ok(KeyPair::from_pem(&pem)?.public_key_pem());
    }
    let pair = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
    write_file(file, pair.serialize_pem().as_bytes(), true)?;
    Ok(pair.public_key_pem())
}

fn write_file(path: &Path, content: &[u8], private: bool) -> Result<(), TlsError> {
    let failed = |error| TlsError::File(path.to_owned(), error);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    options.open(path).and_then(|mut file| file.write_all(content)).map_err(failed)
}
