//! `sign` and `verify_signature`: RSA (PKCS #1 v1.5) and ECDSA over a SHA hash, with keys in DER or PEM.

use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier, RandomizedPrehashSigner};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use prost::Message;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::der::asn1::ObjectIdentifier;
use rsa::pkcs8::der::{Decode, SecretDocument};
use rsa::pkcs8::{Document, PrivateKeyInfo, SubjectPublicKeyInfoRef};
use rsa::rand_core::OsRng;
use rsa::{Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::Call;
use crate::proxy_wasm::types::Status;

/// The largest key that is looked at: an RSA key of 4096 bits, the largest that is used, takes less than 4 KiB.
const MAX_KEY: usize = 16 << 10;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// Envoy's message of this name.
#[derive(Clone, PartialEq, Message)]
struct SignArguments {
    #[prost(string, tag = "1")]
    hash_function: String,
    #[prost(bytes = "vec", tag = "2")]
    private_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    text: Vec<u8>,
    #[prost(string, tag = "4")]
    private_key_pem: String,
}

/// Envoy's message of this name.
#[derive(Clone, PartialEq, Message)]
struct SignResult {
    #[prost(bool, tag = "1")]
    result: bool,
    #[prost(bytes = "vec", tag = "2")]
    signature: Vec<u8>,
    #[prost(string, tag = "3")]
    error: String,
}

/// Envoy's message of this name.
#[derive(Clone, PartialEq, Message)]
struct VerifySignatureArguments {
    #[prost(string, tag = "1")]
    hash_function: String,
    #[prost(bytes = "vec", tag = "2")]
    public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    text: Vec<u8>,
    #[prost(string, tag = "5")]
    public_key_pem: String,
}

/// Envoy's message of this name.
#[derive(Clone, PartialEq, Message)]
struct VerifySignatureResult {
    #[prost(bool, tag = "1")]
    result: bool,
    #[prost(string, tag = "2")]
    error: String,
}

/// `sign`: a key that cannot be read is BadArgument, every other failure is told in the result.
pub(super) fn sign(_: &mut Call<'_>, arguments: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let arguments = SignArguments::decode(arguments).map_err(|_| Status::BadArgument)?;
    let key = PrivateKey::read(&arguments.private_key, &arguments.private_key_pem)?;
    let signed = Hash::find(&arguments.hash_function).and_then(|hash| key.sign(hash, &arguments.text));
    let result = match signed {
        Ok(signature) => SignResult { result: true, signature, error: String::new() },
        Err(error) => SignResult { error, ..SignResult::default() },
    };
    result.encode(out).map_err(|_| Status::SerializationFailure)
}

/// `verify_signature`: a key that cannot be read is BadArgument, every other failure is told in the result.
pub(super) fn verify(_: &mut Call<'_>, arguments: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let arguments = VerifySignatureArguments::decode(arguments).map_err(|_| Status::BadArgument)?;
    let key = PublicKey::read(&arguments.public_key, &arguments.public_key_pem)?;
    let verified =
        Hash::find(&arguments.hash_function).and_then(|hash| key.verify(hash, &arguments.text, &arguments.signature));
    let result = match verified {
        Ok(()) => VerifySignatureResult { result: true, error: String::new() },
        Err(error) => VerifySignatureResult { error, ..VerifySignatureResult::default() },
    };
    result.encode(out).map_err(|_| Status::SerializationFailure)
}

#[derive(Clone, Copy)]
enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn find(name: &str) -> Result<Hash, String> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "sha1" => Hash::Sha1,
            "sha224" => Hash::Sha224,
            "sha256" => Hash::Sha256,
            "sha384" => Hash::Sha384,
            "sha512" => Hash::Sha512,
            _ => return Err(format!("{name} is not supported.")),
        })
    }

    fn of(self, text: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha1 => Sha1::digest(text).to_vec(),
            Hash::Sha224 => Sha224::digest(text).to_vec(),
            Hash::Sha256 => Sha256::digest(text).to_vec(),
            Hash::Sha384 => Sha384::digest(text).to_vec(),
            Hash::Sha512 => Sha512::digest(text).to_vec(),
        }
    }

    fn padding(self) -> Pkcs1v15Sign {
        match self {
            Hash::Sha1 => Pkcs1v15Sign::new::<Sha1>(),
            Hash::Sha224 => Pkcs1v15Sign::new::<Sha224>(),
            Hash::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
            Hash::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
            Hash::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
        }
    }

    /// The hash as the number that ECDSA makes of it, in at least as many bytes as the curve has: zeros in front change
    /// nothing, and a hash that is too long is cut by the curve's own code.
    fn number(self, text: &[u8], field: usize) -> Vec<u8> {
        let hash = self.of(text);
        let mut number = vec![0; field.saturating_sub(hash.len())];
        number.extend(hash);
        number
    }
}

