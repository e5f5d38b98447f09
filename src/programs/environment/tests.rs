//! Tests of `environment.rs`.

use super::*;

const PLAIN: Facts<'static> = Facts {
    method: b"GET",
    script_name: b"/app",
    path_info: None,
    document_root: b"/srv/www",
    script_filename: None,
    query: b"",
    request_uri: b"/app",
    protocol: b"HTTP/1.1",
    https: false,
    server_name: b"example.com",
    server_port: b"80",
    server_addr: b"192.0.2.1",
    server_software: b"nginx/1.29.0",
    remote_addr: b"198.51.100.7",
    remote_port: b"50000",
    remote_user: None,
    auth_type: None,
    content_length: None,
    content_type: None,
    headers: &[],
    pass_authorization: false,
    extra: &[],
};

type Header<'a> = (&'a [u8], &'a [u8]);

/// The value of a variable, which stands there once at most.
fn value(facts: &Facts, name: &str) -> Option<String> {
    let begin = format!("{name}=");
    let environment = facts.environment();
    let mut values = environment.iter().filter_map(|variable| variable.strip_prefix(begin.as_bytes()));
    let value = values.next().map(|value| value.escape_ascii().to_string());
    assert_eq!(values.next(), None, "{name} is there twice");
    value
}

/// What a variable is for these headers.
fn of(headers: &[Header], name: &str) -> Option<String> {
    value(&Facts { headers, ..PLAIN }, name)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_plain_request_has_these_variables_in_this_order() {
    let text: Vec<_> = PLAIN.environment().iter().map(|variable| variable.escape_ascii().to_string()).collect();
    let wanted = [
        "GATEWAY_INTERFACE=CGI/1.1",
        "SERVER_PROTOCOL=HTTP/1.1",
        "REQUEST_METHOD=GET",
        "QUERY_STRING=",
        "SCRIPT_NAME=/app",
        "SERVER_NAME=example.com",
        "SERVER_PORT=80",
        "SERVER_SOFTWARE=nginx/1.29.0",
        "REMOTE_ADDR=198.51.100.7",
        "REQUEST_SCHEME=http",
        "REQUEST_URI=/app",
        "DOCUMENT_ROOT=/srv/www",
        "SERVER_ADDR=192.0.2.1",
        "REMOTE_PORT=50000",
    ];
    assert_eq!(text, wanted);
}

#[test]
fn what_rfc_3875_wants_always_is_there_though_it_is_empty() {
    let environment = Facts::default().environment();
    let wanted: [&[u8]; 10] = [
        b"GATEWAY_INTERFACE=CGI/1.1",
        b"SERVER_PROTOCOL=",
        b"REQUEST_METHOD=",
        b"QUERY_STRING=",
        b"SCRIPT_NAME=",
        b"SERVER_NAME=",
        b"SERVER_PORT=",
        b"SERVER_SOFTWARE=",
        b"REMOTE_ADDR=",
        b"REQUEST_SCHEME=http",
    ];
    assert_eq!(environment, wanted);
}

#[test]
fn a_query_is_as_it_was_sent() {
    let facts = Facts { query: b"a=%20b&c", ..PLAIN };
    assert_eq!(value(&facts, "QUERY_STRING"), some("a=%20b&c"));
}

#[test]
fn the_rest_of_the_path_is_there_only_if_there_is_one() {
    let with = |path_info| Facts { path_info, ..PLAIN };
    for facts in [with(None), with(Some(b""))] {
        assert_eq!(value(&facts, "PATH_INFO"), None);
        assert_eq!(value(&facts, "PATH_TRANSLATED"), None);
    }
    let facts = with(Some(b"/a b/\xff"));
    assert_eq!(value(&facts, "PATH_INFO"), some("/a b/\\xff"));
    assert_eq!(value(&facts, "PATH_TRANSLATED"), some("/srv/www/a b/\\xff"));
    let facts = Facts { document_root: b"/srv/", ..facts };
    assert_eq!(value(&facts, "PATH_TRANSLATED"), some("/srv/a b/\\xff"));
    let facts = Facts { document_root: b"", ..facts };
    assert_eq!(value(&facts, "PATH_INFO"), some("/a b/\\xff"));
    assert_eq!((value(&facts, "PATH_TRANSLATED"), value(&facts, "DOCUMENT_ROOT")), (None, None));
}

#[test]
fn a_size_is_there_only_with_a_body_also_an_empty_one() {
    assert_eq!(value(&PLAIN, "CONTENT_LENGTH"), None);
    for (length, text) in [(0, "0"), (u64::MAX, "18446744073709551615")] {
        assert_eq!(value(&Facts { content_length: Some(length), ..PLAIN }, "CONTENT_LENGTH"), some(text));
    }
    assert_eq!(value(&Facts { content_type: Some(b"a/b"), ..PLAIN }, "CONTENT_TYPE"), some("a/b"));
}

#[test]
fn tls_is_told_by_two_variables() {
    let facts = Facts { https: true, ..PLAIN };
    assert_eq!((value(&facts, "HTTPS"), value(&facts, "REQUEST_SCHEME")), (some("on"), some("https")));
    assert_eq!(value(&PLAIN, "HTTPS"), None);
}

#[test]
fn the_user_and_the_programs_file_are_there_if_they_are_known() {
    let facts =
        Facts { remote_user: Some(b"ann"), auth_type: Some(b"Basic"), script_filename: Some(b"/srv/a.wasm"), ..PLAIN };
    assert_eq!(value(&facts, "REMOTE_USER"), some("ann"));
    assert_eq!(value(&facts, "AUTH_TYPE"), some("Basic"));
    assert_eq!(value(&facts, "SCRIPT_FILENAME"), some("/srv/a.wasm"));
}

#[test]
fn a_header_is_a_variable_in_upper_case() {
    assert_eq!(of(&[(b"user-Agent2", b"x y")], "HTTP_USER_AGENT2"), some("x y"));
    assert_eq!(of(&[(b"X.Y_Z\xe9!", b"x")], "HTTP_X_Y_Z__"), some("x"));
    assert_eq!(of(&[(b"2", b"")], "HTTP_2"), some(""));
    assert_eq!(of(&[(b"", b"x")], "HTTP_"), None);
}

#[test]
fn headers_keep_their_order() {
    let headers: [Header; 4] = [(b"B", b"1"), (b"A", b"2"), (b"C", b"3"), (b"b", b"4")];
    let environment = Facts { headers: &headers, ..PLAIN }.environment();
    let behind: [&[u8]; 3] = [b"HTTP_B=1, 4", b"HTTP_A=2", b"HTTP_C=3"];
    assert_eq!(environment[environment.len() - 3..], behind);
}

#[test]
fn a_repeated_header_is_one_variable_and_cookies_have_semicolons_between_them() {
    let headers: [Header; 6] =
        [(b"X-A", b"1"), (b"cookie", b"a=1"), (b"x-a", b""), (b"Cookie", b"b=2"), (b"X-A", b"3"), (b"X-B", b"4")];
    assert_eq!(of(&headers, "HTTP_X_A"), some("1, , 3"));
    assert_eq!(of(&headers, "HTTP_COOKIE"), some("a=1; b=2"));
    assert_eq!(of(&headers, "HTTP_X_B"), some("4"));
}

#[test]
fn type_and_size_of_the_body_are_no_headers_in_any_spelling() {
    let headers: [Header; 4] =
        [(b"Content-Type", b"a/b"), (b"content_type", b"c/d"), (b"Content-Length", b"1"), (b"Content.Length", b"2")];
    assert_eq!(Facts { headers: &headers, ..PLAIN }.environment(), PLAIN.environment());
}

#[test]
fn no_header_sets_the_programs_proxy() {
    assert_eq!(Facts { headers: &[(b"pRoXy", b"evil:1")], ..PLAIN }.environment(), PLAIN.environment());
    let extra = [(b"HTTP_PROXY".to_vec(), b"good:1".to_vec())];
    let facts = Facts { headers: &[(b"Proxy", b"evil:1")], extra: &extra, ..PLAIN };
    assert_eq!(value(&facts, "HTTP_PROXY"), some("good:1"), "the configuration may");
}

#[test]
fn a_program_sees_no_passwords_unless_it_may() {
    let headers: [Header; 4] = [
        (b"Authorization", b"Basic eA=="),
        (b"authorization", b"b"),
        (b"Proxy-Authorization", b"c"),
        (b"Proxy_Authorization", b"d"),
    ];
    let facts = Facts { headers: &headers, ..PLAIN };
    assert_eq!(facts.environment(), PLAIN.environment());
    let facts = Facts { pass_authorization: true, ..facts };
    assert_eq!(value(&facts, "HTTP_AUTHORIZATION"), some("Basic eA==, b"));
    assert_eq!(value(&facts, "HTTP_PROXY_AUTHORIZATION"), some("c"));
}

#[test]
fn headers_of_the_connection_are_no_variables() {
    let headers: Vec<Header> = HOP_BY_HOP.iter().map(|name| (name.as_bytes(), &b"x"[..])).collect();
    assert_eq!(Facts { headers: &headers, ..PLAIN }.environment(), PLAIN.environment());
    assert_eq!(of(&[(b"Transfer_Encoding", b"chunked")], "HTTP_TRANSFER_ENCODING"), None);
}

#[test]
fn a_header_of_another_spelling_loses_against_the_plain_one() {
    let plain: Header = (b"X-User", b"ann");
    for other in [&b"X_User"[..], b"x_user", b"X.User", b"X User", b"X\xffUser"] {
        let other: Header = (other, b"eve");
        assert_eq!(of(&[plain, other], "HTTP_X_USER"), some("ann"));
        assert_eq!(of(&[other, plain], "HTTP_X_USER"), some("ann"));
        assert_eq!(of(&[other, plain, other, plain, other], "HTTP_X_USER"), some("ann, ann"));
        assert_eq!(of(&[other], "HTTP_X_USER"), some("eve"), "nobody else says it");
    }
}

#[test]
fn of_two_other_spellings_neither_is_believed() {
    let (first, second, plain): (Header, Header, Header) = ((b"X_A", b"1"), (b"X.A", b"2"), (b"X-A", b"3"));
    assert_eq!(of(&[first, second], "HTTP_X_A"), None);
    assert_eq!(of(&[first, second, first], "HTTP_X_A"), None);
    assert_eq!(of(&[first, second, plain], "HTTP_X_A"), some("3"));
    assert_eq!(of(&[first, plain, second], "HTTP_X_A"), some("3"));
    assert_eq!(of(&[first, (b"x_a", b"4")], "HTTP_X_A"), some("1, 4"), "letters may be of any case");
}

#[test]
fn a_value_with_a_nul_makes_no_variable() {
    let headers: [Header; 3] = [(b"X-A", b"1\x002"), (b"X-B", b"1"), (b"X-B", b"\0")];
    let extra = [(b"SERVER_NAME".to_vec(), b"a\0".to_vec())];
    let facts = Facts { remote_user: Some(b"ann\0x"), headers: &headers, extra: &extra, ..PLAIN };
    for name in ["HTTP_X_A", "HTTP_X_B", "REMOTE_USER", "SERVER_NAME"] {
        assert_eq!(value(&facts, name), None, "{name}");
    }
    assert!(facts.environment().iter().all(|variable| !variable.contains(&0)));
}

#[test]
fn the_configuration_wins_over_all_and_its_last_word_counts() {
    let extra = [("HTTP_X", "1"), ("SERVER_NAME", ""), ("MINE", "a=b"), ("HTTP_X", "2"), ("OTHER", "c")];
    let extra = extra.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    let facts = Facts { headers: &[(b"X", b"0"), (b"Y", b"5")], extra: &extra, ..PLAIN };
    let environment = facts.environment();
    let behind: [&[u8]; 5] = [b"HTTP_Y=5", b"SERVER_NAME=", b"MINE=a=b", b"HTTP_X=2", b"OTHER=c"];
    assert_eq!(environment[environment.len() - 5..], behind);
    assert_eq!((value(&facts, "HTTP_X"), value(&facts, "SERVER_NAME")), (some("2"), some("")));
}

#[test]
fn a_name_that_cannot_be_one_is_left_out() {
    let extra = ["", "A=B", "A\0"].map(|name| (name.as_bytes().to_vec(), b"x".to_vec()));
    assert_eq!(Facts { extra: &extra, ..PLAIN }.environment(), PLAIN.environment());
}

#[test]
fn many_headers_take_no_time_of_their_square() {
    // A client may send tens of thousands.
    let names: Vec<_> = (0..200_000).map(|number| format!("X-{number}").into_bytes()).collect();
    let headers: Vec<Header> = names.iter().chain(&names).map(|name| (&name[..], &b"x"[..])).collect();
    let environment = Facts { headers: &headers, ..PLAIN }.environment();
    assert_eq!(environment.len(), PLAIN.environment().len() + names.len());
    assert_eq!(environment.last().map(Vec::as_slice), Some(&b"HTTP_X_199999=x, x"[..]));
}
