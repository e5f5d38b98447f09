//! What TLS knows of a connection: version, and the certificates of both ends. The certificates are read in `ngx_wasm::x509`, not
//! by the TLS library.

use ngx_wasm::x509;

use crate::nginx::tls::{self, End, Side};

/// Appends a property of a connection; false when it has no TLS, or TLS does not have it.
pub fn get(side: Side<'_>, path: &[u8], value: &mut Vec<u8>) -> bool {
    let Some(found) = find(side, path) else { return false };
    value.extend_from_slice(&found);
    true
}

fn find(side: Side<'_>, path: &[u8]) -> Option<Vec<u8>> {
    let certificate = |end| tls::certificate(side, end);
    match path {
        b"tls_version" => Some(tls::version(side)?.to_vec()),
        b"subject_local_certificate" => x509::subject(&certificate(End::Local)?),
        b"subject_peer_certificate" => x509::subject(&certificate(End::Peer)?),
        b"dns_san_local_certificate" => x509::dns_name(&certificate(End::Local)?),
        b"dns_san_peer_certificate" => x509::dns_name(&certificate(End::Peer)?),
        b"uri_san_local_certificate" => x509::uri(&certificate(End::Local)?),
        b"uri_san_peer_certificate" => x509::uri(&certificate(End::Peer)?),
        b"sha256_peer_certificate_digest" => Some(x509::sha256(&certificate(End::Peer)?)),
        b"peer_certificate" => x509::pem(&certificate(End::Peer)?),
        _ => None,
    }
}