const UNSUPPORTED: &str = "The key is neither RSA nor ECDSA on P-256, P-384 or P-521.";

enum PrivateKey {
    Rsa(Box<RsaPrivateKey>),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    P521(p521::SecretKey),
    Unsupported,
}

impl PrivateKey {
    /// A key in DER (PKCS #8) or PEM (PKCS #8, or the older forms for RSA and EC), just one of them.
    fn read(der: &[u8], pem: &str) -> Result<PrivateKey, Status> {
        match exactly_one(der, pem)? {
            Form::Der(der) => PrivateKey::pkcs8(der),
            Form::Pem(pem) => {
                let (label, document) = SecretDocument::from_pem(key_block(pem)).map_err(|_| Status::BadArgument)?;
                let der = document.as_bytes();
                match label {
                    "PRIVATE KEY" => PrivateKey::pkcs8(der),
                    "RSA PRIVATE KEY" => match RsaPrivateKey::from_pkcs1_der(der) {
                        Ok(key) => Ok(PrivateKey::Rsa(Box::new(key))),
                        Err(_) => Err(Status::BadArgument),
                    },
                    "EC PRIVATE KEY" => None
                        .or_else(|| p256::SecretKey::from_sec1_der(der).ok().map(PrivateKey::P256))
                        .or_else(|| p384::SecretKey::from_sec1_der(der).ok().map(PrivateKey::P384))
                        .or_else(|| p521::SecretKey::from_sec1_der(der).ok().map(PrivateKey::P521))
                        .ok_or(Status::BadArgument),
                    _ => Err(Status::BadArgument),
                }
            }
        }
    }

    fn pkcs8(der: &[u8]) -> Result<PrivateKey, Status> {
        let info = PrivateKeyInfo::from_der(der).map_err(|_| Status::BadArgument)?;
        let curve = info.algorithm.parameters_oid().ok();
        let key = match (info.algorithm.oid, curve) {
            (RSA, _) => RsaPrivateKey::try_from(info).ok().map(|key| PrivateKey::Rsa(Box::new(key))),
            (EC, Some(P256)) => p256::SecretKey::try_from(info).ok().map(PrivateKey::P256),
            (EC, Some(P384)) => p384::SecretKey::try_from(info).ok().map(PrivateKey::P384),
            (EC, Some(P521)) => p521::SecretKey::try_from(info).ok().map(PrivateKey::P521),
            _ => Some(PrivateKey::Unsupported),
        };
        key.ok_or(Status::BadArgument)
    }

