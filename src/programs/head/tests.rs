//! Tests of `head.rs`.

use super::*;

const LIMIT: usize = 64 << 10;

fn at_once(output: &[u8]) -> Result<Parsed, HeadError> {
    let mut parser = HeadParser::new(LIMIT);
    match parser.push(output) {
        Ok(Some(parsed)) => Ok(parsed),
        Ok(None) => Err(parser.end()),
        Err(err) => Err(err),
    }
}

/// The head of an output that is all right; also byte by byte.
fn head(output: &[u8]) -> Head {
    let parsed = at_once(output).unwrap_or_else(|err| panic!("{}: {err}", output.escape_ascii()));
    let mut parser = HeadParser::new(LIMIT);
    let block = output.len() - parsed.body.len();
    for byte in &output[..block - 1] {
        assert_eq!(parser.push(&[*byte]), Ok(None));
    }
    let last = parser.push(&output[block - 1..block]).unwrap().unwrap();
    assert_eq!(last, Parsed { head: parsed.head.clone(), body: Vec::new() });
    parsed.head
}

fn error(output: &[u8]) -> HeadError {
    at_once(output).map(|parsed| panic!("{}: {parsed:?}", output.escape_ascii())).unwrap_err()
}

/// The message for an output.
fn message(output: &[u8]) -> String {
    error(output).to_string()
}

/// The fault of a line behind a good one.
fn fault(line: &[u8]) -> Fault {
    match error(&[b"Content-Type: a/b\n", line, b"\n\n"].concat()) {
        HeadError::Line { number: 2, fault, .. } => fault,
        other => panic!("{}: {other:?}", line.escape_ascii()),
    }
}

fn fields(head: &Head) -> Vec<(&str, &str)> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    head.fields.iter().map(|(name, value)| (text(name), text(value))).collect()
}

#[test]
fn lines_end_in_lf_or_crlf_and_an_empty_one_ends_the_block() {
    for output in [
        &b"Content-Type: text/html\nX-A: b\n\n<p>\n\n"[..],
        b"Content-Type: text/html\r\nX-A: b\r\n\r\n<p>\n\n",
        b"Content-Type: text/html\r\nX-A: b\n\r\n<p>\n\n",
        b"content-type:text/html\nX-A:\t b \t\n\n<p>\n\n",
    ] {
        let Parsed { head, body } = at_once(output).unwrap();
        assert_eq!(body, b"<p>\n\n");
        assert_eq!(head.content_type.as_deref(), Some(&b"text/html"[..]));
        assert_eq!(fields(&head), [("X-A", "b")]);
        assert_eq!((head.status, head.effective_status()), (None, 200));
    }
}

#[test]
fn pieces_of_any_size_make_the_same_head() {
    let output = b"Status: 404 Not Found\r\nContent-Type: text/plain\r\nSet-Cookie: a\r\nX: y\r\n\r\nbody\r\n\r\n";
    let whole = at_once(output).unwrap();
    for size in 1..=output.len() {
        let mut parser = HeadParser::new(LIMIT);
        let mut parsed: Option<Parsed> = None;
        for piece in output.chunks(size) {
            match &mut parsed {
                Some(parsed) => parsed.body.extend_from_slice(piece),
                None => parsed = parser.push(piece).unwrap(),
            }
        }
        assert_eq!(parsed.as_ref(), Some(&whole), "pieces of {size} bytes");
    }
}

#[test]
fn large_headers_byte_by_byte_take_no_time_of_their_square() {
    // Not done in hours if each byte had the parser look at all before it.
    let value = vec![b'v'; 4 << 20];
    let short = b"a:b\n".repeat(1 << 20);
    let output = [b"Content-Type: t\nX: ", &value[..], b"\n", &short, b"\n"].concat();
    let mut parser = HeadParser::new(output.len());
    let mut parsed = None;
    for byte in &output {
        parsed = parser.push(&[*byte]).unwrap();
    }
    let head = parsed.unwrap().head;
    assert_eq!(head.fields.len(), (1 << 20) + 1);
    assert_eq!(head.fields[0].1.len(), value.len());
}

