//! Bytes of a request that `http` cannot hold: others stand in for them until `hyper` has written the head, and are changed
//! here on their way out. [`Head::for_http1`](super::head::Head::for_http1) says which; a connection of the embedder asks for
//! each piece that it is to send.

/// A change: what stands in, and what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// Bytes that stand nowhere else.
    pub find: Vec<u8>,
    /// What goes in their place.
    pub put: Vec<u8>,
}

/// The changes that a connection has yet to make.
#[derive(Debug, Default)]
pub struct Verbatim(Vec<Swap>);

impl Verbatim {
    /// The next head has these, all of them. What a head that was never sent has left is forgotten.
    pub fn expect(&mut self, swaps: Vec<Swap>) {
        self.0 = swaps;
    }

    /// What is to be sent in place of `bytes`; nothing when they go as they are. A head is written in one piece, perhaps with
    /// something before it and behind it.
    pub fn rewrite(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut places = Vec::with_capacity(self.0.len());
        for swap in &self.0 {
            places.push((bytes.windows(swap.find.len()).position(|window| window == swap.find)?, swap));
        }
        if places.is_empty() {
            return None;
        }
        places.sort_by_key(|(place, _)| *place);
        let mut out = Vec::with_capacity(bytes.len() + self.0.iter().map(|swap| swap.put.len()).sum::<usize>());
        let mut end = 0;
        for (place, swap) in places {
            out.extend_from_slice(bytes.get(end..place).unwrap_or_default());
            out.extend_from_slice(&swap.put);
            end = place + swap.find.len();
        }
        out.extend_from_slice(bytes.get(end..).unwrap_or_default());
        self.0.clear();
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swap(find: &str, put: &str) -> Swap {
        Swap { find: find.into(), put: put.into() }
    }

    #[test]
    fn nothing_is_changed_before_the_head_comes_nor_twice() {
        let mut verbatim = Verbatim::default();
        assert_eq!(verbatim.rewrite(b"one"), None);
        verbatim.expect(vec![swap("two", "2"), swap("one", "")]);
        assert_eq!(verbatim.rewrite(b"the end of another body"), None);
        assert_eq!(verbatim.rewrite(b"only one"), None, "a head comes whole");
        assert_eq!(verbatim.rewrite(b"the end, one two one").as_deref(), Some(&b"the end,  2 one"[..]));
        assert_eq!(verbatim.rewrite(b"one two"), None);
    }

    #[test]
    fn what_a_head_has_left_that_never_came_is_forgotten() {
        let mut verbatim = Verbatim::default();
        verbatim.expect(vec![swap("one", "1")]);
        verbatim.expect(vec![swap("two", "2")]);
        assert_eq!(verbatim.rewrite(b"one two").as_deref(), Some(&b"one 2"[..]));
    }
}
