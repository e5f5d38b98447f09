//! Filter state, which the filters of a request share: `set_envoy_filter_state`, `declare_property`.

use prost::Message;

use super::Call;
use super::kept::{MAX_DECLARED, MAX_NAME};
use crate::proxy_wasm::filter_state::{LifeSpan, Prototype, ValueType};
use crate::proxy_wasm::properties::put;
use crate::proxy_wasm::types::Status;

/// Envoy's message of this name.
#[derive(Clone, PartialEq, Message)]
struct SetEnvoyFilterStateArguments {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    value: String,
    #[prost(int32, tag = "3")]
    span: i32,
}

/// Envoy's message of this name. Its `schema` says how to look into a value of type FlatBuffers or Protobuf, which this
/// host does not.
#[derive(Clone, PartialEq, Message)]
struct DeclarePropertyArguments {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bool, tag = "2")]
    readonly: bool,
    #[prost(int32, tag = "3")]
    r#type: i32,
    #[prost(bytes = "vec", tag = "4")]
    schema: Vec<u8>,
    #[prost(int32, tag = "5")]
    span: i32,
}

/// A number that is no life span is the first one, as in Envoy.
fn span(number: i32) -> LifeSpan {
    match number {
        1 => LifeSpan::DownstreamRequest,
        2 => LifeSpan::DownstreamConnection,
        _ => LifeSpan::FilterChain,
    }
}

/// `set_envoy_filter_state`: a value under any key.
pub(super) fn set(call: &mut Call<'_>, arguments: &[u8], _: &mut Vec<u8>) -> Result<(), Status> {
    let arguments = SetEnvoyFilterStateArguments::decode(arguments).map_err(|_| Status::BadArgument)?;
    let prototype = Prototype { value_type: ValueType::String, read_only: false, span: span(arguments.span) };
    put(call.host, arguments.path.as_bytes(), arguments.value.as_bytes(), prototype)
}

