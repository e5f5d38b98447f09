//! What properties tell of a certificate: its subject, the first names that it is for, its digest, its PEM form.
//! `ngx_module/src/http/properties/tls.rs` is the caller, with certificates of peers: nothing in them is trusted to be well
//! formed, and what cannot be read is not there.

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::pem::{self, LineEnding};
use x509_cert::der::{Decode, Encode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use sha2::{Digest, Sha256};

/// The subject as RFC 2253 writes it: last part first, in the form that OpenSSL and Envoy give it.
pub fn subject(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = parse(der)?;
    let mut out = Vec::new();
    for part in certificate.tbs_certificate.subject.0.iter().rev() {
        let mut separator = b',';
        for attribute in part.0.iter().rev() {
            if !out.is_empty() {
                out.push(separator);
            }
            separator = b'+';
            write_attribute(attribute, &mut out)?;
        }
    }
    Some(out)
}

/// The first DNS name among the alternative names.
pub fn dns_name(der: &[u8]) -> Option<Vec<u8>> {
    alternative_name(der, |name| match name {
        GeneralName::DnsName(name) => Some(name.as_bytes()),
        _ => None,
    })
}

/// The first URI among the alternative names.
pub fn uri(der: &[u8]) -> Option<Vec<u8>> {
    alternative_name(der, |name| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_bytes()),
        _ => None,
    })
}

/// The SHA-256 digest, in hexadecimal digits.
pub fn sha256(der: &[u8]) -> Vec<u8> {
    let mut digits = Vec::with_capacity(64);
    for byte in Sha256::digest(der) {
        push_hex(byte, b"0123456789abcdef", &mut digits);
    }
    digits
}

/// The certificate as PEM.
pub fn pem(der: &[u8]) -> Option<Vec<u8>> {
    pem::encode_string("CERTIFICATE", LineEnding::LF, der).ok().map(String::into_bytes)
}

/// Certificates of old authorities bend rules about numbers and dates, which do not matter here.
fn parse(der: &[u8]) -> Option<CertificateInner<Raw>> {
    CertificateInner::from_der(der).ok()
}

fn alternative_name(der: &[u8], wanted: impl Fn(&GeneralName) -> Option<&[u8]>) -> Option<Vec<u8>> {
    let certificate = parse(der)?;
    let extensions = certificate.tbs_certificate.extensions.as_ref()?;
    let names = extensions.iter().find(|extension| extension.extn_id == SubjectAltName::OID)?;
    let names = SubjectAltName::from_der(names.extn_value.as_bytes()).ok()?;
    names.0.iter().find_map(|name| wanted(name).map(<[u8]>::to_vec))
}

fn write_attribute(attribute: &AttributeTypeAndValue, out: &mut Vec<u8>) -> Option<()> {
    let name = short_name(&attribute.oid);
    match name {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => out.extend_from_slice(attribute.oid.to_string().as_bytes()),
    }
    out.push(b'=');
    // Values of unknown meaning, and those that are no text, are shown as their encoding.
    match name.and_then(|_| as_text(attribute.value.tag(), attribute.value.value())) {
        Some(text) => write_escaped(&text, out),
        None => {
            out.push(b'#');
            for byte in attribute.value.to_der().ok()? {
                push_hex(byte, UPPER, out);
            }
        }
    }
    Some(())
}

const UPPER: &[u8; 16] = b"0123456789ABCDEF";

fn push_hex(byte: u8, digits: &[u8; 16], out: &mut Vec<u8>) {
    out.push(digits[usize::from(byte >> 4)]);
    out.push(digits[usize::from(byte & 15)]);
}

/// OpenSSL's short names of attributes, the ones that occur in subjects.
fn short_name(oid: &ObjectIdentifier) -> Option<&'static str> {
    const NAMES: &[(&str, &str)] = &[
        ("2.5.4.3", "CN"),
        ("2.5.4.4", "SN"),
        ("2.5.4.5", "serialNumber"),
        ("2.5.4.6", "C"),
        ("2.5.4.7", "L"),
        ("2.5.4.8", "ST"),
        ("2.5.4.9", "street"),
        ("2.5.4.10", "O"),
        ("2.5.4.11", "OU"),
        ("2.5.4.12", "title"),
        ("2.5.4.13", "description"),
        ("2.5.4.15", "businessCategory"),
        ("2.5.4.17", "postalCode"),
        ("2.5.4.20", "telephoneNumber"),
        ("2.5.4.41", "name"),
        ("2.5.4.42", "GN"),
        ("2.5.4.43", "initials"),
        ("2.5.4.44", "generationQualifier"),
        ("2.5.4.45", "x500UniqueIdentifier"),
        ("2.5.4.46", "dnQualifier"),
        ("2.5.4.65", "pseudonym"),
        ("2.5.4.97", "organizationIdentifier"),
        ("0.9.2342.19200300.100.1.1", "UID"),
        ("0.9.2342.19200300.100.1.25", "DC"),
        ("1.2.840.113549.1.9.1", "emailAddress"),
        ("1.2.840.113549.1.9.2", "unstructuredName"),
        ("1.2.840.113549.1.9.8", "unstructuredAddress"),
        ("1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL"),
        ("1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST"),
        ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"),
    ];
    let dotted = oid.to_string();
    NAMES.iter().find(|(number, _)| *number == dotted).map(|(_, name)| *name)
}

/// A value as UTF-8; none when its type is not one of characters.
fn as_text(tag: Tag, value: &[u8]) -> Option<Vec<u8>> {
    let of_chars = |mut chars: Box<dyn Iterator<Item = u32> + '_>| {
        let text = chars.try_fold(String::new(), |mut text, number| {
            text.push(char::from_u32(number)?);
            Some(text)
        });
        text.map(String::into_bytes)
    };
    match tag {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString
        | Tag::UtcTime
        | Tag::GeneralizedTime => Some(value.to_vec()),
        Tag::TeletexString => of_chars(Box::new(value.iter().map(|byte| u32::from(*byte)))),
        Tag::BmpString => {
            of_chars(Box::new(value.chunks(2).map(|pair| pair.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))))
        }
        _ => None,
    }
}

