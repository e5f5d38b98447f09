//! Signing and verifying, against keys and signatures of OpenSSL.

mod keys;

use keys::*;

use super::*;
use crate::proxy_wasm::foreign::tests_support::{Fixture, hex};

const TEXT: &[u8] = b"some text";

fn sign_with(arguments: &SignArguments) -> Result<SignResult, Status> {
    Ok(SignResult::decode(Fixture::default().call("sign", &arguments.encode_to_vec())?.as_slice()).unwrap())
}

fn verify_with(arguments: &VerifySignatureArguments) -> Result<VerifySignatureResult, Status> {
    let bytes = Fixture::default().call("verify_signature", &arguments.encode_to_vec())?;
    Ok(VerifySignatureResult::decode(bytes.as_slice()).unwrap())
}

fn to_sign(key: &str, hash: &str) -> SignArguments {
    let text = TEXT.to_vec();
    SignArguments { hash_function: hash.to_owned(), private_key_pem: key.to_owned(), text, ..SignArguments::default() }
}

fn to_verify(key: &str, hash: &str, signature: Vec<u8>) -> VerifySignatureArguments {
    VerifySignatureArguments {
        hash_function: hash.to_owned(),
        public_key_pem: key.to_owned(),
        signature,
        text: TEXT.to_vec(),
        ..VerifySignatureArguments::default()
    }
}

fn der(pem: &str) -> Vec<u8> {
    Document::from_pem(pem).unwrap().1.as_bytes().to_vec()
}

const PAIRS: [(&str, &str, [&str; 5]); 4] = [
    (RSA_PRIVATE, RSA_PUBLIC, RSA_SIGNATURES),
    (P256_PRIVATE, P256_PUBLIC, P256_SIGNATURES),
    (P384_PRIVATE, P384_PUBLIC, P384_SIGNATURES),
    (P521_PRIVATE, P521_PUBLIC, P521_SIGNATURES),
];

#[test]
fn signatures_of_openssl_are_good_and_changed_ones_are_not() {
    for (_, key, signatures) in PAIRS {
        for (hash, signature) in HASHES.iter().zip(signatures) {
            let good = to_verify(key, hash, hex(signature));
            let what = format!("{hash} {key}");
            assert_eq!(verify_with(&good), Ok(VerifySignatureResult { result: true, error: String::new() }), "{what}");
            let mut bad = good.clone();
            bad.text.push(b'!');
            let failed = VerifySignatureResult { result: false, error: "Failed to verify digest.".to_owned() };
            assert_eq!(verify_with(&bad), Ok(failed.clone()), "{what}");
            let mut bad = good.clone();
            *bad.signature.last_mut().unwrap() ^= 1;
            assert_eq!(verify_with(&bad), Ok(failed.clone()), "{what}");
            for signature in [vec![], good.signature[1..].to_vec()] {
                assert_eq!(verify_with(&VerifySignatureArguments { signature, ..good.clone() }), Ok(failed.clone()));
            }
        }
    }
}

#[test]
fn what_was_signed_verifies() {
    for (private, public, _) in PAIRS {
        for hash in HASHES {
            let signed = sign_with(&to_sign(private, hash)).unwrap();
            assert!(signed.result && signed.error.is_empty(), "{hash} {private}");
            assert!(verify_with(&to_verify(public, hash, signed.signature)).unwrap().result, "{hash} {private}");
        }
    }
}

#[test]
fn an_rsa_signature_is_that_of_openssl() {
    // It has no random part.
    assert_eq!(sign_with(&to_sign(RSA_PRIVATE, "SHA256")).unwrap().signature, hex(RSA_SIGNATURES[2]));
}

#[test]
fn keys_can_be_der() {
    for (private, public, _) in PAIRS {
        let arguments =
            SignArguments { private_key: der(private), private_key_pem: String::new(), ..to_sign(private, "sha256") };
        let signature = sign_with(&arguments).unwrap().signature;
        let arguments = to_verify("", "sha256", signature);
        assert!(verify_with(&VerifySignatureArguments { public_key: der(public), ..arguments }).unwrap().result);
    }
}

#[test]
fn older_forms_of_private_keys_are_read_from_pem() {
    for (private, public) in [(RSA_PKCS1, RSA_PUBLIC), (P256_SEC1, P256_PUBLIC)] {
        let signature = sign_with(&to_sign(private, "sha256")).unwrap().signature;
        assert!(verify_with(&to_verify(public, "sha256", signature)).unwrap().result, "{private}");
    }
}

#[test]
fn an_unknown_hash_and_another_kind_of_key_are_told_in_the_result() {
    let error = "md5 is not supported.".to_owned();
    assert_eq!(
        sign_with(&to_sign(RSA_PRIVATE, "md5")),
        Ok(SignResult { error: error.clone(), ..SignResult::default() })
    );
    assert_eq!(verify_with(&to_verify(RSA_PUBLIC, "md5", vec![])), Ok(VerifySignatureResult { result: false, error }));
    let signed = sign_with(&to_sign(ED25519_PRIVATE, "sha256")).unwrap();
    assert_eq!((signed.result, signed.error.as_str()), (false, UNSUPPORTED));
    let verified = verify_with(&to_verify(ED25519_PUBLIC, "sha256", vec![])).unwrap();
    assert_eq!((verified.result, verified.error.as_str()), (false, UNSUPPORTED));
}

#[test]
fn not_just_one_readable_key_is_a_bad_argument() {
    for pem in [
        "",
        "no key",
        RSA_PUBLIC,
        &RSA_PRIVATE[..300],
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ] {
        assert_eq!(sign_with(&to_sign(pem, "sha256")), Err(Status::BadArgument), "{pem}");
    }
    for pem in
        ["", "no key", RSA_PRIVATE, &RSA_PUBLIC[..200], "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
    {
        assert_eq!(verify_with(&to_verify(pem, "sha256", vec![1])), Err(Status::BadArgument), "{pem}");
    }
    let both = SignArguments { private_key: der(RSA_PRIVATE), ..to_sign(RSA_PRIVATE, "sha256") };
    assert_eq!(sign_with(&both), Err(Status::BadArgument));
    let both = VerifySignatureArguments { public_key: der(RSA_PUBLIC), ..to_verify(RSA_PUBLIC, "sha256", vec![1]) };
    assert_eq!(verify_with(&both), Err(Status::BadArgument));
    let large = SignArguments { private_key: vec![0; MAX_KEY + 1], ..to_sign("", "sha256") };
    assert_eq!(sign_with(&large), Err(Status::BadArgument));
}

#[test]
fn every_damaged_key_is_refused_or_does_not_verify() {
    for (_, public, signatures) in PAIRS {
        let key = der(public);
        for place in 0..key.len() {
            let mut key = key.clone();
            key[place] ^= 1;
            let arguments = VerifySignatureArguments { public_key: key, ..to_verify("", "sha256", hex(signatures[2])) };
            match verify_with(&arguments) {
                Err(status) => assert_eq!(status, Status::BadArgument),
                Ok(verified) => assert!(!verified.result, "byte {place} of {public}"),
            }
        }
    }
}

#[test]
fn what_is_no_message_is_a_bad_argument() {
    for function in ["sign", "verify_signature"] {
        for bytes in [&b"\x0a\x05ab"[..], b"\x0a\x01\xff", b"\xff"] {
            assert_eq!(Fixture::default().call(function, bytes), Err(Status::BadArgument), "{function} {bytes:?}");
        }
    }
}
