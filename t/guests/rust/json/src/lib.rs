//! Guest `json`: lets a request pass when its body is JSON that is as a schema says, and answers 400 otherwise. What
//! schemas may say is in t/guests/README.md.

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use serde_json::Value;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

/// What a value must be. What is not said holds for each value.
#[derive(Default)]
struct Schema {
    kind: Option<String>,
    required: Vec<String>,
    properties: Vec<(String, Schema)>,
    items: Option<Box<Schema>>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    max_length: Option<u64>,
}

impl Schema {
    /// None when this is no schema.
    fn read(value: &Value) -> Option<Self> {
        let mut schema = Self::default();
        for (name, value) in value.as_object()? {
            match name.as_str() {
                "type" => schema.kind = Some(value.as_str()?.to_owned()),
                "required" => {
                    let names = value.as_array()?.iter().map(|name| Some(name.as_str()?.to_owned()));
                    schema.required = names.collect::<Option<_>>()?;
                }
                "properties" => {
                    let each = value.as_object()?.iter().map(|(name, value)| Some((name.clone(), Self::read(value)?)));
                    schema.properties = each.collect::<Option<_>>()?;
                }
                "items" => schema.items = Some(Box::new(Self::read(value)?)),
                "minimum" => schema.minimum = Some(value.as_f64()?),
                "maximum" => schema.maximum = Some(value.as_f64()?),
                "maxLength" => schema.max_length = Some(value.as_u64()?),
                _ => return None,
            }
        }
        Some(schema)
    }

    fn allows(&self, value: &Value) -> bool {
        self.kind.as_deref().is_none_or(|kind| is_a(value, kind))
            && match value {
                Value::Object(fields) => {
                    self.required.iter().all(|name| fields.contains_key(name))
                        && self
                            .properties
                            .iter()
                            .all(|(name, schema)| fields.get(name).is_none_or(|value| schema.allows(value)))
                }
                Value::Array(items) => {
                    self.items.as_ref().is_none_or(|schema| items.iter().all(|item| schema.allows(item)))
                }
                Value::Number(number) => {
                    let number = number.as_f64().unwrap_or(f64::NAN);
                    self.minimum.is_none_or(|least| number >= least) && self.maximum.is_none_or(|most| number <= most)
                }
                Value::String(text) => self.max_length.is_none_or(|most| text.chars().count() as u64 <= most),
                Value::Null | Value::Bool(_) => true,
            }
    }
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}

#[derive(Default)]
struct Root {
    schema: Rc<Schema>,
}

struct Stream {
    schema: Rc<Schema>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let Some(schema) = serde_json::from_slice(&text).ok().as_ref().and_then(Schema::read) else {
            hostcalls::log(LogLevel::Error, "the configuration is no schema").unwrap();
            return false;
        };
        self.schema = Rc::new(schema);
        true
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { schema: Rc::clone(&self.schema) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Stream {}

impl Stream {
    fn refuse(&self, reason: &str) -> Action {
        self.send_http_response(400, vec![], Some(reason.as_bytes()));
        Action::Pause
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end: bool) -> Action {
        if end { self.refuse("there is no body\n") } else { Action::Continue }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        if !end {
            return Action::Pause;
        }
        let body = self.get_http_request_body(0, size).unwrap_or_default();
        match serde_json::from_slice(&body) {
            Ok(value) if self.schema.allows(&value) => Action::Continue,
            Ok(_) => self.refuse("not what the schema says\n"),
            Err(_) => self.refuse("not JSON\n"),
        }
    }
}
