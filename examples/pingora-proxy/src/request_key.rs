//! Which part of a request is its key?

use pingora_proxy::Session;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What requests have in common that are to go to the same backend.
///
/// ```
/// use lb_select_pingora::RequestKey;
///
/// let key: RequestKey = "header:X-Session".parse()?;
/// assert_eq!(key, RequestKey::Header("x-session".into()));
/// assert_eq!(key.to_string(), "header:x-session");
/// assert_eq!("cookies".parse::<RequestKey>().unwrap_err().to_string(), "\"cookies\" is none of client, path, header:NAME");
/// # Ok::<(), lb_select_pingora::RequestKeyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RequestKey {
    /// The client's address, without port, as text.
    #[default]
    Client,
    /// The path, without query.
    Path,
    /// The first value of the header of this name, in lower case; empty for a request without one.
    Header(String),
}

impl RequestKey {
    /// The key of a request.
    pub fn of<'a>(&self, session: &'a Session) -> Cow<'a, [u8]> {
        match self {
            Self::Client => {
                let client = session.client_addr().and_then(|address| address.as_inet());
                client.map(|address| address.ip().to_string().into_bytes()).unwrap_or_default().into()
            }
            Self::Path => session.req_header().uri.path().as_bytes().into(),
            Self::Header(name) => session.get_header_bytes(name.as_str()).into(),
        }
    }
}

impl FromStr for RequestKey {
    type Err = RequestKeyError;

    fn from_str(text: &str) -> Result<Self, RequestKeyError> {
        match text.split_once(':') {
            None if text == "client" => Ok(Self::Client),
            None if text == "path" => Ok(Self::Path),
            Some(("header", name)) if !name.is_empty() => Ok(Self::Header(name.to_ascii_lowercase())),
            _ => Err(RequestKeyError(text.into())),
        }
    }
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Path => f.write_str("path"),
            Self::Header(name) => write!(f, "header:{name}"),
        }
    }
}

/// A text that names no [`RequestKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of client, path, header:NAME")]
pub struct RequestKeyError(String);
