//! Is this the expected answer? Mappings by the keys expected, lists as a whole, real numbers within a tolerance.

use serde_json::Value;

/// Says where and how `got` differs from `expect`.
pub(crate) fn agrees(expect: &Value, got: &Value, tolerance: f64) -> Result<(), String> {
    match (expect, got) {
        (Value::Object(expect), Value::Object(_)) => expect.iter().try_for_each(|(key, expect)| {
            agrees(expect, &got[key], tolerance).map_err(|difference| format!("{key}: {difference}"))
        }),
        (Value::Array(expect), Value::Array(got)) if expect.len() == got.len() => {
            let mut pairs = expect.iter().zip(got).enumerate();
            pairs
                .try_for_each(|(i, (a, b))| agrees(a, b, tolerance).map_err(|difference| format!("[{i}] {difference}")))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let close = a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| (a - b).abs() <= tolerance);
            close.then_some(()).ok_or_else(|| format!("expected {a}, got {b}"))
        }
        _ if expect == got => Ok(()),
        _ => Err(format!("expected {expect}, got {got}")),
    }
}
