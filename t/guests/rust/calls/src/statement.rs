//! Statements of the guest `calls`: the grammar is in t/guests/README.md.

/// What is to be done, and in which callback.
#[derive(Clone)]
pub struct Statement {
    pub place: String,
    pub verb: String,
    pub words: Vec<String>,
}

impl Statement {
    fn parse(line: &str) -> Self {
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut verb = words.next().unwrap_or_default();
        let mut place = "request-headers".to_owned();
        if let Some(name) = verb.strip_prefix('@') {
            place = name.to_owned();
            verb = words.next().unwrap_or_default();
        }
        Self { place, verb, words: words.collect() }
    }

    /// The word at this place, or nothing.
    pub fn word(&self, number: usize) -> &str {
        self.words.get(number).map_or("", String::as_str)
    }
}

pub fn parse(text: &[u8]) -> Vec<Statement> {
    String::from_utf8_lossy(text)
        .split([';', '\n'])
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(Statement::parse)
        .collect()
}

/// `NAME:VALUE` words behind the fixed ones of a statement.
pub struct Options {
    /// Headers, or metadata.
    pub headers: Vec<(String, String)>,
    pub trailers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    pub timeout: u64,
    pub times: usize,
    pub authority: String,
    pub scheme: Option<String>,
}

impl Options {
    pub fn of(words: &[String], authority: &str) -> Self {
        let mut options = Self {
            headers: Vec::new(),
            trailers: Vec::new(),
            body: None,
            timeout: 20_000,
            times: 1,
            authority: authority.to_owned(),
            scheme: None,
        };
        for word in words {
            let (name, value) = word.split_once(':').expect("an option has a colon");
            let number = || value.parse().expect("a number");
            let pair = || {
                let (name, value) = value.split_once('=').expect("NAME=VALUE");
                (decoded(name), decoded(value))
            };
            match name {
                "h" => options.headers.push(pair()),
                "t" => options.trailers.push(pair()),
                "body" => options.body = Some(decoded(value).into_bytes()),
                "size" => options.body = Some(vec![b'x'; number()]),
                "timeout" => options.timeout = number() as u64,
                "times" => options.times = number(),
                "authority" => options.authority = decoded(value),
                "scheme" => options.scheme = Some(decoded(value)),
                _ => panic!("unknown option {word}"),
            }
        }
        options
    }
}

/// With `%XX` as that character.
pub fn decoded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).expect("two digits after %");
        out.push(char::from(byte));
        rest = &after[2..];
    }
    out + rest
}
