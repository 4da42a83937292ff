//! In which form is a path matched and forwarded? The modes that proxies are configured with.

use std::borrow::Cow;

use crate::escapes::ReservedEscape;
use crate::excerpt::Excerpt;

/// How a request's path is brought into the one form that rules are matched against and that is forwarded.
///
/// `None`, `Base`, `MergeSlashes` and `DecodeAndMergeSlashes` are those of Istio's mesh configuration (`pathNormalization`), each doing
/// what the one before it does and more; dot segments are resolved before slashes are merged, so `/a//../b` is `/a/b`. The last is nginx's
/// own, which decodes everything, merges first and then resolves.
///
/// ```
/// use route_match::PathNormalisation;
///
/// let path = PathNormalisation::DecodeAndMergeSlashes.apply("/app%2F%2e./admin//x")?;
/// assert_eq!(&*path, b"/admin/x");
/// # Ok::<(), route_match::PathError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PathNormalisation {
    /// As received.
    None,
    /// Dot segments are resolved (a dot may be written `%2E`); all else is as received.
    DotSegments,
    /// RFC 3986: escapes of unreserved characters (letters, digits, `-._~`) are decoded, `\` is `/`, dot segments are
    /// resolved. All other escapes keep their spelling, and so does one that would make another out of a stray `%` before it.
    Base,
    /// Also, `//` is `/`.
    MergeSlashes,
    /// Also, before all else, `%2F` is `/` and `%5C` is `\`, in either case.
    DecodeAndMergeSlashes,
    /// nginx's `$uri`: every escape is decoded once, then slashes are merged and dot segments resolved. A malformed
    /// escape, and a path that climbs above the root, are refused.
    Nginx,
}

impl PathNormalisation {
    /// Normalises a path (without query and fragment: see [`RequestTarget`](crate::RequestTarget)). The empty path is `/`.
    /// Linear; borrows what is already normal. Every mode but [`None`](Self::None) refuses a NUL, plain or escaped.
    pub fn apply<'a>(self, path: &'a (impl AsRef<[u8]> + ?Sized)) -> Result<Cow<'a, [u8]>, PathError> {
        let path = path.as_ref();
        if path.is_empty() {
            return Ok(Cow::Borrowed(b"/"));
        }
        if self == Self::None || self.is_normal(path) {
            return Ok(Cow::Borrowed(path));
        }
        self.rewrite(path).map(Cow::Owned).map_err(|fault| PathError::new(path, fault))
    }

    /// The long way.
    fn rewrite(self, path: &[u8]) -> Result<Vec<u8>, PathFault> {
        if self == Self::Nginx {
            if path[0] != b'/' {
                return Err(PathFault::Relative);
            }
            return resolve(&merge(&decode_all(path)?), is_dot, true);
        }
        if self == Self::DotSegments {
            if path.contains(&0) || path.windows(3).any(|escaped| escaped == b"%00") {
                return Err(PathFault::Nul);
            }
            return resolve(path, is_escaped_dot, false);
        }
        let mut resolved = resolve(&self.decode(path)?, is_dot, false)?;
        if self >= Self::MergeSlashes {
            resolved = merge(&resolved);
        }
        if resolved.is_empty() {
            // A relative path of nothing but dots.
            resolved.push(b'/');
        }
        Ok(resolved)
    }

    /// A quick look: nothing in the path that this mode might touch.
    fn is_normal(self, path: &[u8]) -> bool {
        let (mut met, mut slash) = (0, 0);
        for b in path {
            met |= CLASSES[usize::from(*b)] & (slash | SPECIAL);
            slash = u8::from(*b == b'/') * AFTER_SLASH;
        }
        match met {
            _ if path[0] != b'/' => false,
            0 => true,
            AFTER_SLASH => {
                let mut segments = path[1..].split(|b| *b == b'/');
                let last = segments.next_back().unwrap_or_default();
                let is_dots = |segment: &[u8]| segment == b"." || segment == b"..";
                !is_dots(last)
                    && !segments.any(|segment| is_dots(segment) || (segment.is_empty() && self != Self::Base))
            }
            _ => false,
        }
    }

    /// The decoding of the modes between `None` and `Nginx`.
    fn decode(self, path: &[u8]) -> Result<Vec<u8>, PathFault> {
        let mut out = Vec::with_capacity(path.len());
        let mut rest = path;
        while let Some((byte, tail)) = rest.split_first() {
            let (kept, next) = match escape(rest) {
                Some(0) => return Err(PathFault::Nul),
                None if *byte == 0 => return Err(PathFault::Nul),
                Some(b'/' | b'\\') if self == Self::DecodeAndMergeSlashes => (b"/".as_slice(), &rest[3..]),
                // `%%32e` must not become an escape that the next reader decodes.
                Some(b) if is_unreserved(b) && !ends_escape(&out, b) => {
                    out.push(b);
                    (b"".as_slice(), &rest[3..])
                }
                Some(_) => rest.split_at(3),
                None if *byte == b'\\' => (b"/".as_slice(), tail),
                None => rest.split_at(1),
            };
            out.extend_from_slice(kept);
            rest = next;
        }
        Ok(out)
    }
}

