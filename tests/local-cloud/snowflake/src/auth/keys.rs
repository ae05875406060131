//! Registered public keys and their fingerprints.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A user's RSA public key as the base64 text of its DER SubjectPublicKeyInfo, as in `RSA_PUBLIC_KEY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PublicKey {
    base64_der: String,
}

impl PublicKey {
    /// Reads PEM text, or the bare base64 text between its delimiters.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let base64_der: String =
            text.lines().filter(|line| !line.starts_with("-----")).flat_map(str::split_whitespace).collect();
        let key = PublicKey { base64_der };
        key.der()?;
        jsonwebtoken::DecodingKey::from_rsa_pem(key.pem().as_bytes()).ok()?;
        Some(key)
    }

    /// `SHA256:<base64>` over the DER form, as `DESCRIBE USER` shows it in `RSA_PUBLIC_KEY_FP`.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.der().unwrap_or_default());
        format!("SHA256:{}", STANDARD.encode(digest))
    }

    pub(crate) fn pem(&self) -> String {
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        for line in self.base64_der.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END PUBLIC KEY-----\n");
        pem
    }

    fn der(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.base64_der).ok().filter(|der| !der.is_empty())
    }
}
