//! Bodies: what is read from standard input, and answers in pieces.

use std::env;
use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

use crate::answers::{TEXT, put};
use crate::request::Request;

/// The request's body with its type, each piece when it comes.
pub fn echo() -> io::Result<()> {
    let kind = env::var("CONTENT_TYPE").unwrap_or_else(|_| "application/octet-stream".to_owned());
    put(format!("Content-Type: {kind}\n\n").as_bytes())?;
    pieces(64 * 1024, put)
}

/// Reads to the end in pieces of at most that size.
fn pieces(most: usize, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut piece = vec![0; most];
    loop {
        let size = input.read(&mut piece)?;
        if size == 0 {
            return Ok(());
        }
        take(&piece[..size])?;
    }
}

/// How many bytes came, and their checksum: each time the sum so far times 31, and the byte, in 32 bits.
pub fn count() -> io::Result<()> {
    let (mut count, mut sum) = (0_u64, 0_u32);
    pieces(64 * 1024, |piece| {
        count += piece.len() as u64;
        sum = piece.iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
        Ok(())
    })?;
    put(format!("{TEXT}{count} bytes, sum {sum}\n").as_bytes())
}

/// Reads and writes by turns, in pieces of 1000 bytes.
pub fn upper() -> io::Result<()> {
    put(TEXT.as_bytes())?;
    pieces(1000, |piece| put(&piece.to_ascii_uppercase()))
}

/// `n` bytes in pieces of `piece`; with `length` it says so before. Each piece is a letter, from a to z.
pub fn large(request: &Request) -> io::Result<()> {
    let size: u64 = request.number("n", 1_000_000);
    let most: u64 = request.number("piece", 16 * 1024).max(1);
    let length = request.option("length").map(|_| format!("Content-Length: {size}\n")).unwrap_or_default();
    put(format!("{length}{TEXT}").as_bytes())?;
    let (mut left, mut letter) = (size, b'a');
    while left > 0 {
        let piece = left.min(most);
        put(&vec![letter; piece as usize])?;
        left -= piece;
        letter = if letter == b'z' { b'a' } else { letter + 1 };
    }
    Ok(())
}

/// `n` lines, with a sleep of `ms` milliseconds after each.
pub fn drip(request: &Request) -> io::Result<()> {
    let pause = Duration::from_millis(request.number("ms", 10));
    put(TEXT.as_bytes())?;
    for number in 1..=request.number("n", 3) {
        put(format!("line {number}\n").as_bytes())?;
        thread::sleep(pause);
    }
    Ok(())
}

/// Says one length, and has another.
pub fn wrong_length(said: usize, had: usize) -> io::Result<()> {
    put(format!("Content-Length: {said}\n{TEXT}{}", "x".repeat(had)).as_bytes())
}

pub fn never_read() -> io::Result<()> {
    put(format!("{TEXT}not read\n").as_bytes())
}

/// Answers first, and reads when that has gone: `n` bytes at most.
pub fn late_read(request: &Request) -> io::Result<()> {
    put(format!("{TEXT}first\n").as_bytes())?;
    let mut count = 0;
    let mut input = io::stdin().lock().take(request.number("n", u64::MAX));
    count += io::copy(&mut input, &mut io::sink())?;
    let mut out = io::stdout().lock();
    writeln!(out, "then {count} bytes")?;
    out.flush()
}
