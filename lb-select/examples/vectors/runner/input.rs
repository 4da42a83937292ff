//! How are the fields of an input read? By name, with an error that names the field.
#![allow(dead_code, reason = "each group of operations uses its part")]

use lb_select::{Member, Pool};
use serde_json::Value;

/// A mapping of a vector file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a>(pub(crate) &'a Value);

impl<'a> Input<'a> {
    /// The field, or null.
    pub(crate) fn field(self, name: &str) -> &'a Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    pub(crate) fn input(self, name: &str) -> Input<'a> {
        Input(self.field(name))
    }

    fn read<T>(self, name: &str, what: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<T, String> {
        let value = self.field(name);
        read(value).ok_or_else(|| format!("{name}: expected {what}, got {value}"))
    }

    fn or<T>(self, name: &str, default: T, read: impl FnOnce(Self) -> Result<T, String>) -> Result<T, String> {
        if self.field(name).is_null() { Ok(default) } else { read(self) }
    }

    pub(crate) fn text(self, name: &str) -> Result<&'a str, String> {
        self.read(name, "a text", Value::as_str)
    }

    pub(crate) fn text_or(self, name: &str, default: &'a str) -> Result<&'a str, String> {
        self.or(name, default, |input| input.text(name))
    }

    pub(crate) fn int(self, name: &str) -> Result<u64, String> {
        self.read(name, "an integer", Value::as_u64)
    }

    pub(crate) fn int_or(self, name: &str, default: u64) -> Result<u64, String> {
        self.or(name, default, |input| input.int(name))
    }

    pub(crate) fn u32_or(self, name: &str, default: u32) -> Result<u32, String> {
        self.or(name, default, |input| input.read(name, "an integer below 2^32", |v| v.as_u64()?.try_into().ok()))
    }

    pub(crate) fn real(self, name: &str) -> Result<f64, String> {
        self.read(name, "a number", Value::as_f64)
    }

    pub(crate) fn real_or(self, name: &str, default: f64) -> Result<f64, String> {
        self.or(name, default, |input| input.real(name))
    }

    pub(crate) fn flag_or(self, name: &str, default: bool) -> Result<bool, String> {
        self.or(name, default, |input| input.read(name, "true or false", Value::as_bool))
    }

    /// The elements of a list; none if the field is absent.
    pub(crate) fn list(self, name: &str) -> Result<Vec<Input<'a>>, String> {
        let read = |value: &'a Value| Some(value.as_array()?.iter().map(Input).collect());
        self.or(name, Vec::new(), |input| input.read(name, "a list", read))
    }

    pub(crate) fn ints(self, name: &str) -> Result<Vec<u64>, String> {
        let read = |value: &'a Value| value.as_array()?.iter().map(Value::as_u64).collect();
        self.or(name, Vec::new(), |input| input.read(name, "a list of integers", read))
    }

    /// Texts; numbers and other scalars stand for what they are written as.
    pub(crate) fn texts(self, name: &str) -> Result<Vec<String>, String> {
        let read = |value: &'a Value| Some(value.as_array()?.iter().map(scalar).collect());
        self.or(name, Vec::new(), |input| input.read(name, "a list of texts", read))
    }

    /// The members of a mapping, in order; none if the field is absent.
    pub(crate) fn entries(self, name: &str) -> Result<Vec<(&'a str, Input<'a>)>, String> {
        let read = |value: &'a Value| Some(value.as_object()?.iter().map(|(k, v)| (&**k, Input(v))).collect());
        self.or(name, Vec::new(), |input| input.read(name, "a mapping", read))
    }

    /// The name of an endpoint: its `id` or `key`, or the text it is.
    pub(crate) fn id(self) -> Result<String, String> {
        let names = [self.0, self.field("id"), self.field("key")];
        let name = names.into_iter().find(|name| !name.is_null() && !name.is_object());
        name.map(scalar).ok_or_else(|| format!("expected an endpoint with `id` or `key`, got {}", self.0))
    }

    /// The endpoint list of a field as a pool of ids.
    pub(crate) fn pool(self, name: &str) -> Result<Pool<String>, String> {
        let builder = self.list(name)?.into_iter().try_fold(Pool::builder(), |builder, endpoint| {
            let id = endpoint.id()?;
            let max_active = endpoint.u32_or("max", u32::MAX)?;
            let member = Member::new(id.as_str(), id.clone()).weight(endpoint.u32_or("weight", 1)?);
            Ok::<_, String>(builder.member(member.max_active(max_active)))
        })?;
        let pool = builder.build().map_err(|error| error.to_string())?;
        for (index, endpoint) in self.list(name)?.into_iter().enumerate() {
            pool.load(index).report(endpoint.u32_or("active", 0)?, endpoint.u32_or("inactive", 0)?);
            if endpoint.flag_or("overload", false)? {
                pool.load(index).close();
            }
        }
        Ok(pool)
    }
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
