//! How long is this? Durations as Go writes them, which configurations use (`30s`, `1h0m0.5s`).

/// The nanoseconds of a Go duration; `None` for a text that is none, or one longer than Go can hold (292 years).
///
/// A sign, then one number with unit after the other; numbers may have a fraction; `0` needs no unit.
pub fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = nanoseconds_of(unit)?;
        total += number(whole)?.checked_mul(unit)? + part(fraction, unit);
        if total > i128::from(i64::MAX) + 1 {
            return None;
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn number(digits: &str) -> Option<i128> {
    if digits.is_empty() { Some(0) } else { digits.parse::<i64>().ok().map(i128::from) }
}

/// What the digits behind the point are worth. Those behind the eighteenth are worth nothing.
fn part(digits: &str, unit: i128) -> i128 {
    let digits = &digits[..digits.len().min(18)];
    let scale = digits.bytes().fold(1i128, |scale, _| scale * 10);
    digits.bytes().fold(0i128, |value, digit| value * 10 + i128::from(digit - b'0')) * unit / scale
}

fn nanoseconds_of(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_does() {
        for (text, expected) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("30s", Some(30_000_000_000)),
            ("-1.5s", Some(-1_500_000_000)),
            ("+1m", Some(60_000_000_000)),
            ("1h0m0.5s", Some(3_600_500_000_000)),
            (".5s", Some(500_000_000)),
            ("1.s", Some(1_000_000_000)),
            ("5\u{b5}s", Some(5_000)),
            ("9223372036854775807ns", Some(i64::MAX)),
            ("-9223372036854775808ns", None),
            ("0.000000000000000000000001s", Some(0)),
            ("", None),
            ("-", None),
            ("30", None),
            ("s", None),
            (".s", None),
            ("1d", None),
            ("10675199d", None),
            ("1 s", None),
            ("1s ", None),
            ("--1s", None),
            ("2562048h", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(nanoseconds(text), expected, "{text}");
        }
    }
}
