//! The private key of a key pair: loading, and the fingerprint Snowflake knows it by.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::EncodingKey;
use pkcs8::der::SecretDocument;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use secrecy::{ExposeSecret, SecretString};

/// OID of RSA keys in PKCS#8.
const RSA: &str = "1.2.840.113549.1.1.1";

/// An RSA key that signs tokens.
#[derive(Clone)]
pub(crate) struct SigningKey {
    pub(super) encoding: EncodingKey,
    /// `SHA256:` and the base64 of the digest of the public key, as `DESCRIBE USER` shows it in `RSA_PUBLIC_KEY_FP`.
    pub(super) fingerprint: String,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads PKCS#8 PEM text, plain or encrypted.
    ///
    /// # Errors
    /// Says what the text is instead, and how to convert it. Nothing of the key is in the text.
    pub(crate) fn load(pem: &SecretString, password: Option<&SecretString>) -> Result<Self, String> {
        let text = tidy(pem.expose_secret());
        let (label, document) =
            SecretDocument::from_pem(&text).map_err(|_| foreign(&text, "it is not PEM text"))?;
        let document = match label {
            "PRIVATE KEY" => document,
            "ENCRYPTED PRIVATE KEY" => decrypt(&document, password)?,
            other => return Err(foreign(&text, &format!("it is a {other}"))),
        };
        let info = PrivateKeyInfoRef::try_from(document.as_bytes())
            .map_err(|_| "the private key is damaged: its PKCS#8 structure cannot be read".to_owned())?;
        if info.algorithm.oid.to_string() != RSA {
            return Err(
                "the private key is not an RSA key; Snowflake takes RSA keys of 2048 bits or more".to_owned()
            );
        }
        let pair = RsaKeyPair::from_pkcs8(document.as_bytes()).map_err(|reason| {
            format!("the private key cannot be used: {reason}; use an RSA key of 2048 bits or more")
        })?;
        Ok(Self {
            encoding: EncodingKey::from_rsa_der(info.private_key.as_bytes()),
            fingerprint: fingerprint(&pair)?,
        })
    }
}

fn fingerprint(pair: &RsaKeyPair) -> Result<String, String> {
    let public: PublicKeyX509Der<'_> = pair
        .public_key()
        .as_der()
        .map_err(|_| "the public half of the private key cannot be computed".to_owned())?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, public.as_ref());
    Ok(format!("SHA256:{}", STANDARD.encode(digest.as_ref())))
}

fn decrypt(document: &SecretDocument, password: Option<&SecretString>) -> Result<SecretDocument, String> {
    let unsupported = || {
        "the private key is encrypted in a way that is not supported (PKCS#5 version 1); convert it with \
         'openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.p8 -out new.p8'"
            .to_owned()
    };
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| unsupported())?;
    if encrypted.encryption_algorithm.pbes2().is_none() {
        return Err(unsupported());
    }
    let password = password
        .ok_or_else(|| "the private key is encrypted and Private Key Password is empty; set it".to_owned())?;
    encrypted.decrypt(password.expose_secret()).map_err(|_| {
        "the private key cannot be decrypted: Private Key Password is wrong, or the cipher is not supported (AES-CBC and \
         3DES are)"
            .to_owned()
    })
}

/// Keys pasted into a property arrive with other line ends, indented, or with `\n` spelled out.
fn tidy(text: &str) -> String {
    let text = text.replace("\\n", "\n");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut tidy = lines.join("\n");
    tidy.push('\n');
    tidy
}

fn foreign(text: &str, otherwise: &str) -> String {
    let convert = "convert it with 'openssl pkcs8 -topk8 -in key.pem -out key.p8'";
    if text.contains("BEGIN RSA PRIVATE KEY") {
        format!(
            "the private key is PKCS#1 (BEGIN RSA PRIVATE KEY), PKCS#8 is needed; {convert} (add -nocrypt for a plain one)"
        )
    } else if text.contains("BEGIN EC PRIVATE KEY") {
        "the private key is an EC key; Snowflake takes RSA keys of 2048 bits or more".to_owned()
    } else if text.contains("BEGIN OPENSSH PRIVATE KEY") {
        "the private key is in OpenSSH form; create an RSA key with 'openssl genrsa 2048 | openssl pkcs8 -topk8 -out key.p8'"
            .to_owned()
    } else if text.contains("PUBLIC KEY") {
        "this is a public key; the private key is needed (BEGIN PRIVATE KEY or BEGIN ENCRYPTED PRIVATE KEY)"
            .to_owned()
    } else {
        format!(
            "the private key cannot be read: {otherwise}. PEM text is needed that begins with BEGIN PRIVATE KEY or \
             BEGIN ENCRYPTED PRIVATE KEY, with its line breaks"
        )
    }
}

#[cfg(test)]
mod tests {
    use pkcs8::der::Decode;
    use pkcs8::der::pem::LineEnding;
    use pkcs8::pkcs5::pbes2::Parameters;

    use super::*;

    fn generated() -> SecretDocument {
        let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        SecretDocument::try_from(der.as_ref()).unwrap()
    }

