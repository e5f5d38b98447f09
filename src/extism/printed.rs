//! What a plugin prints to standard output, which comes in pieces: it becomes messages of its log, a line each. `surroundings.rs`
//! gives it here; standard error takes the way of `wasi`.

/// The longest line that is kept; what follows becomes the next one.
const LONGEST: usize = 4096;

/// A line that has not ended yet.
#[derive(Default)]
pub(super) struct Printed(Vec<u8>);

impl Printed {
    /// Takes what is printed, and gives the lines that end to `log`. Empty ones are none.
    pub fn write(&mut self, mut bytes: &[u8], log: &mut dyn FnMut(&[u8])) {
        while !bytes.is_empty() {
            let piece = &bytes[..bytes.len().min(LONGEST - self.0.len())];
            let end = piece.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(piece.len());
            self.0.extend_from_slice(&piece[..taken]);
            bytes = &bytes[taken + usize::from(end.is_some())..];
            if end.is_some() || self.0.len() == LONGEST {
                self.flush(log);
            }
        }
    }

    /// Gives away what is left, at the end of a call.
    pub fn flush(&mut self, log: &mut dyn FnMut(&[u8])) {
        if !self.0.is_empty() {
            log(&self.0);
            self.0.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut printed, mut lines) = (Printed::default(), Vec::new());
        for piece in pieces {
            printed.write(piece, &mut |line| lines.push(line.to_vec()));
        }
        printed.flush(&mut |line| lines.push(line.to_vec()));
        lines
    }

    #[test]
    fn pieces_become_lines() {
        assert_eq!(lines(&[b"one ", b"line\n\nan", b"other\nthe last"]), [&b"one line"[..], b"another", b"the last"]);
        assert_eq!(lines(&[b"\n", b"", b"\n\n"]), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_long_line_is_cut() {
        let sizes = |text: &[u8]| lines(&[text]).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(&[b'x'; 10000]), [4096, 4096, 1808]);
        assert_eq!(sizes(&[&[b'x'; 4096][..], b"\ny"].concat()), [4096, 1]);
    }
}