#[test]
fn repeated_fields_that_replace_take_no_time_of_their_square() {
    let output = [b"Content-Type: t\n", &b"ETag: 1\nx: y\nTE: a\n".repeat(1 << 18)[..], b"\n"].concat();
    let mut parser = HeadParser::new(output.len());
    let head = parser.push(&output).unwrap().unwrap().head;
    assert_eq!(head.fields.len(), (1 << 18) + 1);
}

#[test]
fn a_block_may_be_as_large_as_the_limit_and_no_larger() {
    let output = b"Content-Type: text/plain\r\n\r\n";
    for (limit, is_taken) in [(output.len(), true), (output.len() - 1, false), (26, false), (10, false), (0, false)] {
        for size in 1..=output.len() {
            let mut parser = HeadParser::new(limit);
            let outcome = output.chunks(size).find_map(|piece| parser.push(piece).transpose()).unwrap();
            match outcome {
                Ok(_) => assert!(is_taken, "limit {limit}"),
                Err(err) => assert_eq!((err, is_taken), (HeadError::TooLarge { limit }, false), "limit {limit}"),
            }
        }
    }
    let message = HeadError::TooLarge { limit: 26 }.to_string();
    assert!(message.contains("26 bytes") && message.contains("wasm_header_limit"), "{message}");
}

#[test]
fn a_body_behind_the_block_does_not_count_for_the_limit() {
    let mut parser = HeadParser::new(16);
    let parsed = parser.push(&[b"Content-Type:a\n\n", &[b'x'; 1000][..]].concat()).unwrap().unwrap();
    assert_eq!(parsed.body.len(), 1000);
}

#[test]
fn a_large_output_without_headers_is_not_blamed_on_the_limit() {
    let mut parser = HeadParser::new(100);
    let err = parser.push(&[b"{\"a\": [", &[b'1'; 200][..]].concat()).unwrap_err();
    assert!(matches!(err, HeadError::NoHeader { .. }), "{err}");
    // A name could still end here.
    assert_eq!(HeadParser::new(100).push(&[b'a'; 200]), Err(HeadError::TooLarge { limit: 100 }));
    let output = [b"A: ", &[b'1'; 200][..]].concat();
    assert_eq!(HeadParser::new(100).push(&output), Err(HeadError::TooLarge { limit: 100 }));
}

#[test]
fn an_output_that_ends_early_says_how() {
    assert_eq!(error(b""), HeadError::Empty);
    assert!(message(b"").contains("written nothing"));
    assert_eq!(error(b"Content-Type: text/plain\n"), HeadError::Unterminated { line: 2 });
    assert_eq!(error(b"Content-Type: text/plain"), HeadError::Unterminated { line: 1 });
    assert_eq!(error(b"Content-Type: text/plain\r\n\r"), HeadError::Unterminated { line: 2 });
    assert_eq!(error(b"Content-Type: text/plain\nno colon"), HeadError::Unterminated { line: 2 });
    assert!(message(b"A: b\n").contains("an empty line ends them"));
    assert_eq!(error(b"hello"), HeadError::NoHeader { beginning: "hello".into() });
    assert!(matches!(error(b"HTTP/1.1 200 OK"), HeadError::Nph { .. }));
}

#[test]
fn an_output_that_begins_with_something_else_is_shown() {
    for (output, beginning) in [
        (&b"Traceback (most recent call last):\n  File \"a.py\", line 1\n"[..], "Traceback (most recent call last):"),
        (b"<!DOCTYPE html>\n<html>", "<!DOCTYPE html>"),
        (b"<html xmlns:a=\"b\">\r\n", "<html xmlns:a=\\\"b\\\">"),
        (b"hello\n", "hello"),
        (b"{\"a\":\n", "{\\\"a\\\":"),
        (b"\xef\xbb\xbfContent-Type: text/html\n\n", "\\xef\\xbb\\xbfContent-Type: text/html"),
        (b"  Content-Type: text/html\n\n", "  Content-Type: text/html"),
        (b" : x\n\n", " : x"),
        (b"\0asm\x01\n", "\\x00asm\\x01"),
    ] {
        assert_eq!(error(output), HeadError::NoHeader { beginning: beginning.into() });
    }
    let message = message(b"<p>\n");
    assert!(message.contains("its output begins with \"<p>\", which is no header"), "{message}");
    assert!(message.contains("wasm_output"), "{message}");
}

