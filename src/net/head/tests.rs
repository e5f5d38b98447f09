//! Tests of `head.rs`.

use super::*;
use crate::net::verbatim::Verbatim;

fn head(target: &[u8], authority: &[u8], fields: &[(&[u8], &[u8])]) -> Head {
    let mut head = Head::new(Method::GET, target, authority).unwrap();
    for (name, value) in fields {
        head.fields.append(name, value, "header").unwrap();
    }
    head
}

/// What a service reads: the head as `hyper` writes it, changed on the way out. The lines are sorted, behind the first.
fn sent(head: &Head) -> Vec<Vec<u8>> {
    let (request, swaps) = head.for_http1().unwrap();
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).into_bytes();
    request.headers().iter().for_each(|(name, value)| {
        push_line(&mut text, name.as_str().as_bytes(), value.as_bytes());
    });
    let mut verbatim = Verbatim::default();
    let is_changed = !swaps.is_empty();
    verbatim.expect(swaps);
    let rewritten = verbatim.rewrite(&text);
    assert_eq!(rewritten.is_some(), is_changed);
    let text = rewritten.unwrap_or(text);
    let mut lines = Vec::new();
    let mut rest = &text[..];
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        lines.push(rest[..end].to_vec());
        rest = &rest[end + 2..];
    }
    lines[1..].sort();
    lines
}

fn first_line(target: &[u8]) -> Vec<u8> {
    sent(&head(target, b"a", &[])).swap_remove(0)
}

fn with(before: &[u8], byte: u8, behind: &[u8]) -> Vec<u8> {
    [before, &[byte], behind].concat()
}

#[test]
fn http1_has_every_byte_of_a_path_and_a_query_that_nginx_takes() {
    for byte in (0x21..=0xff).filter(|byte| *byte != 0x7f) {
        for target in [with(b"/a", byte, b"b"), with(b"/?a=", byte, b"b"), with(b"", byte, b"b")] {
            assert_eq!(first_line(&target), [b"GET ", &target[..], b" HTTP/1.1"].concat(), "{byte:#x}");
        }
    }
}

#[test]
fn control_bytes_and_spaces_of_a_path_go_with_percent_signs() {
    for byte in (0..=0x20).chain([0x7f]) {
        let target = with(b"/a", byte, b"b");
        assert_eq!(first_line(&target), format!("GET /a%{byte:02X}b HTTP/1.1").as_bytes());
        assert_eq!(http2(&target).unwrap(), format!("/a%{byte:02X}b"));
        assert_eq!(first_line(&[byte]), format!("GET %{byte:02X} HTTP/1.1").as_bytes());
    }
    assert_eq!(first_line(b"/ HTTP/1.1\r\nx: y\r\n\r\n"), b"GET /%20HTTP/1.1%0D%0Ax:%20y%0D%0A%0D%0A HTTP/1.1");
}

#[test]
fn http1_has_targets_of_any_form() {
    for target in [&b"http://h.example/p?q"[..], b"x", b"?q", b"*", b"/a#b", b"/?#", b"//", b"/a?b?c"] {
        assert_eq!(first_line(target), [b"GET ", target, b" HTTP/1.1"].concat());
    }
    let long = [b"/".as_slice(), &[b'x'; 100_000]].concat();
    assert_eq!(first_line(&long).len(), long.len() + 13);
}

#[test]
fn http1_has_every_byte_of_values_names_and_authorities() {
    for byte in (1..=0xff).filter(|byte| !breaks(byte)) {
        let value = with(b"a", byte, b"b");
        let lines = sent(&head(b"/", &value, &[(b"x", &value)]));
        assert_eq!(lines[1..], [[b"host: ", &value[..]].concat(), [b"x: ", &value[..]].concat()], "{byte:#x}");
    }
    for byte in (0x21..=0xff).filter(|byte| *byte != 0x7f && *byte != b':') {
        let name = with(b"n", byte, b"m").to_ascii_lowercase();
        let lines = sent(&head(b"/", b"a", &[(&name, b"v")]));
        assert!(lines.contains(&[&name[..], b": v"].concat()), "{byte:#x}");
    }
}