/// `declare_property`: the type, and whether it is written once, of a property that the filters of this root context set.
pub(super) fn declare_property(call: &mut Call<'_>, arguments: &[u8], _: &mut Vec<u8>) -> Result<(), Status> {
    let arguments = DeclarePropertyArguments::decode(arguments).map_err(|_| Status::BadArgument)?;
    let root = call.root()?;
    let declared = call.state.foreign.declared.0.entry(root).or_default();
    let name = arguments.name.into_bytes();
    if name.len() > MAX_NAME || declared.contains_key(&name) {
        return Err(Status::BadArgument);
    }
    if declared.len() >= MAX_DECLARED {
        return Err(Status::InternalFailure);
    }
    let value_type = if arguments.r#type == 1 { ValueType::String } else { ValueType::Bytes };
    declared.insert(name, Prototype { value_type, read_only: arguments.readonly, span: span(arguments.span) });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy_wasm::foreign::tests_support::Fixture;
    use crate::proxy_wasm::ids::ContextId;
    use crate::proxy_wasm::properties::{keep, read};

    fn fixture() -> Fixture {
        let mut fixture = Fixture::default();
        fixture.stream().knows_no_property = true;
        fixture
    }

    fn arguments(path: &str, value: &str, span: i32) -> Vec<u8> {
        SetEnvoyFilterStateArguments { path: path.to_owned(), value: value.to_owned(), span }.encode_to_vec()
    }

    fn declaration(name: &str, value_type: i32, readonly: bool, span: i32) -> Vec<u8> {
        let name = name.to_owned();
        DeclarePropertyArguments { name, readonly, r#type: value_type, schema: Vec::new(), span }.encode_to_vec()
    }

    fn get(fixture: &mut Fixture, path: &[u8]) -> Result<(Option<ValueType>, Vec<u8>), Status> {
        let mut value = Vec::new();
        read(&fixture.state, &mut fixture.host, path, &mut value).map(|value_type| (value_type, value))
    }

    fn put(fixture: &mut Fixture, path: &[u8], value: &[u8]) -> Result<(), Status> {
        keep(&fixture.state, &mut fixture.host, path, value)
    }

    #[test]
    fn the_messages_are_envoys() {
        // Field 1, text "k"; field 2, text "v"; field 3, number 2.
        assert_eq!(arguments("k", "v", 2), b"\x0a\x01k\x12\x01v\x18\x02");
        // Field 1, text "k"; field 2, true; field 3, number 1; field 5, number 1.
        assert_eq!(declaration("k", 1, true, 1), b"\x0a\x01k\x10\x01\x18\x01\x28\x01");
    }

    #[test]
    fn a_value_is_read_under_its_key() {
        let mut fixture = fixture();
        assert_eq!(fixture.call("set_envoy_filter_state", &arguments("a.key", "value", 0)), Ok(vec![]));
        assert_eq!(get(&mut fixture, b"filter_state\0a.key"), Ok((Some(ValueType::String), b"value".to_vec())));
        assert_eq!(get(&mut fixture, b"filter_state\0other"), Err(Status::NotFound));
        assert_eq!(get(&mut fixture, b"filter_state"), Err(Status::NotFound));
        assert_eq!(get(&mut fixture, b"a.key"), Err(Status::NotFound));
    }

    #[test]
    fn a_value_of_a_connection_outlives_the_request() {
        let mut fixture = fixture();
        for (key, span) in [("chain", 0), ("request", 1), ("connection", 2), ("unknown", 77)] {
            fixture.call("set_envoy_filter_state", &arguments(key, "value", span)).unwrap();
        }
        fixture.host.streams.insert(1, Default::default());
        for (key, is_there) in [("chain", false), ("request", false), ("connection", true), ("unknown", false)] {
            assert_eq!(get(&mut fixture, format!("filter_state\0{key}").as_bytes()).is_ok(), is_there, "{key}");
        }
    }

    #[test]
    fn a_value_that_is_there_stays_where_it_is() {
        let mut fixture = fixture();
        fixture.call("set_envoy_filter_state", &arguments("key", "old", 2)).unwrap();
        fixture.call("set_envoy_filter_state", &arguments("key", "new", 0)).unwrap();
        assert_eq!(fixture.host.connection.get(b"key"), Some((&b"new"[..], ValueType::String)));
        assert_eq!(fixture.stream().filter_state.get(b"key"), None);
    }

    #[test]
    fn a_property_of_a_filter_is_read_back_under_both_its_names() {
        let mut fixture = fixture();
        assert_eq!(put(&mut fixture, b"mine", b"\xff"), Ok(()));
        assert_eq!(get(&mut fixture, b"mine"), Ok((Some(ValueType::Bytes), b"\xff".to_vec())));
        assert_eq!(get(&mut fixture, b"filter_state\0wasm.mine"), Ok((Some(ValueType::Bytes), b"\xff".to_vec())));
        assert_eq!(put(&mut fixture, b"a\0b", b"1"), Ok(()));
        assert_eq!(get(&mut fixture, b"a\0b\0").unwrap().1, b"1");
    }

    #[test]
    fn what_the_host_knows_cannot_be_set() {
        for path in [&b"request\0path"[..], b"request", b"source\0port", b"filter_state\0a", b"plugin_name"] {
            assert_eq!(put(&mut fixture(), path, b"x"), Err(Status::BadArgument), "{path:?}");
        }
        for path in [&b"ngx\0nothing"[..], b"ngx.nothing", b"ngx"] {
            assert_eq!(put(&mut fixture(), path, b"x"), Err(Status::NotFound), "{path:?}");
        }
    }

    #[test]
    fn without_a_stream_there_is_no_filter_state() {
        let mut fixture = fixture();
        fixture.host.selected = None;
        assert_eq!(fixture.call("set_envoy_filter_state", &arguments("a", "b", 0)), Err(Status::NotFound));
        assert_eq!(put(&mut fixture, b"mine", b"1"), Err(Status::NotFound));
        assert_eq!(get(&mut fixture, b"mine"), Err(Status::NotFound));
    }

    #[test]
    fn a_declared_property_has_its_type_and_its_life() {
        let mut fixture = fixture();
        let root = fixture.root;
        fixture.state.set_effective(root);
        fixture.host.selected = None;
        assert_eq!(fixture.call("declare_property", &declaration("text", 1, false, 2)), Ok(vec![]));
        for value_type in [0, 2, 3, 9] {
            let message = declaration(&format!("bytes{value_type}"), value_type, false, 0);
            assert_eq!(fixture.call("declare_property", &message), Ok(vec![]));
        }
        fixture.host.selected = Some(1);
        let stream = fixture.stream;
        fixture.state.set_effective(stream);
        put(&mut fixture, b"text", b"t").unwrap();
        assert_eq!(get(&mut fixture, b"text"), Ok((Some(ValueType::String), b"t".to_vec())));
        assert!(fixture.host.connection.get(b"wasm.text").is_some());
        put(&mut fixture, b"bytes3", b"b").unwrap();
        assert_eq!(get(&mut fixture, b"bytes3").unwrap().0, Some(ValueType::Bytes));
    }

    #[test]
    fn a_read_only_property_is_set_once() {
        let mut fixture = fixture();
        fixture.call("declare_property", &declaration("once", 1, true, 0)).unwrap();
        assert_eq!(put(&mut fixture, b"once", b"1"), Ok(()));
        assert_eq!(put(&mut fixture, b"once", b"2"), Err(Status::BadArgument));
        assert_eq!(get(&mut fixture, b"once").unwrap().1, b"1");
    }

    #[test]
    fn a_property_is_declared_once_for_a_root_context() {
        let mut fixture = fixture();
        let message = declaration("name", 0, false, 0);
        fixture.call("declare_property", &message).unwrap();
        assert_eq!(fixture.call("declare_property", &message), Err(Status::BadArgument));
        let root = fixture.root;
        fixture.state.foreign.forget(root);
        assert_eq!(fixture.call("declare_property", &message), Ok(vec![]));
        fixture.state.set_effective(ContextId(0));
        assert_eq!(fixture.call("declare_property", &message), Err(Status::InternalFailure));
    }

    #[test]
    fn declarations_are_bounded() {
        let mut fixture = fixture();
        for n in 0..MAX_DECLARED {
            fixture.call("declare_property", &declaration(&n.to_string(), 0, false, 0)).unwrap();
        }
        assert_eq!(fixture.call("declare_property", &declaration("more", 0, false, 0)), Err(Status::InternalFailure));
        let long = declaration(&"n".repeat(MAX_NAME + 1), 0, false, 0);
        assert_eq!(fixture.call("declare_property", &long), Err(Status::BadArgument));
    }

    #[test]
    fn what_is_no_message_is_a_bad_argument() {
        for function in ["set_envoy_filter_state", "declare_property"] {
            for bytes in [&b"\x0a\x05ab"[..], b"\x0a\x01\xff", b"\xff", b"\x0b"] {
                assert_eq!(fixture().call(function, bytes), Err(Status::BadArgument), "{function} {bytes:?}");
            }
        }
    }
}
