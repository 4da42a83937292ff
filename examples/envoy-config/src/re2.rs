//! How is an expression written for RE2, so that it matches what it matches here?
//!
//! Both engines share most of their syntax, but not all (`[a&&b]`, `(?x)`, the meaning of `\w`), and one expression that RE2 refuses
//! would keep Envoy from starting. So the expression is read as it is here, and what it means is written in the part of the syntax
//! that both have. Envoy's RE2 sees bytes, as the library does.

use std::fmt::Write as _;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, ClassBytes, Hir, HirKind, Look};
use route_match::{Anchor, Regex};

/// The most that RE2 repeats anything.
const MOST_REPEATED: u32 = 1000;

/// An expression, in RE2's syntax, that matches a text as a whole where `regex` matches it.
pub(crate) fn whole(regex: &Regex) -> Result<String, String> {
    let pattern = searched(regex)?;
    Ok(match regex.anchor() {
        Anchor::Whole => pattern,
        Anchor::Start => format!("(?:{pattern})(?s:.*)"),
        _ => format!("(?s:.*)(?:{pattern})(?s:.*)"),
    })
}

/// The same without its anchor.
pub(crate) fn searched(regex: &Regex) -> Result<String, String> {
    let caret = if regex.anchor() == Anchor::Caret { "^" } else { "" };
    let mut parser = ParserBuilder::new();
    parser.unicode(false).utf8(false).case_insensitive(regex.ignores_case());
    let parsed = parser.build().parse(&format!("{caret}{}", regex.as_str()));
    let mut out = String::new();
    write(&parsed.map_err(|error| error.to_string())?, &mut out)?;
    Ok(out)
}

/// A text as an expression that matches it alone.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::new();
    text.bytes().for_each(|b| push(b, &mut out));
    out
}

/// A text as what takes the place of a match.
pub(crate) fn substitution(text: &str) -> String {
    text.replace('\\', r"\\")
}

fn push(b: u8, out: &mut String) {
    match b {
        b'/' | b'_' | b'-' | b' ' => out.push(char::from(b)),
        b if b.is_ascii_alphanumeric() => out.push(char::from(b)),
        b if b.is_ascii_graphic() => out.extend(['\\', char::from(b)]),
        b => escape(b, out),
    }
}

fn escape(b: u8, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\\x{b:02x}");
}

fn write(hir: &Hir, out: &mut String) -> Result<(), String> {
    match hir.kind() {
        HirKind::Empty => out.push_str("(?:)"),
        HirKind::Literal(literal) => literal.0.iter().for_each(|b| push(*b, out)),
        HirKind::Class(Class::Bytes(bytes)) => class(bytes, out),
        HirKind::Class(Class::Unicode(unicode)) => match unicode.to_byte_class() {
            Some(bytes) => class(&bytes, out),
            None => return Err("it asks for characters beyond ASCII".to_owned()),
        },
        HirKind::Look(look) => out.push_str(match look {
            Look::Start => r"\A",
            Look::End => r"\z",
            Look::StartLF => "(?m:^)",
            Look::EndLF => "(?m:$)",
            Look::WordAscii => r"\b",
            Look::WordAsciiNegate => r"\B",
            _ => return Err("it looks at ends of lines or words in a way that RE2 does not know".to_owned()),
        }),
        HirKind::Repetition(repetition) => {
            let (min, max) = (repetition.min, repetition.max);
            if min.max(max.unwrap_or(0)) > MOST_REPEATED {
                return Err(format!("RE2 repeats nothing more than {MOST_REPEATED} times"));
            }
            group(&repetition.sub, out)?;
            let _ = match (min, max) {
                (0, None) => write!(out, "*"),
                (1, None) => write!(out, "+"),
                (0, Some(1)) => write!(out, "?"),
                (min, None) => write!(out, "{{{min},}}"),
                (min, Some(max)) if min == max => write!(out, "{{{min}}}"),
                (min, Some(max)) => write!(out, "{{{min},{max}}}"),
            };
            if !repetition.greedy {
                out.push('?');
            }
        }
        HirKind::Capture(capture) => {
            out.push('(');
            write(&capture.sub, out)?;
            out.push(')');
        }
        HirKind::Concat(parts) => {
            for part in parts {
                match part.kind() {
                    HirKind::Alternation(_) => group(part, out)?,
                    _ => write(part, out)?,
                }
            }
        }
        HirKind::Alternation(parts) => {
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    out.push('|');
                }
                write(part, out)?;
            }
        }
    }
    Ok(())
}

