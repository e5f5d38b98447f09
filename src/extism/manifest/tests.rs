use std::path::PathBuf;

use super::*;

fn parse(text: &str) -> Result<Manifest, String> {
    Manifest::parse(text.as_bytes(), Path::new("/base")).map_err(|err| err.to_string())
}

fn error(text: &str) -> String {
    parse(text).err().unwrap_or_else(|| panic!("{text} is a manifest"))
}

#[test]
fn all_that_is_said_is_kept() {
    let manifest = parse(
        r#"{"wasm": [{"path": "a.wasm", "name": "main"}],
            "memory": {"max_pages": 10, "max_http_response_bytes": 2000, "max_var_bytes": 0},
            "config": {"key": "value", "empty": ""},
            "allowed_hosts": ["*.example.com", "localhost"],
            "allowed_paths": {"/data": "/mnt", "ro:files/x": "/x//"},
            "timeout_ms": 1500}"#,
    )
    .unwrap();
    assert_eq!(manifest.memory(), Some(10 << 16));
    assert_eq!((manifest.most_response(), manifest.most_vars()), (2000, 0));
    assert_eq!(manifest.config(b"key"), Some(&b"value"[..]));
    assert_eq!((manifest.config(b"empty"), manifest.config(b"none")), (Some(&b""[..]), None));
    assert!(manifest.allows_host("a.example.com") && manifest.allows_host("LOCALHOST") && !manifest.allows_host("x"));
    let grant = |host: &str, guest: &str, writable| Grant { host: PathBuf::from(host), guest: guest.into(), writable };
    assert_eq!(manifest.directories(), [grant("/data", "/mnt", true), grant("/base/files/x", "/x", false)]);
    assert_eq!(manifest.timeout(), Some(Duration::from_millis(1500)));
}

#[test]
fn what_is_not_said_is_as_in_the_reference_host() {
    for text in [
        "{}",
        r#"{"wasm": []}"#,
        r#"{"wasm": null, "memory": null, "config": null, "allowed_hosts": null, "allowed_paths": null, "timeout_ms": null}"#,
        r#"{"memory": {"max_pages": null, "max_http_response_bytes": null, "max_var_bytes": null}}"#,
    ] {
        let manifest = parse(text).unwrap();
        assert_eq!((manifest.most_response(), manifest.most_vars()), (50 << 20, 1 << 20));
        assert_eq!((manifest.memory(), manifest.timeout()), (None, None));
        assert!(!manifest.allows_host("localhost") && manifest.directories().is_empty());
        assert_eq!(manifest.check(b"any module"), Ok(()));
    }
}

#[test]
fn a_hash_is_that_of_the_module() {
    let hash = supply::sha256_hex(b"module");
    for hash in [hash.clone(), hash.to_ascii_uppercase()] {
        let manifest =
            parse(&format!(r#"{{"wasm": [{{"url": "https://a/b", "method": "GET", "hash": "{hash}"}}]}}"#)).unwrap();
        assert_eq!(manifest.check(b"module"), Ok(()));
        let err = manifest.check(b"another").unwrap_err().to_string();
        assert!(err.contains(&supply::sha256_hex(b"another")) && err.contains("but the manifest says"), "{err}");
    }
    assert!(error(r#"{"wasm": [{"hash": "abc"}]}"#).contains("should be 64 hexadecimal digits"));
}

#[test]
fn a_plugin_is_one_module() {
    let err = error(r#"{"wasm": [{"path": "a"}, {"path": "b"}]}"#);
    assert!(err.starts_with("\"wasm\" lists 2 modules, but a plugin is one module here"), "{err}");
}

#[test]
fn unknown_fields_are_refused_by_name() {
    for (text, name) in [
        (r#"{"timeout": 1}"#, "timeout"),
        (r#"{"memory": {"max": 1}}"#, "max"),
        (r#"{"wasm": [{"file": "a"}]}"#, "file"),
    ] {
        assert!(error(text).contains(&format!("has an unknown field \"{name}\"; known are ")), "{text}");
    }
}

#[test]
fn fields_have_their_kinds() {
    for (text, message) in [
        ("", "it is no JSON: EOF while parsing a value at line 1 column 0"),
        ("[]", "the manifest is a list, but should be an object"),
        (r#"{"wasm": {}}"#, "\"wasm\" of the manifest is an object, but should be a list"),
        (r#"{"wasm": ["a"]}"#, "the module in \"wasm\" is a string, but should be an object"),
        (r#"{"config": {"a": 1}}"#, "\"config.a\" of the manifest is 1, but should be a string"),
        (r#"{"allowed_hosts": [1]}"#, "\"allowed_hosts\" has a number in it, but should be a list of strings"),
        (r#"{"memory": {"max_pages": 0}}"#, "\"max_pages\" is 0, but should be from 1 to 65536 (of 64 KiB)"),
        (r#"{"memory": {"max_pages": 65537}}"#, "\"max_pages\" is 65537, but should be from 1 to 65536 (of 64 KiB)"),
        (r#"{"timeout_ms": 0}"#, "\"timeout_ms\" is 0, which is no time; leave it out for any time"),
        (
            r#"{"timeout_ms": 1.5}"#,
            "\"timeout_ms\" of the manifest is 1.5, but should be a whole number, and not below 0",
        ),
    ] {
        assert_eq!(error(text), message);
    }
}

#[test]
fn what_grants_no_directory_is_refused() {
    for (host, guest) in
        [("", "/a"), ("ro:", "/a"), ("/a", "b"), ("/a", ""), ("/a", "/b/../c"), ("/a", "/./b"), ("/a\\u0000", "/b")]
    {
        let err = error(&format!(r#"{{"allowed_paths": {{"{host}": "{guest}"}}}}"#));
        assert!(err.contains("in \"allowed_paths\" grants no directory: "), "{err}");
    }
}
