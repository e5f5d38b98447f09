//! Expressions over properties, and what hostile ones may cost.

use super::*;
use crate::proxy_wasm::filter_state::ValueType;
use crate::proxy_wasm::pairs::Pairs;

/// The properties that are there, and the paths that were asked for.
#[derive(Default)]
struct Properties {
    values: BTreeMap<Vec<u8>, (Option<ValueType>, Vec<u8>)>,
    asked: Vec<String>,
}

impl Properties {
    fn with(mut self, path: &str, value: impl AsRef<[u8]>) -> Self {
        self.values.insert(path.replace('.', "\0").into_bytes(), (None, value.as_ref().to_vec()));
        self
    }

    fn of_filter(mut self, path: &str, value_type: ValueType, value: &[u8]) -> Self {
        self.values.insert(path.as_bytes().to_vec(), (Some(value_type), value.to_vec()));
        self
    }

    fn eval(&mut self, text: &str) -> Result<Vec<u8>, Status> {
        let expression = Expression::compile(text.as_bytes()).unwrap_or_else(|err| panic!("{text}: {err}"));
        let mut out = Vec::new();
        let result = expression.evaluate(
            &mut |path, value| {
                self.asked.push(String::from_utf8_lossy(path).replace('\0', "."));
                let (value_type, bytes) = self.values.get(path).ok_or(Status::NotFound)?;
                value.extend_from_slice(bytes);
                Ok(*value_type)
            },
            &mut out,
        );
        result.map(|()| out).map_err(|failure| failure.status)
    }

    fn truth(&mut self, text: &str) -> bool {
        match self.eval(text).as_deref() {
            Ok([truth]) => *truth == 1,
            other => panic!("{text}: {other:?}"),
        }
    }
}

fn request() -> Properties {
    let mut headers = Vec::new();
    let pairs = [(&b":path"[..], &b"/index?a=1"[..]), (b"x-one", b"1"), (b"x-two", b"a"), (b"x-two", b"b")];
    Pairs::encode(pairs.into_iter(), &mut headers).unwrap();
    Properties::default()
        .with("request.path", "/index?a=1")
        .with("request.method", "GET")
        .with("request.size", 300i64.to_le_bytes())
        .with("request.time", 1_700_000_000_000_000_005i64.to_le_bytes())
        .with("request.duration", 1_500_000_000i64.to_le_bytes())
        .with("request.headers", headers)
        .with("request.headers.x-one", "1")
        .with("request.headers.x-raw", b"\xff\xfe")
        .with("request.headers.:path", "/index?a=1")
        .with("connection.id", u64::MAX.to_le_bytes())
        .with("connection.mtls", [1])
        .with("plugin_name", "name")
        .with("ngx.uri", "/index")
}

#[test]
fn properties_have_their_types() {
    for text in [
        "request.path == '/index?a=1'",
        "request['path'].startsWith('/index')",
        "request.size == 300 && request.size / 7 == 42",
        "request.time == timestamp('2023-11-14T22:13:20.000000005Z')",
        "request.time.getFullYear() == 2023",
        "request.duration == duration('1.5s') && request.duration > duration('1s')",
        "connection.id == 18446744073709551615u",
        "connection.mtls",
        "plugin_name == 'name'",
        "ngx.uri == '/index'",
        "request.headers['x-one'] == '1'",
        "request.headers[':path'] == request.path",
        "type(request.path) == string && type(request.size) == int && type(request.headers) == map",
        "request.headers['x-raw'] == b'\\xff\\xfe'",
    ] {
        assert!(request().truth(text), "{text}");
    }
}

#[test]
fn headers_are_a_map() {
    for text in [
        "'x-one' in request.headers",
        "!('x-three' in request.headers)",
        "size(request.headers) == 3",
        "request.headers.exists(name, name.startsWith('x-') && request.headers[name] == '1')",
        "has(request.headers.host) == false",
        "request.headers.map(name, name == 'x-two', request.headers[name]) == ['a,b']",
    ] {
        assert!(request().truth(text), "{text}");
    }
}

#[test]
fn only_what_is_needed_is_asked_for_and_only_once() {
    let mut properties = request();
    assert!(properties.truth("request.method == 'GET' || request.path == '' || response.code == 200"));
    assert_eq!(properties.asked, ["request.method"]);
    let mut properties = request();
    assert!(properties.truth("[1, 2, 3].all(n, n < request.size && request.size > n)"));
    assert_eq!(properties.asked, ["request.size"]);
    let mut properties = request();
    assert!(!properties.truth("request.method == 'POST' ? request.size > 1 : request.path == ''"));
    assert_eq!(properties.asked, ["request.method", "request.path"]);
}