/// Escapes what RFC 2253 reserves, control characters, and everything that is not ASCII.
fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    for (n, byte) in text.iter().enumerate() {
        let is_first = n == 0;
        let is_last = n + 1 == text.len();
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => out.extend([b'\\', *byte]),
            b'#' if is_first => out.extend([b'\\', b'#']),
            b' ' if is_first || is_last => out.extend([b'\\', b' ']),
            b' '..=b'~' => out.push(*byte),
            _ => {
                out.push(b'\\');
                push_hex(*byte, UPPER, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by openssl, with the subject, names and digest below.
    const PEM: &str = "\
-----BEGIN CERTIFICATE-----
MIIB4jCCAYegAwIBAgIURNd/fJN33GwH0qy3CghbgJgvVTQwCgYIKoZIzj0EAwIw
PjETMBEGCgmSJomT8ixkARkWA29yZzERMA8GA1UECgwIw5ZyZyAicSIxFDASBgNV
BAMMCyBjbGllbnQgIzEgMB4XDTI2MTEyMTA3MzI1OFoXDTI2MTEzMDA3MzI1OFow
PjETMBEGCgmSJomT8ixkARkWA29yZzERMA8GA1UECgwIw5ZyZyAicSIxFDASBgNV
BAMMCyBjbGllbnQgIzEgMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbBFKif/B
ZL3GkfDQL9psmymvRZWI9Iqxar+O1bfLYnGgoEY4SqnLX0uDGbotN8F0z3dkeAbC
7gF9XDj1kTp0P6NjMGEwQAYDVR0RBDkwN4ELYUBiLmV4YW1wbGWGDnNwaWZmZTov
L3gvb25lggtvbmUuZXhhbXBsZYILdHdvLmV4YW1wbGUwHQYDVR0OBBYEFF2prvDV
8ODRDbAdVgg7pSaiH+0HMAoGCCqGSM49BAMCA0kAMEYCIQCdbWQgf06fvG+9N6WN
5d61m05Zh4PRtET07Rwe5c5OYQIhANXDo8seEMD8ViCTz4vONN1ahNlwgM168671
WRdOQfDt
-----END CERTIFICATE-----
";
    const SUBJECT: &str = r#"CN=\ client #1\ ,O=\C3\96rg \"q\",DC=org"#;

    fn der() -> Vec<u8> {
        pem::decode_vec(PEM.as_bytes()).unwrap().1
    }

    #[test]
    fn a_subject_is_written_as_openssl_does() {
        assert_eq!(subject(&der()).as_deref(), Some(SUBJECT.as_bytes()));
    }

    #[test]
    fn the_first_name_of_a_kind_counts() {
        assert_eq!(dns_name(&der()).as_deref(), Some(&b"one.example"[..]));
        assert_eq!(uri(&der()).as_deref(), Some(&b"spiffe://x/one"[..]));
    }

    #[test]
    fn the_digest_is_that_of_the_encoding() {
        let digest = "85d9c8cdea4c4370d9b6045e135fc491ffda0351e096992c4c0f90c564196e8e";
        assert_eq!(sha256(&der()), digest.as_bytes());
    }

    #[test]
    fn pem_is_what_it_was_made_from() {
        assert_eq!(super::pem(&der()).as_deref(), Some(PEM.as_bytes()));
    }

    #[test]
    fn what_is_no_certificate_has_nothing() {
        let der = der();
        for len in 0..der.len() {
            assert_eq!(subject(&der[..len]), None, "{len} bytes");
            assert_eq!(dns_name(&der[..len]), None, "{len} bytes");
        }
        for n in 0..der.len() {
            let mut broken = der.clone();
            broken[n] ^= 0xff;
            // Whatever comes out: it ends, without a panic.
            let _ = (subject(&broken), dns_name(&broken), uri(&broken));
        }
    }

    #[test]
    fn an_unknown_attribute_is_shown_as_its_encoding() {
        let attribute = AttributeTypeAndValue {
            oid: ObjectIdentifier::new("1.2.3.4").unwrap(),
            value: x509_cert::der::Any::new(Tag::Utf8String, *b"other").unwrap(),
        };
        let mut out = Vec::new();
        write_attribute(&attribute, &mut out).unwrap();
        assert_eq!(out, b"1.2.3.4=#0C056F74686572");
    }

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        write_escaped(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn reserved_characters_are_escaped() {
        assert_eq!(escaped(r#"a,b+c"d\e<f>g;h"#), r#"a\,b\+c\"d\\e\<f\>g\;h"#);
        assert_eq!(escaped("#a#"), "\\#a#");
        assert_eq!(escaped("  a b  "), "\\  a b \\ ");
        assert_eq!(escaped(" "), "\\ ");
        assert_eq!(escaped("\t\u{e9}\u{7f}"), "\\09\\C3\\A9\\7F");
    }

    #[test]
    fn old_kinds_of_text_become_utf_8() {
        assert_eq!(as_text(Tag::TeletexString, b"\xe9").as_deref(), Some("\u{e9}".as_bytes()));
        assert_eq!(as_text(Tag::BmpString, b"\x20\xac\x00a").as_deref(), Some("\u{20ac}a".as_bytes()));
        assert_eq!(as_text(Tag::BmpString, b"\xd8\x00"), None, "half of a pair");
        assert_eq!(as_text(Tag::OctetString, b"a"), None);
    }
}