#[test]
fn what_ends_a_line_or_a_name_is_refused() {
    for byte in [b'\r', b'\n', 0] {
        let broken = with(b"/a", byte, b"b");
        assert!(Head::new(Method::GET, b"/", &broken).is_err());
        assert!(Fields::default().append(b"x", &broken, "header").is_err());
    }
    assert!(Head::new(Method::GET, b"", b"a").is_err());
    for name in [&b""[..], b"a b", b":path", b"a:", b"a\t", b"a\x7f", b"a\n"] {
        assert!(Fields::default().append(name, b"v", "header").is_err(), "{name:?}");
    }
    assert!(Head::new(Method::CONNECT, b"/", b"a").is_err());
}

#[test]
fn values_of_one_name_keep_their_order() {
    let head = head(b"/", b"a", &[(b"x", b"1"), (b"X", b"\x01"), (b"x", b"3"), (b"y", b"4")]);
    let values: Vec<_> = head.fields.iter().filter(|(name, _)| *name == b"x").map(|(_, value)| value).collect();
    assert_eq!(values, [&b"1"[..], b"\x01", b"3"]);
    let both: Vec<_> = head.fields.encoded().get_all("x").iter().map(|value| value.as_bytes().to_vec()).collect();
    assert_eq!(both, [&b"1"[..], b"%01", b"3"]);
}

#[test]
fn a_field_of_the_host_takes_the_place_of_all_others_of_its_name() {
    let mut fields = Fields::default();
    for value in [&b"1"[..], b"\x01", b"2"] {
        fields.append(b"te", value, "header").unwrap();
    }
    fields.set(http::header::TE, HeaderValue::from_static("trailers"));
    assert_eq!(fields.iter().collect::<Vec<_>>(), [(&b"te"[..], &b"trailers"[..])]);
}

fn http2(target: &[u8]) -> Result<String, Unsendable> {
    head(target, b"a", &[]).for_http2(false).map(|request| request.uri().path_and_query().unwrap().as_str().to_owned())
}

#[test]
fn http2_has_percent_signs_where_the_library_refuses_a_byte() {
    for (target, wanted) in [
        (&b"/a<b>c`d"[..], "/a%3Cb%3Ec%60d"),
        (b"/\"{}|^\\?\"{}|^\\<>`", "/\"{}|^\\?%22{}|^\\%3C%3E`"),
        (b"/a#b?c#d", "/a%23b?c%23d"),
        (b"/\xc3\xa4?\xc3\xa4", "/\u{e4}?\u{e4}"),
        (b"/\xff?\xc3(", "/%FF?%C3("),
        (b"/%41%", "/%41%"),
        (b"*", "*"),
        (b"http://h.example/p?q", "/p?q"),
        (b"https://h.example", "/"),
        (b"https://h.example?q", "/?q"),
        (b"?q", "?q"),
    ] {
        let path = http2(target).unwrap();
        assert_eq!(path, wanted, "{target:?}");
    }
    for byte in (0x21..=0xff).filter(|byte| *byte != 0x7f) {
        for target in [with(b"/a", byte, b"b"), with(b"/?a=", byte, b"b")] {
            let path = http2(&target).unwrap();
            let wanted = with(&target[..target.len() - 2], byte, b"b");
            let percent = format!("{}%{byte:02X}b", String::from_utf8_lossy(&target[..target.len() - 2]));
            assert!(path.as_bytes() == wanted || path == percent, "{byte:#x}: {path}");
        }
    }
}

#[test]
fn http2_has_no_path_without_a_slash_and_none_that_is_too_long() {
    let reason = http2(b"x").unwrap_err().0;
    assert_eq!(reason, "\"x\" is no \":path\" for HTTP/2: it does not begin with \"/\"");
    assert!(http2(b"://x").is_err() && http2(b"u?v=a://x").is_err());
    assert!(http2(&[b'/'; 70_000]).is_err());
}

#[test]
fn http2_has_percent_signs_in_fields_and_host_in_place_of_an_odd_authority() {
    let request = head(b"/", b"h\"\x01", &[(b"n\"", b"v\x01\xff")]).for_http2(true).unwrap();
    assert_eq!(request.headers()["host"], "h\"%01");
    assert_eq!(request.headers()["n%22"].as_bytes(), b"v%01\xff");
    assert_eq!((request.uri().to_string(), request.version()), ("/".into(), Version::HTTP_11));
    let request = head(b"/p", b"h:1", &[]).for_http2(true).unwrap();
    assert_eq!((request.uri().to_string(), request.version()), ("https://h:1/p".into(), Version::HTTP_2));
    assert!(request.headers().is_empty());
    assert_eq!(head(b"/p", b"h", &[]).for_http2(false).unwrap().uri().scheme_str(), Some("http"));
}
