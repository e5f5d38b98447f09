//! Numbers that mean something as long as it is there: who keeps one longer finds nothing, whatever has taken its place since. The
//! adapter gives them to VMs and calls out for its requests ([`StreamToken`]).

use crate::proxy_wasm::StreamToken;

/// Bits of a token that are its place: more than a worker has requests at a time. The others, which count who has had the place, do
/// not come round in a worker's life.
const PLACE_BITS: u32 = 24;
const MOST_PLACES: usize = (1 << PLACE_BITS) - 1;
const MOST_TURNS: usize = usize::MAX >> PLACE_BITS;

/// What tokens mean.
pub struct Tokens<T> {
    places: Vec<Place<T>>,
    free: Vec<usize>,
}

struct Place<T> {
    /// How many have had it before.
    turn: usize,
    meaning: Option<T>,
}

impl<T> Default for Tokens<T> {
    fn default() -> Self {
        Tokens::new()
    }
}

impl<T> Tokens<T> {
    /// None yet.
    pub const fn new() -> Self {
        Tokens { places: Vec::new(), free: Vec::new() }
    }
}

impl<T: Copy> Tokens<T> {
    /// A token that means this. `None`: there are as many as there can be. No token is 0, which always means nothing.
    pub fn give(&mut self, meaning: T) -> Option<StreamToken> {
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.places.len() < MOST_PLACES => {
                self.places.push(Place { turn: 0, meaning: None });
                self.places.len() - 1
            }
            None => return None,
        };
        let place = self.places.get_mut(number)?;
        place.meaning = Some(meaning);
        Some(StreamToken(place.turn << PLACE_BITS | (number + 1)))
    }

    /// What a token means.
    pub fn get(&self, token: StreamToken) -> Option<T> {
        self.places[self.place(token)?].meaning
    }

    /// A token means nothing any more.
    pub fn take_back(&mut self, token: StreamToken) {
        let Some(number) = self.place(token) else { return };
        let place = &mut self.places[number];
        place.meaning = None;
        place.turn = (place.turn + 1) & MOST_TURNS;
        self.free.push(number);
    }

    /// The place of a token whose turn it is.
    fn place(&self, token: StreamToken) -> Option<usize> {
        let number = (token.0 & MOST_PLACES).checked_sub(1)?;
        let place = self.places.get(number)?;
        (place.turn == token.0 >> PLACE_BITS).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_means_what_it_was_given_for() {
        let mut tokens = Tokens::default();
        let (first, second) = (tokens.give('a').unwrap(), tokens.give('b').unwrap());
        assert_ne!(first, second);
        assert_eq!((tokens.get(first), tokens.get(second)), (Some('a'), Some('b')));
    }

    #[test]
    fn a_token_that_was_taken_back_means_nothing_though_its_place_is_taken() {
        let mut tokens = Tokens::default();
        let old = tokens.give(1).unwrap();
        tokens.take_back(old);
        assert_eq!(tokens.get(old), None);
        let new = tokens.give(2).unwrap();
        assert_eq!((tokens.get(old), tokens.get(new)), (None, Some(2)));
        // Taking the old one back again does not touch the new one.
        tokens.take_back(old);
        assert_eq!(tokens.get(new), Some(2));
    }

    #[test]
    fn no_token_is_zero_and_made_up_ones_mean_nothing() {
        let mut tokens = Tokens::default();
        let token = tokens.give(1).unwrap();
        for made_up in [0, token.0 + 1, token.0 | 1 << PLACE_BITS, usize::MAX] {
            assert_eq!(tokens.get(StreamToken(made_up)), None, "{made_up}");
            tokens.take_back(StreamToken(made_up));
        }
        assert_eq!(tokens.get(token), Some(1));
    }

    #[test]
    fn places_are_used_again() {
        let mut tokens = Tokens::<()>::default();
        for _ in 0..1000 {
            let token = tokens.give(()).unwrap();
            tokens.take_back(token);
        }
        assert_eq!(tokens.places.len(), 1);
    }
}
