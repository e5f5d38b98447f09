//! Objects of JSON, read field by field: what is missing is none, and what is unknown or of another kind is an error that names it.
//! The manifest, the calls of HTTP and the responses of functions are read so.

use serde_json::{Map, Value};

/// An object whose fields are taken out one by one.
pub(super) struct Fields {
    /// What it is, for messages.
    what: String,
    fields: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Fields {
    /// The fields of an object.
    pub fn of(what: impl Into<String>, value: Value) -> Result<Fields, String> {
        let what = what.into();
        match value {
            Value::Object(fields) => Ok(Fields { what, fields, known: Vec::new() }),
            other => Err(format!("{what} is {}, but should be an object", kind(&other))),
        }
    }

    /// Takes a field out. One that is null is none.
    pub fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// A field that is text.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, String> {
        self.take(name)
            .map(|value| match value {
                Value::String(text) => Ok(text),
                other => Err(self.wrong(name, &other, "a string")),
            })
            .transpose()
    }

    /// A field that is a whole number, and not below 0.
    pub fn number(&mut self, name: &'static str) -> Result<Option<u64>, String> {
        self.take(name)
            .map(|value| value.as_u64().ok_or_else(|| self.wrong(name, &value, "a whole number, and not below 0")))
            .transpose()
    }

    /// A field that is true or false.
    pub fn flag(&mut self, name: &'static str) -> Result<Option<bool>, String> {
        self.take(name)
            .map(|value| value.as_bool().ok_or_else(|| self.wrong(name, &value, "true or false")))
            .transpose()
    }

    /// A field that is a list.
    pub fn list(&mut self, name: &'static str) -> Result<Option<Vec<Value>>, String> {
        self.take(name)
            .map(|value| match value {
                Value::Array(list) => Ok(list),
                other => Err(self.wrong(name, &other, "a list")),
            })
            .transpose()
    }

    /// A field that is an object.
    pub fn object(&mut self, name: &'static str) -> Result<Option<Map<String, Value>>, String> {
        self.take(name)
            .map(|value| match value {
                Value::Object(fields) => Ok(fields),
                other => Err(self.wrong(name, &other, "an object")),
            })
            .transpose()
    }

    /// A field that is an object, of texts.
    pub fn texts(&mut self, name: &'static str) -> Result<Vec<(String, String)>, String> {
        let fields = self.object(name)?.unwrap_or_default();
        let text = |(key, value): (String, Value)| match value {
            Value::String(value) => Ok((key, value)),
            other => Err(self.wrong(&format!("{name}.{key}"), &other, "a string")),
        };
        fields.into_iter().map(text).collect()
    }

    /// Fails when there is a field that nobody has asked for.
    pub fn end(self) -> Result<(), String> {
        let Some(name) = self.fields.keys().next() else { return Ok(()) };
        Err(format!("{} has an unknown field \"{}\"; known are {}", self.what, shown(name), self.known.join(", ")))
    }

    fn wrong(&self, name: &str, value: &Value, wanted: &str) -> String {
        let value = match value {
            Value::Number(number) => number.to_string(),
            other => kind(other).to_owned(),
        };
        format!("\"{}\" of {} is {value}, but should be {wanted}", shown(name), self.what)
    }
}

/// The beginning of what somebody else has written, when it is long.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

/// What a value is, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_there_is_none_and_so_is_null() {
        let mut fields =
            Fields::of("it", json!({"a": null, "b": "text", "c": 7, "d": false, "e": [1], "f": {"g": 1}})).unwrap();
        assert_eq!(fields.text("a"), Ok(None));
        assert_eq!(fields.text("b"), Ok(Some("text".into())));
        assert_eq!(fields.number("c"), Ok(Some(7)));
        assert_eq!(fields.flag("d"), Ok(Some(false)));
        assert_eq!(fields.list("e"), Ok(Some(vec![json!(1)])));
        assert_eq!(fields.object("f").unwrap().unwrap().len(), 1);
        assert_eq!(fields.number("none"), Ok(None));
        assert_eq!(fields.texts("none"), Ok(Vec::new()));
        assert_eq!(fields.end(), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let of = || Fields::of("it", json!({"a": -1, "b": {"c": []}})).unwrap();
        assert_eq!(of().number("a").unwrap_err(), "\"a\" of it is -1, but should be a whole number, and not below 0");
        assert_eq!(of().text("a").unwrap_err(), "\"a\" of it is -1, but should be a string");
        assert_eq!(of().flag("b").unwrap_err(), "\"b\" of it is an object, but should be true or false");
        assert_eq!(of().list("b").unwrap_err(), "\"b\" of it is an object, but should be a list");
        assert_eq!(of().object("a").unwrap_err(), "\"a\" of it is -1, but should be an object");
        assert_eq!(of().texts("b").unwrap_err(), "\"b.c\" of it is a list, but should be a string");
        assert_eq!(Fields::of("it", json!("x")).err().unwrap(), "it is a string, but should be an object");
        let mut fields = of();
        fields.take("b");
        fields.take("x");
        assert_eq!(fields.end().unwrap_err(), "it has an unknown field \"a\"; known are b, x");
    }
}