    fn sign(&self, hash: Hash, text: &[u8]) -> Result<Vec<u8>, String> {
        let failed = |_| "Failed to sign.".to_owned();
        match self {
            PrivateKey::Rsa(key) => {
                // With random blinding, so that the time it takes tells nothing about the key.
                key.sign_with_rng(&mut OsRng, hash.padding(), &hash.of(text)).map_err(|_| "Failed to sign.".to_owned())
            }
            PrivateKey::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    p256::ecdsa::SigningKey::from(key).sign_prehash(&hash.number(text, 32)).map_err(failed)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
            PrivateKey::P384(key) => {
                let signature: p384::ecdsa::Signature =
                    p384::ecdsa::SigningKey::from(key).sign_prehash(&hash.number(text, 48)).map_err(failed)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
            PrivateKey::P521(key) => {
                let signature: p521::ecdsa::Signature = p521::ecdsa::SigningKey::from_bytes(&key.to_bytes())
                    .and_then(|key| key.sign_prehash_with_rng(&mut OsRng, &hash.number(text, 66)))
                    .map_err(failed)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
            PrivateKey::Unsupported => Err(UNSUPPORTED.to_owned()),
        }
    }
}

enum PublicKey {
    Rsa(RsaPublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
    Unsupported,
}

impl PublicKey {
    /// A key in DER or PEM (SubjectPublicKeyInfo), just one of them.
    fn read(der: &[u8], pem: &str) -> Result<PublicKey, Status> {
        match exactly_one(der, pem)? {
            Form::Der(der) => PublicKey::info(der),
            Form::Pem(pem) => match Document::from_pem(key_block(pem)) {
                Ok(("PUBLIC KEY", document)) => PublicKey::info(document.as_bytes()),
                _ => Err(Status::BadArgument),
            },
        }
    }

    fn info(der: &[u8]) -> Result<PublicKey, Status> {
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| Status::BadArgument)?;
        let curve = info.algorithm.parameters_oid().ok();
        let key = match (info.algorithm.oid, curve) {
            (RSA, _) => RsaPublicKey::try_from(info).ok().map(PublicKey::Rsa),
            (EC, Some(P256)) => {
                p256::PublicKey::try_from(info).ok().map(|key| PublicKey::P256(p256::ecdsa::VerifyingKey::from(key)))
            }
            (EC, Some(P384)) => {
                p384::PublicKey::try_from(info).ok().map(|key| PublicKey::P384(p384::ecdsa::VerifyingKey::from(key)))
            }
            (EC, Some(P521)) => p521::PublicKey::try_from(info)
                .ok()
                .and_then(|key| p521::ecdsa::VerifyingKey::from_encoded_point(&key.to_encoded_point(false)).ok())
                .map(PublicKey::P521),
            _ => Some(PublicKey::Unsupported),
        };
        key.ok_or(Status::BadArgument)
    }

    fn verify(&self, hash: Hash, text: &[u8], signature: &[u8]) -> Result<(), String> {
        let good = match self {
            PublicKey::Rsa(key) => key.verify(hash.padding(), &hash.of(text), signature).is_ok(),
            PublicKey::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&hash.number(text, 32), &signature).is_ok()),
            PublicKey::P384(key) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&hash.number(text, 48), &signature).is_ok()),
            PublicKey::P521(key) => p521::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(&hash.number(text, 66), &signature).is_ok()),
            PublicKey::Unsupported => return Err(UNSUPPORTED.to_owned()),
        };
        if good { Ok(()) } else { Err("Failed to verify digest.".to_owned()) }
    }
}

enum Form<'a> {
    Der(&'a [u8]),
    Pem(&'a str),
}

fn exactly_one<'a>(der: &'a [u8], pem: &'a str) -> Result<Form<'a>, Status> {
    if der.len() > MAX_KEY || pem.len() > MAX_KEY {
        return Err(Status::BadArgument);
    }
    match (der, pem) {
        ([], "") => Err(Status::BadArgument),
        (der, "") => Ok(Form::Der(der)),
        ([], pem) => Ok(Form::Pem(pem)),
        _ => Err(Status::BadArgument),
    }
}

/// The first part of a PEM text that is a key: text may stand before, and OpenSSL likes to write the curve's parameters.
fn key_block(pem: &str) -> &str {
    let mut rest = pem;
    while let Some(at) = rest.find("-----BEGIN ") {
        let block = &rest[at..];
        let label = block["-----BEGIN ".len()..].split("-----").next().unwrap_or_default();
        if label.ends_with("KEY") {
            return block;
        }
        rest = &block[1..];
    }
    pem
}

#[cfg(test)]
mod tests;
