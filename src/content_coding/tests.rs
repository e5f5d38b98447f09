//! Tests of `content_coding.rs`.

use std::io::Write;

use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, GzBuilder};

use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn raw(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Decodes with inputs and rooms of these sizes.
fn decode_by(coding: Coding, input: &[u8], step: usize, room: usize) -> Result<Vec<u8>, Corrupt> {
    let mut decoder = Decoder::new(coding);
    let mut all = Vec::new();
    for part in input.chunks(step) {
        let mut taken = 0;
        loop {
            let mut out = Vec::with_capacity(room);
            taken += decoder.decode(&part[taken..], &mut out)?;
            all.extend_from_slice(&out);
            if out.len() < out.capacity() {
                assert_eq!(taken, part.len(), "room is left, so all was taken");
                break;
            }
        }
    }
    decoder.finish()?;
    Ok(all)
}

/// The same in pieces of all kinds of sizes, which must not matter.
fn decode(coding: Coding, input: &[u8]) -> Result<Vec<u8>, Corrupt> {
    let whole = decode_by(coding, input, usize::MAX, 1 << 16);
    for (step, room) in [(1, 1 << 16), (1, 1), (7, 3), (usize::MAX, 1), (3, 1000)] {
        assert_eq!(decode_by(coding, input, step, room), whole, "input by {step}, room for {room}");
    }
    whole
}

fn long_text() -> Vec<u8> {
    (0..3000u32).flat_map(|n| format!("line {} of {}\n", n, n * n % 977).into_bytes()).collect()
}

#[test]
fn each_form_decodes_to_what_was_encoded() {
    for text in [&b""[..], b"a", b"a secret\n", &long_text(), &vec![0; 100_000]] {
        assert_eq!(decode(Coding::Gzip, &gzip(text)).unwrap(), text);
        assert_eq!(decode(Coding::Deflate, &zlib(text)).unwrap(), text);
        assert_eq!(decode(Coding::Deflate, &raw(text)).unwrap(), text);
    }
}

#[test]
fn a_header_of_gzip_may_have_everything() {
    let builder = GzBuilder::new().filename("n".repeat(300)).comment("c").extra(vec![7; 300]).mtime(1);
    let mut encoder = builder.write(Vec::new(), Compression::fast());
    encoder.write_all(b"text").unwrap();
    let body = encoder.finish().unwrap();
    assert_eq!(decode(Coding::Gzip, &body).unwrap(), b"text");

    // The same with a sum of the header, for which the library has no option.
    let head = 10 + 2 + 300 + 301 + 2;
    let mut summed = body[..head].to_vec();
    summed[3] |= HEAD_SUM;
    let mut sum = Crc::new();
    sum.update(&summed);
    summed.extend_from_slice(&(sum.sum() as u16).to_le_bytes());
    summed.extend_from_slice(&body[head..]);
    assert_eq!(decode(Coding::Gzip, &summed).unwrap(), b"text");
    summed[4] ^= 1;
    assert_eq!(decode(Coding::Gzip, &summed), Err(Corrupt::Sum));

    let mut empty_extra = body[..10].to_vec();
    empty_extra[3] = EXTRA;
    empty_extra.extend_from_slice(&[0, 0]);
    empty_extra.extend_from_slice(&body[head..]);
    assert_eq!(decode(Coding::Gzip, &empty_extra).unwrap(), b"text");
}

#[test]
fn several_members_are_one_body() {
    let body = [gzip(b"one "), gzip(b""), gzip(&long_text()), gzip(b" end")].concat();
    assert_eq!(decode(Coding::Gzip, &body).unwrap(), [&b"one "[..], &long_text(), b" end"].concat());
}

#[test]
fn what_follows_the_body_is_ignored() {
    for rest in [&b"\0\0\0\0"[..], b"\r\n", b"garbage", b"\x1f", b"\x1f\0\x8b"] {
        assert_eq!(decode(Coding::Gzip, &[&gzip(b"text"), rest].concat()).unwrap(), b"text");
        assert_eq!(decode(Coding::Deflate, &[&zlib(b"text"), rest].concat()).unwrap(), b"text");
        assert_eq!(decode(Coding::Deflate, &[&raw(b"text"), rest].concat()).unwrap(), b"text");
    }
    let half = [&gzip(b"text")[..], b"\x1f\x8b"].concat();
    assert_eq!(decode(Coding::Gzip, &half), Err(Corrupt::Truncated), "a member has begun");
}

#[test]
fn a_body_of_no_bytes_is_empty() {
    assert_eq!(decode_by(Coding::Gzip, b"", 1, 10).unwrap(), b"");
    assert_eq!(decode_by(Coding::Deflate, b"", 1, 10).unwrap(), b"");
}

#[test]
fn a_body_that_is_cut_anywhere_is_refused() {
    let text = long_text();
    for (coding, body) in [(Coding::Gzip, gzip(&text)), (Coding::Deflate, zlib(&text)), (Coding::Deflate, raw(&text))] {
        for end in (1..body.len()).step_by(97).chain(body.len() - 9..body.len()) {
            let result = decode_by(coding, &body[..end], 1000, 5000);
            assert_eq!(result, Err(Corrupt::Truncated), "{coding:?} cut at {end} of {}", body.len());
        }
    }
}

#[test]
fn a_body_that_is_none_is_refused_at_its_beginning() {
    for body in [&b"plain text"[..], b"\x1fplain", b"\x1f\x8b\x07\0\0\0\0\0\0\0", b"\x1f\x8b\x08\x80\0\0\0\0\0\0"] {
        assert_eq!(decode(Coding::Gzip, body), Err(Corrupt::Beginning), "{}", body.escape_ascii());
    }
    assert_eq!(decode(Coding::Deflate, &[0x78, 0xbb, 0, 0, 0, 0]), Err(Corrupt::Beginning), "a dictionary");
    assert_eq!(decode(Coding::Deflate, b"plain text"), Err(Corrupt::Data));
}

#[test]
fn a_wrong_sum_is_refused() {
    let body = gzip(&long_text());
    for place in [body.len() - 8, body.len() - 1] {
        let mut wrong = body.clone();
        wrong[place] ^= 0x10;
        assert_eq!(decode(Coding::Gzip, &wrong), Err(Corrupt::Sum));
    }
    let mut wrong = zlib(b"text");
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(decode(Coding::Deflate, &wrong), Err(Corrupt::Data));
}

#[test]
fn no_damage_goes_unnoticed_that_changes_the_text() {
    let text = b"a text that is long enough, long enough, long enough to be compressed";
    let body = gzip(text);
    for place in 0..body.len() {
        for bit in 0..8 {
            let mut wrong = body.clone();
            wrong[place] ^= 1 << bit;
            if let Ok(other) = decode_by(Coding::Gzip, &wrong, usize::MAX, 1000) {
                assert_eq!(other, text, "bit {bit} of byte {place}");
            }
        }
    }
}

#[test]
fn a_bomb_is_decoded_in_pieces() {
    let body = gzip(&vec![0; 10_000_000]);
    let mut decoder = Decoder::new(Coding::Gzip);
    let (mut taken, mut total) = (0, 0);
    loop {
        let mut out = Vec::with_capacity(4096);
        taken += decoder.decode(&body[taken..], &mut out).unwrap();
        assert!(out.len() <= 4096 && out.capacity() == 4096);
        total += out.len();
        if out.len() < 4096 {
            break;
        }
    }
    assert_eq!((taken, total), (body.len(), 10_000_000));
    decoder.finish().unwrap();
}

#[test]
fn a_flush_is_noticed_whatever_has_come() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut decoder = Decoder::new(Coding::Gzip);
    let mut sent = 0;
    for text in [&b""[..], b"text", b""] {
        encoder.write_all(text).unwrap();
        encoder.flush().unwrap();
        let part = &encoder.get_ref()[sent..];
        sent = encoder.get_ref().len();
        let mut out = Vec::with_capacity(100);
        for byte in part {
            decoder.decode(&[*byte], &mut out).unwrap();
        }
        assert_eq!(out, text);
        assert!(decoder.is_flushed());
    }
    let rest = encoder.finish().unwrap().split_off(sent);
    decoder.decode(&rest, &mut Vec::with_capacity(1)).unwrap();
    assert!(!decoder.is_flushed());
    assert_eq!(decoder.finish(), Ok(()));
}