    fn encrypted(document: &SecretDocument, password: &str) -> String {
        let parameters = Parameters::generate_pbkdf2_sha256_aes256cbc(2048, &[7; 16], [9; 16]).unwrap();
        let info = PrivateKeyInfoRef::from_der(document.as_bytes()).unwrap();
        let encrypted = info.encrypt_with_params(parameters, password).unwrap();
        encrypted.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap().to_string()
    }

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    #[test]
    fn plain_and_encrypted_keys_have_the_same_fingerprint() {
        let document = generated();
        let plain = document.to_pem("PRIVATE KEY", LineEnding::LF).unwrap();
        let expected = SigningKey::load(&secret(&plain), None).unwrap().fingerprint;
        assert!(expected.starts_with("SHA256:") && expected.ends_with('='), "{expected}");
        let pem = encrypted(&document, "pass word");
        let loaded = SigningKey::load(&secret(&pem), Some(&secret("pass word"))).unwrap();
        assert_eq!(loaded.fingerprint, expected);
        let pasted = format!("  {}  ", plain.replace('\n', "\\n"));
        assert_eq!(SigningKey::load(&secret(&pasted), None).unwrap().fingerprint, expected);
        let windows = plain.replace('\n', "\r\n   ");
        assert_eq!(SigningKey::load(&secret(&windows), None).unwrap().fingerprint, expected);
    }

    #[test]
    fn what_is_not_a_key_is_named() {
        let document = generated();
        let encrypted = encrypted(&document, "right");
        let plain = document.to_pem("PRIVATE KEY", LineEnding::LF).unwrap();
        let cases = [
            (encrypted.clone(), None, "Private Key Password is empty"),
            (encrypted.clone(), Some("wrong"), "Private Key Password is wrong"),
            (plain.replace("PRIVATE KEY", "RSA PRIVATE KEY"), None, "PKCS#1"),
            (plain.replace("PRIVATE KEY", "EC PRIVATE KEY"), None, "EC key"),
            (plain.replace("PRIVATE KEY", "OPENSSH PRIVATE KEY"), None, "OpenSSH"),
            (plain.replace("PRIVATE KEY", "PUBLIC KEY"), None, "public key"),
            ("secret-token".to_owned(), None, "BEGIN PRIVATE KEY"),
            (plain[..200].to_owned(), None, "BEGIN PRIVATE KEY"),
        ];
        for (text, password, expected) in cases {
            let error = SigningKey::load(&secret(&text), password.map(secret).as_ref()).unwrap_err();
            assert!(error.contains(expected), "{error} should contain {expected}");
            assert!(!error.contains("secret-token"));
        }
    }

    fn pem(document: &[u8]) -> String {
        let document = SecretDocument::try_from(document).unwrap();
        document.to_pem("PRIVATE KEY", LineEnding::LF).unwrap().to_string()
    }

    #[test]
    fn keys_that_snowflake_does_not_take_are_named() {
        let curve = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = aws_lc_rs::rand::SystemRandom::new();
        let ec = aws_lc_rs::signature::EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
        let error = SigningKey::load(&secret(&pem(ec.as_ref())), None).unwrap_err();
        assert!(error.contains("is not an RSA key") && error.contains("2048 bits"), "{error}");
        let made = std::process::Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"])
            .output()
            .expect("the tests need openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let short = String::from_utf8(made.stdout).unwrap();
        let error = SigningKey::load(&secret(&short), None).unwrap_err();
        assert!(error.contains("cannot be used") && error.contains("2048 bits"), "{error}");
    }

    /// PBE with MD5 and DES, which openssl 3 no longer makes by itself: what comes before the bytes says enough.
    const PKCS5_VERSION_1: &[u8] =
        b"\x30\x29\x30\x1b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x03\x30\x0e\x04\x08saltsalt\
        \x02\x02\x08\x00\x04\x0a0123456789";

    #[test]
    fn a_cipher_of_old_is_named_with_its_remedy() {
        let document = SecretDocument::try_from(PKCS5_VERSION_1).unwrap();
        let text = document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap();
        let error = SigningKey::load(&secret(&text), Some(&secret("right"))).unwrap_err();
        assert!(error.contains("aes-256-cbc"), "{error}");
    }

    #[test]
    fn every_usual_encryption_is_read() {
        let document = generated();
        let plain = document.to_pem("PRIVATE KEY", LineEnding::LF).unwrap();
        let expected = SigningKey::load(&secret(&plain), None).unwrap().fingerprint;
        let folder = std::env::temp_dir().join(format!("shardflow-keys-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join("plain.p8"), folder.join("encrypted.p8"));
        std::fs::write(&from, plain.as_bytes()).unwrap();
        let convert = |options: &[&str]| {
            let output = std::process::Command::new("openssl")
                .args(["pkcs8", "-topk8", "-passout", "pass:right", "-in"])
                .arg(&from)
                .arg("-out")
                .arg(&to)
                .args(options)
                .output();
            let output = output.expect("the tests need openssl");
            assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        for options in [
            &["-v2", "aes-128-cbc"][..],
            &["-v2", "aes-192-cbc"],
            &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"],
            &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"],
            &["-v2", "des3"],
            &["-scrypt"],
        ] {
            convert(options);
            let text = std::fs::read_to_string(&to).unwrap();
            let key = SigningKey::load(&secret(&text), Some(&secret("right"))).map(|key| key.fingerprint);
            assert_eq!(key.as_ref(), Ok(&expected), "{options:?}");
            let wrong = SigningKey::load(&secret(&text), Some(&secret("wrong"))).unwrap_err();
            assert!(wrong.contains("is wrong"), "{wrong}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
