//! A query that is a search of words becomes arguments of a program (RFC 3875, section 4.4). `ngx_module` asks it where
//! `wasm_query_arguments` says so.

use percent_encoding::percent_decode;

/// The words of a query as the client has sent it: without "=", separated by "+". None for a query that is none of this kind, or of
/// which a word cannot be an argument.
pub fn search_words(query: &[u8]) -> Vec<Vec<u8>> {
    if query.is_empty() || query.contains(&b'=') {
        return Vec::new();
    }
    let words: Vec<Vec<u8>> = query.split(|byte| *byte == b'+').map(|word| percent_decode(word).collect()).collect();
    // An argument ends at a byte of 0, and an empty word is none.
    if words.iter().any(|word| word.is_empty() || word.contains(&0)) { Vec::new() } else { words }
}

#[cfg(test)]
mod tests {
    use super::search_words;

    #[test]
    fn words_of_a_search_are_decoded_one_by_one() {
        assert_eq!(search_words(b"a"), [b"a"]);
        assert_eq!(search_words(b"one+two%20words+%2B+%3d"), [&b"one"[..], b"two words", b"+", b"="]);
        assert_eq!(search_words(b"%ff%zz-d"), [b"\xff%zz-d"]);
        assert_eq!(search_words(b"a&b"), [b"a&b"]);
    }

    #[test]
    fn other_queries_are_no_arguments() {
        for query in [&b""[..], b"a=b", b"a+b=c", b"=", b"+", b"a+", b"+a", b"a++b", b"a+b%00c"] {
            assert_eq!(search_words(query), Vec::<Vec<u8>>::new(), "{}", query.escape_ascii());
        }
    }
}
