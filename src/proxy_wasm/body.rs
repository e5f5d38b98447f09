//! The rule by which `proxy_set_buffer_bytes` changes a body. Hosts keep bodies in ways of their own, and call this for what
//! they hold in memory. Source: specification 0.2.1, `proxy_set_buffer_bytes`.

/// Puts `bytes` in the place of `size` bytes from `start` on. A start and a size of 0 prepend, a start at the end or behind
/// it appends, and what `size` reaches behind the end is not there.
pub fn splice(body: &mut Vec<u8>, start: u32, size: u32, bytes: &[u8]) {
    // In 64 bits, since SDKs ask for u32::MAX bytes.
    let start = u64::from(start).min(body.len() as u64);
    let end = (start + u64::from(size)).min(body.len() as u64);
    let (start, end) = (start as usize, end as usize);
    if start == 0 && end == body.len() {
        body.clear();
        body.extend_from_slice(bytes);
    } else if start == body.len() {
        body.extend_from_slice(bytes);
    } else {
        body.splice(start..end, bytes.iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use super::splice;

    #[test]
    fn each_place_of_a_body_can_be_replaced() {
        for (start, size, bytes, wanted) in [
            (0, 0, "ab", "ab0123456789"),
            (10, 0, "ab", "0123456789ab"),
            (11, 5, "ab", "0123456789ab"),
            (u32::MAX, u32::MAX, "ab", "0123456789ab"),
            (0, 10, "ab", "ab"),
            (0, u32::MAX, "ab", "ab"),
            (0, u32::MAX, "", ""),
            (0, 3, "ab", "ab3456789"),
            (3, 4, "ab", "012ab789"),
            (3, 0, "ab", "012ab3456789"),
            (3, 4, "", "012789"),
            (3, 4, "abcdef", "012abcdef789"),
            (8, 4, "ab", "01234567ab"),
            (9, u32::MAX, "", "012345678"),
            (4, 0, "", "0123456789"),
        ] {
            let mut body = b"0123456789".to_vec();
            splice(&mut body, start, size, bytes.as_bytes());
            assert_eq!(String::from_utf8(body).unwrap(), wanted, "{start} {size} {bytes}");
        }
    }

    #[test]
    fn an_empty_body_takes_bytes_wherever_they_are_to_go() {
        for (start, size) in [(0, 0), (0, 5), (7, 0), (u32::MAX, u32::MAX)] {
            let mut body = Vec::new();
            splice(&mut body, start, size, b"new");
            assert_eq!(body, b"new", "{start} {size}");
        }
    }
}
