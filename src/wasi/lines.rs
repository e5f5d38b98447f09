//! Lines that a guest prints in pieces.

use super::outside::{Outside, Stream};

/// The longest line that is kept; what follows becomes the next one.
const LONGEST: usize = 4096;

/// Lines that have not ended yet.
#[derive(Default)]
pub(crate) struct Output {
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Output {
    /// Passes on what is left, at the end of a callback.
    pub fn flush(&mut self, host: &mut dyn Outside) {
        for (line, to) in [(&mut self.out, Stream::Out), (&mut self.err, Stream::Err)] {
            if !line.is_empty() {
                host.print(to, line);
                line.clear();
            }
        }
    }

    /// Whether all has been passed on.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty() && self.err.is_empty()
    }

    /// Takes what the guest prints, and passes on the lines that end.
    pub(super) fn write(&mut self, to: Stream, mut bytes: &[u8], host: &mut dyn Outside) {
        let line = match to {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        };
        while !bytes.is_empty() {
            let room = LONGEST - line.len();
            let piece = &bytes[..bytes.len().min(room)];
            match piece.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    line.extend_from_slice(&piece[..end]);
                    bytes = &bytes[end + 1..];
                }
                None => {
                    line.extend_from_slice(piece);
                    bytes = &bytes[piece.len()..];
                    if line.len() < LONGEST {
                        continue;
                    }
                }
            }
            if !line.is_empty() {
                host.print(to, line);
                line.clear();
            }
        }
    }
}