/// A byte that is decoded, replaced or refused.
const SPECIAL: u8 = 1;
/// A byte that after a slash may begin what is resolved or merged.
const AFTER_SLASH: u8 = 2;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    classes[0] = SPECIAL;
    classes[b'%' as usize] = SPECIAL;
    classes[b'\\' as usize] = SPECIAL;
    classes[b'/' as usize] = AFTER_SLASH;
    classes[b'.' as usize] = AFTER_SLASH;
    classes
};

/// The byte that `%XX` at the start stands for.
fn escape(text: &[u8]) -> Option<u8> {
    let hex = |b: u8| char::from(b).to_digit(16).map(|digit| digit as u8);
    match text {
        [b'%', high, low, ..] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

/// Whether the byte would end an escape of which the start was written as it came.
fn ends_escape(out: &[u8], b: u8) -> bool {
    b.is_ascii_hexdigit() && matches!(out, [.., b'%'] | [.., b'%', b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F'])
}

fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

fn decode_all(path: &[u8]) -> Result<Vec<u8>, PathFault> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, tail)) = rest.split_first() {
        let (decoded, next) = match (byte, escape(rest)) {
            (_, Some(0)) | (0, _) => return Err(PathFault::Nul),
            (_, Some(b)) => (b, &rest[3..]),
            (b'%', None) => return Err(PathFault::Escape),
            (b, None) => (*b, tail),
        };
        out.push(decoded);
        rest = next;
    }
    Ok(out)
}

fn merge(path: &[u8]) -> Vec<u8> {
    let mut out = path.to_vec();
    out.dedup_by(|later, earlier| *later == b'/' && *earlier == b'/');
    out
}

/// Whether a segment is `.` (1) or `..` (2).
fn is_dot(segment: &[u8]) -> Option<u8> {
    match segment {
        b"." => Some(1),
        b".." => Some(2),
        _ => None,
    }
}

/// The same where a dot may be escaped.
fn is_escaped_dot(segment: &[u8]) -> Option<u8> {
    let mut rest = segment;
    let mut dots = 0;
    while !rest.is_empty() {
        rest = match rest {
            [b'.', rest @ ..] | [b'%', b'2', b'E' | b'e', rest @ ..] => rest,
            _ => return None,
        };
        dots += 1;
        if dots > 2 {
            return None;
        }
    }
    Some(dots).filter(|dots| *dots > 0)
}

/// Removes dot segments (RFC 3986, 5.2.4), which `dots` tells. Above the root there is nothing to remove, which may be an error.
fn resolve(path: &[u8], dots: fn(&[u8]) -> Option<u8>, strict: bool) -> Result<Vec<u8>, PathFault> {
    let (first, rest) = path.split_at(usize::from(path.first() == Some(&b'/')));
    let mut out = first.to_vec();
    let mut segments = rest.split(|b| *b == b'/').peekable();
    while let Some(segment) = segments.next() {
        match dots(segment) {
            Some(1) => {}
            Some(_) => {
                if out.len() <= first.len() && strict {
                    return Err(PathFault::AboveRoot);
                }
                // Back over the last segment and the slash after it, to the slash before it.
                if out.len() > first.len() {
                    out.pop();
                    let keep = out.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
                    out.truncate(keep.max(first.len()));
                }
            }
            None => {
                out.extend_from_slice(segment);
                if segments.peek().is_some() {
                    out.push(b'/');
                }
            }
        }
    }
    Ok(out)
}

/// Why a path cannot be normalised; answered with 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path {path} {fault}")]
pub struct PathError {
    path: Excerpt,
    fault: PathFault,
}

impl PathError {
    pub(crate) fn new(path: &[u8], fault: PathFault) -> Self {
        Self { path: Excerpt::of(&String::from_utf8_lossy(path)), fault }
    }

    /// The rule that was broken.
    pub fn fault(&self) -> PathFault {
        self.fault
    }
}

/// The rule that a path breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathFault {
    /// A NUL byte, plain or escaped.
    #[error("holds a NUL")]
    Nul,
    /// `%` without two hexadecimal digits.
    #[error("holds a malformed escape")]
    Escape,
    /// More `..` than there are segments before it.
    #[error("climbs above the root")]
    AboveRoot,
    /// It does not start with a slash.
    #[error("does not start with '/'")]
    Relative,
    /// An escape that an [`EscapePolicy`](crate::EscapePolicy) refuses.
    #[error("holds the escape {0}")]
    Refused(ReservedEscape),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use PathNormalisation::{Base, DecodeAndMergeSlashes, MergeSlashes, Nginx, None as AsReceived};

    fn apply(mode: PathNormalisation, path: &str) -> Result<String, PathFault> {
        mode.apply(path).map(|path| String::from_utf8(path.into_owned()).unwrap()).map_err(|e| e.fault())
    }

    #[test]
    fn cve_2019_9901_dot_segments_are_resolved_before_matching() {
        assert_eq!(apply(Base, "/public/../admin"), Ok("/admin".into()));
        assert_eq!(apply(Nginx, "/public/../admin"), Ok("/admin".into()));
        assert_eq!(apply(AsReceived, "/public/../admin"), Ok("/public/../admin".into()));
    }

    #[test]
    fn cve_2021_29492_every_mode_has_one_form_for_slashes() {
        // Request, then BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES; the table of Istio's integration test.
        for (path, expected) in [
            ("/app/../admin", ["/admin"; 3]),
            ("/app//", ["/app//", "/app/", "/app/"]),
            ("/app/%2f", ["/app/%2f", "/app/%2f", "/app/"]),
            ("/app%2f/", ["/app%2f/", "/app%2f/", "/app/"]),
            ("/xyz%30..//abc", ["/xyz0..//abc", "/xyz0../abc", "/xyz0../abc"]),
            ("/app/%2E./admin", ["/admin"; 3]),
            (r"/app/\/\/\admin", ["/app//////admin", "/app/admin", "/app/admin"]),
            ("/%2Fapp%5cadmin%5Cabc", ["/%2Fapp%5cadmin%5Cabc", "/%2Fapp%5cadmin%5Cabc", "/app/admin/abc"]),
            ("/app//../admin", ["/app/admin"; 3]),
            ("/app//../../admin", ["/admin"; 3]),
            (
                r"/%5Capp%2f%5c%2F%2e%2e%2fadmin%5c\abc",
                ["/%5Capp%2f%5c%2F..%2fadmin%5c/abc", "/%5Capp%2f%5c%2F..%2fadmin%5c/abc", "/app/admin/abc"],
            ),
            ("/%c0%2e%c0%2e/admin", ["/%c0.%c0./admin"; 3]),
            ("/%c0%2fadmin", ["/%c0%2fadmin", "/%c0%2fadmin", "/%c0/admin"]),
            ("//admin", ["//admin", "/admin", "/admin"]),
            ("/a%5cadmin", ["/a%5cadmin", "/a%5cadmin", "/a/admin"]),
        ] {
            assert_eq!(apply(AsReceived, path), Ok(path.into()));
            for (mode, expected) in [Base, MergeSlashes, DecodeAndMergeSlashes].into_iter().zip(expected) {
                assert_eq!(apply(mode, path), Ok(expected.into()), "{mode:?} {path}");
            }
        }
    }

    #[test]
    fn the_strictest_mode_decodes_once_and_leaves_the_rest() {
        for path in
            ["/%252e%252e/admin", "/.../admin", "/..;/admin", "/admin;a=b", "/%c0%ae%c0%ae/admin", "/Admin", "/%zz%"]
        {
            assert_eq!(apply(DecodeAndMergeSlashes, path), Ok(path.into()));
        }
        for mode in [Base, MergeSlashes, DecodeAndMergeSlashes, Nginx] {
            assert_eq!(apply(mode, "/admin%00"), Err(PathFault::Nul));
            assert_eq!(apply(mode, "/admin\0"), Err(PathFault::Nul));
        }
    }

    #[test]
    fn decoding_makes_no_escape() {
        for (path, expected) in [
            ("/%%32e%%32e/admin", "/%%32e%%32e/admin"),
            ("/%2%65", "/%2%65"),
            ("/%%32%65", "/%%32e"),
            ("/%%61/%g%31", "/%%61/%g1"),
        ] {
            for mode in [Base, MergeSlashes, DecodeAndMergeSlashes] {
                assert_eq!(apply(mode, path), Ok(expected.into()), "{mode:?} {path}");
                assert_eq!(apply(mode, expected), Ok(expected.into()), "{mode:?} {expected}");
            }
        }
    }

    #[test]
    fn dot_segments_alone_are_resolved() {
        for (path, expected) in [
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/./b", "/b"),
            ("/a//../b", "/a/b"),
            ("/../a", "/a"),
            ("/a%2Fb//c%61", "/a%2Fb//c%61"),
            (r"/a\..\b", r"/a\..\b"),
            ("/a/%252e%252e/b", "/a/%252e%252e/b"),
            ("/a/...", "/a/..."),
            ("/a/..", "/"),
        ] {
            assert_eq!(apply(PathNormalisation::DotSegments, path), Ok(expected.into()), "{path}");
        }
        assert_eq!(apply(PathNormalisation::DotSegments, "/a%00"), Err(PathFault::Nul));
    }

    #[test]
    fn nginx_decodes_then_merges_then_resolves() {
        for (path, expected) in [
            ("/%61dmin", "/admin"),
            ("//admin", "/admin"),
            ("/x/../admin", "/admin"),
            ("/./admin/y", "/admin/y"),
            ("/admin%2Fy", "/admin/y"),
            ("/admin/%2e%2e/pub", "/pub"),
            ("/app//../admin", "/admin"),
            ("/pub%3F/admin", "/pub?/admin"),
            ("/%252e", "/%2e"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("", "/"),
            (r"/a\b", r"/a\b"),
        ] {
            assert_eq!(apply(Nginx, path), Ok(expected.into()), "{path}");
        }
        assert_eq!(&*Nginx.apply("/%ff").unwrap(), b"/\xff");
        for (path, fault) in [
            ("/a%00", PathFault::Nul),
            ("/a%2", PathFault::Escape),
            ("/%zz", PathFault::Escape),
            ("/..", PathFault::AboveRoot),
            ("/a/../../b", PathFault::AboveRoot),
            ("/%2e%2e/b", PathFault::AboveRoot),
            ("a", PathFault::Relative),
        ] {
            assert_eq!(apply(Nginx, path), Err(fault), "{path}");
        }
    }

    #[test]
    fn a_path_of_dots_alone_is_the_root() {
        for path in [".", "..", "./", "../..", "%2e"] {
            for mode in [Base, MergeSlashes, DecodeAndMergeSlashes] {
                assert_eq!(apply(mode, path), Ok("/".into()), "{mode:?} {path}");
            }
        }
    }

    #[test]
    fn what_is_normal_is_borrowed() {
        for path in ["/", "/a/b", "/.well-known/x", "/a.b/..c/...", "/a/"] {
            for mode in [Base, MergeSlashes, DecodeAndMergeSlashes, Nginx] {
                assert!(
                    matches!(mode.apply(path), Ok(Cow::Borrowed(same)) if same == path.as_bytes()),
                    "{mode:?} {path}"
                );
            }
        }
        assert!(matches!(Base.apply("/a//b/"), Ok(Cow::Borrowed(_))));
        assert!(matches!(MergeSlashes.apply("/a//b/"), Ok(Cow::Owned(_))));
    }

    /// Paths dense in what the modes look at.
    fn path() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop_oneof![
                Just("/"),
                Just("."),
                Just(".."),
                Just("%2e"),
                Just("%2F"),
                Just("%5C"),
                Just("\\"),
                Just("a"),
                Just("%"),
                Just("%41"),
                Just("%32"),
                Just("2")
            ],
            0..12,
        )
        .prop_map(|parts| format!("/{}", parts.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn normal_paths_are_fixed_points_of_all_but_decoding(path in path()) {
            for mode in [Base, MergeSlashes, DecodeAndMergeSlashes] {
                let once = mode.apply(&path).unwrap().into_owned();
                prop_assert_eq!(&*mode.apply(&once).unwrap(), &*once, "{:?} {}", mode, path);
            }
        }

        #[test]
        fn the_quick_look_changes_no_answer(path in path()) {
            for mode in [Base, MergeSlashes, DecodeAndMergeSlashes, Nginx] {
                if mode.is_normal(path.as_bytes()) {
                    prop_assert_eq!(mode.rewrite(path.as_bytes()).unwrap(), path.as_bytes(), "{:?}", mode);
                }
            }
        }

        #[test]
        fn no_dot_segment_is_left(path in path()) {
            for mode in [Base, MergeSlashes, DecodeAndMergeSlashes, Nginx] {
                if let Ok(normal) = mode.apply(&path) {
                    prop_assert!(normal.starts_with(b"/"));
                    prop_assert!(normal.split(|b| *b == b'/').all(|segment| segment != b"." && segment != b".."));
                    let double = normal.windows(2).any(|pair| pair == b"//");
                    prop_assert!(!double || mode == Base, "{:?} {}", mode, path);
                }
            }
        }
    }
}
