//! `compress` and `uncompress`: bytes to and from the zlib format (RFC 1950).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status as Progress};

use super::Call;
use crate::proxy_wasm::types::Status;

/// The most that `uncompress` gives: a few bytes can stand for a thousand times as many.
const MAX_OUTPUT: usize = 16 << 20;

/// What output buffers grow by at least.
const STEP: usize = 4096;

/// The arguments as a zlib stream, at zlib's default level.
pub(super) fn compress(_: &mut Call<'_>, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let mut stream = Compress::new(Compression::default(), true);
    out.reserve(bytes.len() / 4 + 64);
    loop {
        let rest = &bytes[stream.total_in() as usize..];
        match stream.compress_vec(rest, out, FlushCompress::Finish) {
            Ok(Progress::StreamEnd) => return Ok(()),
            Ok(_) => out.reserve(STEP.max(out.len())),
            Err(_) => return Err(Status::SerializationFailure),
        }
    }
}

/// The content of the zlib stream that the arguments begin with. What follows it is ignored, as zlib's own function does.
pub(super) fn uncompress(_: &mut Call<'_>, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    uncompress_up_to(MAX_OUTPUT, bytes, out)
}

fn uncompress_up_to(max: usize, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let mut stream = Decompress::new(true);
    loop {
        if out.len() == out.capacity() {
            // One byte more than is allowed, to tell an output of just that size from a larger one.
            let room = STEP.max(out.len()).min((max + 1).saturating_sub(out.len()));
            if room == 0 {
                return Err(Status::SerializationFailure);
            }
            out.reserve_exact(room);
        }
        let before = (stream.total_in(), out.len());
        let rest = &bytes[stream.total_in() as usize..];
        let progress = stream.decompress_vec(rest, out, FlushDecompress::None);
        if out.len() > max {
            return Err(Status::SerializationFailure);
        }
        match progress {
            Ok(Progress::StreamEnd) => return Ok(()),
            // There is room, and still nothing comes: the stream has no end.
            Ok(_) if before == (stream.total_in(), out.len()) => return Err(Status::SerializationFailure),
            Ok(_) => (),
            Err(_) => return Err(Status::SerializationFailure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy_wasm::foreign::tests_support::{Fixture, hex};

    fn both_ways(bytes: &[u8]) {
        let mut fixture = Fixture::default();
        let small = fixture.call("compress", bytes).unwrap();
        assert_eq!(fixture.call("uncompress", &small).unwrap(), bytes, "{} bytes", bytes.len());
    }

    #[test]
    fn what_was_compressed_comes_back() {
        both_ways(b"");
        both_ways(b"a");
        both_ways(&[0; 100_000]);
        both_ways(&(0..200_000u32).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect::<Vec<_>>());
    }

    #[test]
    fn the_format_is_zlibs() {
        // Made by zlib.
        assert_eq!(
            Fixture::default().call("uncompress", &hex("789ccb48cdc9c95728cf2fca4901001a0b045d")).unwrap(),
            b"hello world"
        );
        assert_eq!(Fixture::default().call("compress", b"hello world").unwrap()[..2], [0x78, 0x9c]);
    }

    #[test]
    fn what_follows_the_stream_is_ignored() {
        let mut bytes = Fixture::default().call("compress", b"hello").unwrap();
        bytes.extend(b"more");
        assert_eq!(Fixture::default().call("uncompress", &bytes).unwrap(), b"hello");
    }

    #[test]
    fn what_is_no_whole_stream_is_a_serialization_failure() {
        let whole = Fixture::default().call("compress", b"hello hello hello").unwrap();
        for len in 0..whole.len() {
            assert_eq!(
                Fixture::default().call("uncompress", &whole[..len]),
                Err(Status::SerializationFailure),
                "{len} bytes"
            );
        }
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for bytes in [&b"no stream"[..], &damaged] {
            assert_eq!(Fixture::default().call("uncompress", bytes), Err(Status::SerializationFailure));
        }
    }

    #[test]
    fn the_output_has_a_limit() {
        let small = Fixture::default().call("compress", &[0; 10_000]).unwrap();
        assert_eq!(uncompress_up_to(10_000, &small, &mut Vec::new()), Ok(()));
        assert_eq!(uncompress_up_to(9_999, &small, &mut Vec::new()), Err(Status::SerializationFailure));
        assert_eq!(uncompress_up_to(9_999, &small, &mut Vec::with_capacity(65_536)), Err(Status::SerializationFailure));
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = Fixture::default().call("compress", &vec![0; super::super::MAX_ARGUMENTS]).unwrap();
        let two = [bomb.as_slice(), &bomb].concat();
        assert_eq!(Fixture::default().call("uncompress", &two).map(|out| out.len()), Ok(MAX_OUTPUT));
        let mut larger = Compress::new(Compression::default(), true);
        let mut out = Vec::with_capacity(1 << 20);
        larger.compress_vec(&vec![0; MAX_OUTPUT + 1], &mut out, FlushCompress::Finish).unwrap();
        assert_eq!(Fixture::default().call("uncompress", &out), Err(Status::SerializationFailure));
    }
}