#[test]
fn header_lines_name_the_coding() {
    let of = |values: &[&str]| Encoding::of(values.iter().map(|value| value.as_bytes()));
    assert_eq!(of(&[]), Encoding::Plain);
    assert_eq!(of(&["", " , identity"]), Encoding::Plain);
    for name in ["gzip", "x-gzip", "GZip", " gzip ", "identity, gzip", "gzip,"] {
        assert_eq!(of(&[name]), Encoding::Known(Coding::Gzip), "{name}");
    }
    assert_eq!(of(&["identity", "deflate"]), Encoding::Known(Coding::Deflate));
    for names in [&["br"][..], &["gzip, br"], &["gzip", "gzip"], &["br", "gzip"], &["gzip;q=1"], &["aws-chunked"]] {
        assert_eq!(of(names), Encoding::Other, "{names:?}");
    }
}

#[test]
fn clients_ask_for_what_can_be_decoded_only() {
    let narrow = |value: &str| narrowed(value.as_bytes()).map(|value| String::from_utf8(value).unwrap());
    for value in ["", "gzip", "gzip, deflate;q=0.5", "identity;q=0, x-gzip", "GZIP"] {
        assert_eq!(narrow(value), None, "{value}");
    }
    assert_eq!(narrow("gzip, deflate, br, zstd").unwrap(), "gzip, deflate");
    assert_eq!(narrow("br;q=1.0, gzip;q=0.8, *;q=0.1").unwrap(), "gzip;q=0.8");
    assert_eq!(narrow("br").unwrap(), "identity");
    assert_eq!(narrow("*").unwrap(), "identity");
}