#[test]
fn messages_show_a_short_piece_of_a_long_line() {
    let HeadError::NoHeader { beginning } = error(&[&[b'<'; 500][..], b"\n"].concat()) else { panic!() };
    assert_eq!(beginning, format!("{}...", "<".repeat(60)));
    for length in [59, 60] {
        let HeadError::NoHeader { beginning } = error(&vec![b'<'; length]) else { panic!() };
        assert_eq!(beginning, "<".repeat(length));
    }
}

#[test]
fn a_status_line_of_http_is_no_header_and_the_message_says_what_to_write() {
    let message = message(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n");
    for part in ["\"HTTP/1.1 404 Not Found\"", "NPH", "not supported", "\"Status: 404 Not Found\""] {
        assert!(message.contains(part), "{message}");
    }
    let Err(HeadError::Nph { status, .. }) = at_once(b"HTTP/1.1\n") else { panic!() };
    assert_eq!(status, "200 OK");
}

#[test]
fn a_line_that_is_no_header_is_named_with_its_fault() {
    assert_eq!(fault(b"no colon"), Fault::NoColon);
    assert_eq!(fault(b"HTTP/1.1 200 OK"), Fault::NoColon);
    assert_eq!(fault(b": x"), Fault::NoName);
    assert_eq!(fault(b"X : y"), Fault::SpaceBeforeColon);
    assert_eq!(fault(b"X\t: y"), Fault::SpaceBeforeColon);
    assert_eq!(fault(b"X Y: z"), Fault::NameByte(b' '));
    assert_eq!(fault(b"X\xe9: z"), Fault::NameByte(0xe9));
    assert_eq!(fault(b"X\r: z"), Fault::NameByte(b'\r'));
    assert_eq!(fault(b"X(Y): z"), Fault::NameByte(b'('));
    let message = message(b"Content-Type: a/b\nno colon\n\n");
    assert!(message.starts_with("line 2 of its headers, \"no colon\", has no colon"), "{message}");
    let Err(HeadError::Line { number: 1, fault, .. }) = at_once(b"Content-Type : a/b\n\n") else { panic!() };
    assert_eq!(fault, Fault::SpaceBeforeColon);
    let Err(HeadError::Line { number: 1, fault, .. }) = at_once(b": a/b\n\n") else { panic!() };
    assert_eq!(fault, Fault::NoName);
}

#[test]
fn every_byte_of_a_token_makes_a_name() {
    let name = "!#$%&'*+-.^_`|~09azAZ";
    let head = head(format!("Content-Type: a/b\n{name}: x\n\n").as_bytes());
    assert_eq!(fields(&head), [(name, "x")]);
    for byte in 0..=255_u8 {
        let line = [b'a', byte, b'b', b':', b'c'];
        let is_token = name.bytes().any(|known| known == byte) || byte.is_ascii_alphanumeric();
        let is_taken = at_once(&[b"Content-Type: a/b\n", &line[..], b"\n\n"].concat()).is_ok();
        // A colon ends the name, and LF the line: "a" has no colon then.
        assert_eq!(is_taken, is_token || byte == b':', "{byte}");
    }
}

#[test]
fn lines_that_go_on_with_the_one_before_are_refused() {
    assert_eq!(fault(b" folded"), Fault::Folded);
    assert_eq!(fault(b"\tfolded: x"), Fault::Folded);
    assert_eq!(fault(b" "), Fault::Folded);
}

#[test]
fn control_bytes_in_values_are_refused_except_tabs() {
    for byte in (0..=255_u8).filter(|byte| *byte != b'\n') {
        let output = [b"Content-Type: a/b\nX-Secret: s", &[byte][..], b"t\n\n"].concat();
        if (byte < b' ' && byte != b'\t') || byte == 0x7f {
            let err = error(&output);
            let wanted = HeadError::Line { number: 2, line: "X-Secret".into(), fault: Fault::Control(byte) };
            assert_eq!(err, wanted, "the name stands for the value, which may be a secret");
        } else {
            assert_eq!(head(&output).fields[0].1, [b's', byte, b't']);
        }
    }
    assert_eq!(fault(b"X: a\rSet-Cookie: b"), Fault::Control(b'\r'));
    assert_eq!(fault(b"X: a\r\r"), Fault::Control(b'\r'));
    assert_eq!(fault(b"Status: 200\0"), Fault::Control(0));
}

#[test]
fn a_status_is_three_digits_and_a_reason() {
    for (value, status, reason) in [
        ("200 OK", 200, "OK"),
        ("404", 404, ""),
        ("599  So long \t", 599, "So long"),
        ("418\tI am: a teapot", 418, "I am: a teapot"),
    ] {
        let head = head(format!("Status: {value}\n\n").as_bytes());
        assert_eq!((head.status, &head.reason[..], head.effective_status()), (Some(status), reason.as_bytes(), status));
        assert!(head.fields.is_empty());
    }
    for value in
        ["", "OK", "20", "2000", "200OK", "+20", "-20", "600", "999", "099", "000", "HTTP/1.1 200 OK", "2\u{e9}"]
    {
        let err = error(format!("Status: {value}\n\n").as_bytes());
        assert!(matches!(err, HeadError::Status(_)), "{value}: {err}");
    }
    assert!(message(b"Status: nope\n\n").contains("\"nope\""));
}

#[test]
fn a_status_before_the_answers_is_refused_with_its_own_reason() {
    for status in [100, 101, 103, 199] {
        assert_eq!(error(format!("Status: {status} Early\n\n").as_bytes()), HeadError::Informational(status));
    }
    assert!(message(b"Status: 103\n\n").contains("Status 103"));
}

#[test]
fn a_location_with_a_path_is_local_and_another_is_the_clients() {
    let local = head(b"Location: /a?b=c\n\n");
    assert_eq!(local.location, Some(Location::Local(b"/a?b=c".to_vec())));
    assert_eq!((local.effective_status(), local.local_redirect()), (200, Some(&b"/a?b=c"[..])));
    for value in ["https://example.com/a", "mailto:a@example.com", "page.html", "?q", "#top"] {
        let head = head(format!("Location: {value}\n\n").as_bytes());
        assert_eq!(head.location, Some(Location::Absolute(value.into())));
        assert_eq!(head.location.as_ref().map(Location::as_bytes), Some(value.as_bytes()));
        assert_eq!((head.effective_status(), head.local_redirect()), (302, None));
    }
    assert_eq!(head(b"Status: 301 Moved\nLocation: http://a/\n\n").effective_status(), 301);
    assert_eq!(error(b"Location: \n\n"), HeadError::NoValue("Location"));
}

#[test]
fn a_path_with_a_status_of_its_own_is_for_the_client() {
    let head = |status: &str| head(format!("Status: {status}\nLocation: /login\n\n").as_bytes());
    assert_eq!(head("303 See Other").local_redirect(), None);
    assert_eq!(head("201").local_redirect(), None);
    assert_eq!(head("200 OK").local_redirect(), Some(&b"/login"[..]));
}

#[test]
fn a_content_length_is_digits_and_does_not_change() {
    let length = |values: &[&str]| {
        let lines: String = values.iter().map(|value| format!("Content-Length: {value}\n")).collect();
        at_once(format!("Content-Type: a/b\n{lines}\n").as_bytes()).map(|parsed| parsed.head.content_length)
    };
    assert_eq!(length(&["0"]), Ok(Some(0)));
    assert_eq!(length(&["18446744073709551615"]), Ok(Some(u64::MAX)));
    assert_eq!(length(&["7", "007"]), Ok(Some(7)));
    assert_eq!(length(&["5", "7"]), Err(HeadError::Lengths(5, 7)));
    for value in ["", "-1", "+1", "1 2", "5, 5", "0x5", "1.0", "18446744073709551616"] {
        assert_eq!(length(&[value]), Err(HeadError::Length(value.into())));
    }
}

#[test]
fn of_fields_that_stand_once_the_last_is_taken_and_all_others_are_kept_in_order() {
    let head = head(
        b"Status: 201 A\nStatus: 202\nLocation: /a\nLocation: http://b/\nContent-Type: a/a\ncontent-type: b/b\n\
          Set-Cookie: a\nETag: \"1\"\nX: 1\nContent-Range: bytes 0-1/2\nset-cookie: b\nx: 2\ncontent-range: bytes 0-0/2\n\
          ETAG: \"2\"\nSet-Cookie: a\nEmpty:\n\n",
    );
    assert_eq!((head.status, &head.reason[..]), (Some(202), &b""[..]));
    assert_eq!(head.location, Some(Location::Absolute(b"http://b/".to_vec())));
    assert_eq!(head.content_type.as_deref(), Some(&b"b/b"[..]));
    let wanted = [
        ("Set-Cookie", "a"),
        ("ETAG", "\"2\""),
        ("X", "1"),
        ("content-range", "bytes 0-0/2"),
        ("set-cookie", "b"),
        ("x", "2"),
        ("Set-Cookie", "a"),
        ("Empty", ""),
    ];
    assert_eq!(fields(&head), wanted);
}

#[test]
fn fields_of_the_connection_are_left_out_and_named_once() {
    let head = head(
        b"Content-Type: a/b\nConnection: close\nKeep-Alive: 5\nTransfer-Encoding: chunked\nTE: trailers\nTrailer: x\n\
          Upgrade: h2c\nProxy-Connection: close\nCONNECTION: x\nX: y\n\n",
    );
    assert_eq!(fields(&head), [("X", "y")]);
    let mut dropped = head.dropped;
    dropped.sort_unstable();
    assert_eq!(dropped, HOP_BY_HOP);
}

#[test]
fn a_block_has_a_content_type_a_location_or_a_status() {
    for output in [&b"\nbody"[..], b"\r\nbody", b"X: y\n\nbody", b"Content-Length: 5\n\nhello"] {
        assert_eq!(error(output), HeadError::NoCgiField);
    }
    assert!(message(b"\n").contains("Content-Type, Location or Status"));
    assert_eq!(error(b"Content-Type:\n\n"), HeadError::NoValue("Content-Type"));
    for output in [&b"Content-Type: a/b\n\n"[..], b"Location: /\n\n", b"Status: 204\n\n"] {
        assert_eq!(head(output).fields, []);
    }
}

#[test]
fn bytes_of_no_encoding_pass_as_they_are() {
    let head = head(b"Content-Type: \xff\xfe\nStatus: 200 \x80\nLocation: /\xc3\nX: \xc3(\n\n");
    assert_eq!(head.content_type.as_deref(), Some(&b"\xff\xfe"[..]));
    assert_eq!((&head.reason[..], &head.fields[0].1[..]), (&b"\x80"[..], &b"\xc3("[..]));
    assert_eq!(head.location, Some(Location::Local(b"/\xc3".to_vec())));
}

#[test]
fn a_parser_that_is_done_takes_nothing_more() {
    let mut parser = HeadParser::new(LIMIT);
    assert!(parser.push(b"Status: 200\n\n").unwrap().is_some());
    assert_eq!(parser.push(b"Status: 200\n\n"), Err(HeadError::Over));
    assert_eq!(parser.end(), HeadError::Over);
    let mut parser = HeadParser::new(LIMIT);
    assert_eq!(parser.push(b"\n"), Err(HeadError::NoCgiField));
    assert_eq!(parser.push(b"Status: 200\n\n"), Err(HeadError::Over));
}