/// A part that something refers to as a whole.
fn group(hir: &Hir, out: &mut String) -> Result<(), String> {
    match hir.kind() {
        HirKind::Class(_) | HirKind::Capture(_) => write(hir, out),
        _ => {
            out.push_str("(?:");
            write(hir, out)?;
            out.push(')');
            Ok(())
        }
    }
}

/// A class of bytes.
fn class(class: &ClassBytes, out: &mut String) {
    let ranges: Vec<(u8, u8)> = class.ranges().iter().map(|range| (range.start(), range.end())).collect();
    match ranges.as_slice() {
        [] => return out.push_str(r"[^\x00-\xff]"),
        [(0, u8::MAX)] => return out.push_str("(?s:.)"),
        [(0, b'\t'), (0x0b, u8::MAX)] => return out.push('.'),
        _ => {}
    }
    // What reaches both ends is shorter the other way round.
    let negated = ranges[0].0 == 0 && ranges[ranges.len() - 1].1 == u8::MAX;
    let gaps = ranges.windows(2).map(|pair| (pair[0].1 + 1, pair[1].0 - 1)).collect();
    out.push_str(if negated { "[^" } else { "[" });
    for (start, end) in if negated { gaps } else { ranges } {
        bound(start, out);
        if start != end {
            out.push('-');
            bound(end, out);
        }
    }
    out.push(']');
}

fn bound(b: u8, out: &mut String) {
    match b {
        b if b.is_ascii_alphanumeric() || b == b'/' => out.push(char::from(b)),
        b => escape(b, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> String {
        whole(&Regex::new(pattern, Anchor::Whole).unwrap()).unwrap()
    }

    #[test]
    fn usual_expressions_stay_readable() {
        for (pattern, written) in [
            ("/a/[0-9]+", "/a/[0-9]+"),
            ("/(a|bc)(/.*)?", "/(a|bc)(/.*)?"),
            (r"/v\d{1,3}/x?", "/v[0-9]{1,3}/(?:x)?"),
            ("[^/]*", "[^/]*"),
            ("a|/b", "a|/b"),
            (r"\w", r"[0-9A-Z\x5fa-z]"),
        ] {
            assert_eq!(of(pattern), written);
        }
    }

    #[test]
    fn what_only_one_engine_can_read_is_written_for_both() {
        assert_eq!(of("[a-z&&[^b-y]]"), "[az]");
        assert_eq!(of("(?x) a  b"), "ab");
        assert_eq!(of("(?i)k"), "[Kk]");
        assert_eq!(of("é+"), r"(?:\xc3\xa9)+");
        let folded = Regex::ignoring_case("/a", Anchor::Start).unwrap();
        assert_eq!(whole(&folded).unwrap(), "(?:/[Aa])(?s:.*)");
        let many = Regex::new("(?:a?){1001}", Anchor::Whole).unwrap();
        assert!(whole(&many).is_err());
    }

    #[test]
    fn what_is_written_means_the_same_here() {
        for (pattern, takes, leaves) in [
            (r"/x\.[^/]{2,}/?", "/x.ab/", "/xzab"),
            ("(?i)/a|b*c", "/A", "/a "),
            (r"\bab\b", "ab", "a b"),
            ("(?s)a.b", "a\nb", "ab"),
            ("a.b", "a-b", "a\nb"),
            (r"[\\\]\-^]+", r"]\^-", "a"),
        ] {
            let again = Regex::new(&of(pattern), Anchor::Whole).unwrap();
            assert!(again.is_match(takes.as_bytes()), "{pattern} as {again}");
            assert!(!again.is_match(leaves.as_bytes()), "{pattern} as {again}");
        }
    }

    #[test]
    fn quoted_texts_match_themselves() {
        for text in ["/a.b", r"\E.*", "(a|b)+[^c]$", "é\u{7f}\n"] {
            let regex = Regex::new(&quoted(text), Anchor::Whole).unwrap();
            assert!(regex.is_match(text.as_bytes()), "{text}");
            assert!(!regex.is_match(b"/axb"), "{text}");
        }
    }
}