#[test]
fn a_property_that_is_not_there_is_an_error_that_logic_absorbs() {
    assert_eq!(request().eval("response.code == 200"), Err(Status::InternalFailure));
    assert!(request().truth("response.code == 200 || true"));
    assert!(!request().truth("response.code == 200 && request.method == 'PUT'"));
    assert!(!request().truth("has(response.code)"));
    assert!(request().truth("has(request.path) && !has(request.headers.nothing) && has(request.headers)"));
    for text in ["request", "request.path.more", "nothing", "request.headers", "xds.a.b"] {
        let result = request().eval(text);
        assert_eq!(result.is_ok(), text == "request.headers", "{text}");
    }
}

#[test]
fn variables_of_loops_hide_properties() {
    assert!(request().truth("[{'path': 'mine'}].all(request, request.path == 'mine')"));
    assert!(request().truth("[1].exists(x, [2].exists(y, x + y == 3)) && request.size == 300"));
}

#[test]
fn properties_of_filters_have_the_type_that_was_declared() {
    let mut properties = Properties::default()
        .of_filter("text", ValueType::String, b"a")
        .of_filter("raw", ValueType::Bytes, b"a")
        .of_filter("filter_state\0wasm.text", ValueType::String, b"a");
    assert!(properties.truth("text == 'a' && raw == b'a' && filter_state['wasm.text'] == 'a'"));
}

#[test]
fn values_have_the_form_of_properties() {
    let mut properties = request();
    for (text, bytes) in [
        ("'a' + 'b'", &b"ab"[..]),
        ("b'\\xff'", b"\xff"),
        ("-2", b"\xfe\xff\xff\xff\xff\xff\xff\xff"),
        ("2u", b"\x02\0\0\0\0\0\0\0"),
        ("1.5", b"\0\0\0\0\0\0\xf8\x3f"),
        ("true", b"\x01"),
        ("1 > 2", b"\0"),
        ("duration('1s')", b"\0\xca\x9a\x3b\0\0\0\0"),
        ("timestamp('1970-01-01T00:00:01Z')", b"\0\xca\x9a\x3b\0\0\0\0"),
        ("{'b': 'c', 'a': true}", b"\x02\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0\x01\0b\0c\0"),
        ("['ab', '']", b"\x02\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0ab\0\0\0\0"),
        ("[]", b"\0\0\0\0"),
        ("request.path", b"/index?a=1"),
    ] {
        assert_eq!(properties.eval(text).as_deref(), Ok(bytes), "{text}");
    }
    for text in ["null", "[null]", "type(1)", "timestamp('9999-01-01T00:00:00Z')"] {
        assert_eq!(properties.eval(text), Err(Status::SerializationFailure), "{text}");
    }
}

#[test]
fn errors_of_evaluation_are_internal_failures() {
    for text in ["1 / 0", "1 + 'a'", "[1][2]", "{'a': 1}['b']", "9223372036854775807 + 1", "'a'.nothing()", "int('x')"]
    {
        assert_eq!(Properties::default().eval(text), Err(Status::InternalFailure), "{text}");
    }
}

#[test]
fn texts_that_are_no_expressions_are_refused() {
    for text in
        ["", " ", "1 +", "request.", "(", "'a", "a b", "@value0", "x.map(1, 2)", "Message{a: 1}", "\0", "1 // c \n +"]
    {
        assert!(Expression::compile(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Expression::compile(b"'\xff'").is_err());
}

#[test]
fn matches_takes_regular_expressions() {
    for text in [
        "request.path.matches('^/index[?]')",
        "matches(request.path, 'a=[0-9]+$')",
        "!request.path.matches('^index')",
        "request.path.matches('/' + 'index')",
        "['a', 'b'].all(x, x.matches('^[ab]$'))",
        "['^a', 'a$'].all(x, 'a'.matches(x))",
    ] {
        assert!(request().truth(text), "{text}");
    }
    assert_eq!(
        Expression::compile(b"'a'.matches('b') && 'a'.matches('c') && 'a'.matches('b' + 'c')").unwrap().patterns(),
        2
    );
    for text in ["'a'.matches('(')", "'a'.matches('(\\\\w{100}){100}')", "'a'.matches(1, 2)"] {
        assert!(Expression::compile(text.as_bytes()).is_err(), "{text}");
    }
    assert_eq!(request().eval("request.path.matches('(' + '')"), Err(Status::InternalFailure));
    assert_eq!(request().eval("request.size.matches('a')"), Err(Status::InternalFailure));
}

#[test]
fn length_symbols_and_nesting_are_bounded() {
    let compiles = |text: String| Expression::compile(text.as_bytes()).is_ok();
    assert!(compiles(format!("'{}'", "a".repeat(MAX_LENGTH - 2))));
    assert!(!compiles(format!("'{}'", "a".repeat(MAX_LENGTH - 1))));
    assert!(compiles(format!("1{}", "+1".repeat(MAX_SYMBOLS))));
    assert!(!compiles(format!("1{}", "+1".repeat(MAX_SYMBOLS + 1))));
    for (open, close) in [("(", ")"), ("[", "]"), ("size([", "])"), ("[1].map(x, ", ")"), ("{1:", "}"), ("!(", ")")] {
        assert!(compiles(format!("{}1{}", open.repeat(10), close.repeat(10))), "{open}");
        assert!(!compiles(format!("{}1{}", open.repeat(100), close.repeat(100))), "{open}");
    }
}

/// The stack of a worker has 8 MiB as a rule, of which a guest has used up to 512 KiB when it calls.
#[test]
fn the_deepest_expressions_fit_on_the_stack() {
    let texts = [
        format!("1{}", "+1".repeat(MAX_SYMBOLS)),
        format!("1{}", "==1".repeat(MAX_SYMBOLS / 2)),
        format!("a{}", ".a".repeat(MAX_SYMBOLS)),
        format!("a{}", "[0]".repeat(MAX_SYMBOLS / 2)),
        format!("[1]{}", ".map(x,x)".repeat(MAX_SYMBOLS / 4 - 1)),
        format!("1{}", " in 1".repeat(MAX_LENGTH / 5 - 1)),
        format!("{}1", "true?1:".repeat(MAX_NESTING as usize - 1)),
        format!("{}true", "!".repeat(MAX_SYMBOLS)),
        format!("'a'{}", ".matches('a')".repeat(MAX_PATTERNS_IN_TEXT)),
        format!("{}1+1{}", "[1].map(x, x + ".repeat(24), ")".repeat(24)),
    ];
    for text in texts {
        let run = move || {
            if let Ok(expression) = Expression::compile(text.as_bytes()) {
                let _ = expression.evaluate(&mut |_, _| Err(Status::NotFound), &mut Vec::new());
            }
        };
        std::thread::Builder::new().stack_size(6 << 20).spawn(run).unwrap().join().unwrap();
    }
}

const MAX_PATTERNS_IN_TEXT: usize = 100;

fn costs_too_much(text: &str) {
    let expression = Expression::compile(text.as_bytes()).unwrap_or_else(|err| panic!("{text}: {err}"));
    let big = "x".repeat(60_000);
    let mut load = |path: &[u8], value: &mut Vec<u8>| match path {
        b"big" => {
            value.extend_from_slice(big.as_bytes());
            Ok(None)
        }
        _ => Err(Status::NotFound),
    };
    let failure = expression.evaluate(&mut load, &mut Vec::new()).expect_err(text);
    assert_eq!(failure.status, Status::InternalFailure, "{text}");
    assert!(failure.reason.contains("too much") || failure.reason.contains("too large"), "{text}: {}", failure.reason);
}

#[test]
fn loops_in_loops_are_bounded() {
    let list = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]";
    let nested = |before: &str, innermost: &str, after: &str| {
        (0..6).fold(innermost.to_owned(), |text, n| format!("{before}{list}.{}{n}, {text}){after}", "LOOP(a"))
    };
    for name in ["all", "map"] {
        costs_too_much(&nested("", "true", "").replace("LOOP", name));
    }
    for name in ["exists", "exists_one"] {
        costs_too_much(&nested("", "false", "").replace("LOOP", name));
    }
    costs_too_much(&nested("size(", "true", ") > 0").replace("LOOP", "filter"));
}

#[test]
fn values_that_grow_are_bounded() {
    costs_too_much(&format!("['0123456789abcdef']{}", ".map(x, x + x)".repeat(30)));
    costs_too_much(&format!("[[1]]{}", ".map(x, [x, x])".repeat(30)));
    costs_too_much(&format!("[[1]]{}", ".map(x, x + x)".repeat(30)));
    costs_too_much(&format!("[{{'a': 1}}]{}", ".map(x, {'a': x, 'b': x})".repeat(30)));
    costs_too_much(&format!("big{}", " + big".repeat(100)));
}

#[test]
fn large_values_count_each_time_they_are_used() {
    let range = format!("[{}]", vec!["1"; 400].join(","));
    costs_too_much(&format!("{range}.all(a, {range}.all(b, !big.contains('z')))"));
    costs_too_much(&format!("[big].all(s, {range}.all(a, {range}.all(b, !s.contains('z'))))"));
    costs_too_much(&format!("{range}.all(a, {range}.all(b, !big.matches('z')))"));
    costs_too_much("[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, 'a'.matches('a' + '')))");
}

#[test]
fn usual_loops_are_not_too_expensive() {
    let range = format!("[{}]", vec!["1"; 500].join(","));
    assert!(request().truth(&format!("{range}.all(a, a == 1 && request.path.startsWith('/'))")));
    assert!(request().truth(&format!("size({range}.map(a, a + 1)) == 500")));
    assert!(request().truth("size([1,2,3,4].map(a, [1,2,3,4].map(b, [a, b, request.path + 'x']))) == 4"));
}
