//! What does a text with nginx variables stand for? `rewrite-target`, `x-forwarded-prefix`, `upstream-vhost`, `upstream-hash-by`.

use std::fmt;
use std::net::IpAddr;

use crate::host::Host;
use crate::request::Headers;

use super::cookie::cookie;
use crate::question::HttpQuestion;

/// A text with nginx variables (`$host`, `${arg_id}`) and groups of the last expression (`$1`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    text: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Text(Box<str>),
    Group(u8),
    Variable(Variable),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Variable {
    Host,
    HttpHost,
    Uri,
    RequestUri,
    Args,
    IsArgs,
    Scheme,
    Method,
    RemoteAddr,
    ServerPort,
    Header(Box<str>),
    Argument(Box<str>),
    Cookie(Box<str>),
}

/// A text names a variable that is not known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the variable ${0} is not modelled")]
pub(in crate::ingress) struct UnknownVariable(pub(in crate::ingress) Box<str>);

/// What variables stand for: a request, as it stands when they are asked for.
#[derive(Clone, Copy, Debug)]
pub(in crate::ingress) struct Variables<'a> {
    pub(in crate::ingress) question: &'a HttpQuestion<'a>,
    pub(in crate::ingress) host: &'a Host,
    /// The normalised path.
    pub(in crate::ingress) path: &'a [u8],
}

impl Template {
    /// Reads a text.
    pub(in crate::ingress) fn parse(text: &str) -> Result<Self, UnknownVariable> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            let (name, tail) = name_of(after);
            rest = tail;
            let part = match name.as_bytes() {
                // A dollar sign that names nothing, which nginx refuses.
                [] => {
                    literal.push('$');
                    continue;
                }
                [digit @ b'1'..=b'9'] => Part::Group(digit - b'0'),
                _ => Part::Variable(Variable::parse(name)?),
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal).into()));
            }
            parts.push(part);
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Ok(Self { text: text.into(), parts: parts.into() })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it begins with a scheme, so that nginx redirects instead of rewriting.
    pub fn is_absolute(&self) -> bool {
        match self.parts.first() {
            Some(Part::Text(text)) => text.starts_with("http://") || text.starts_with("https://"),
            Some(Part::Variable(Variable::Scheme)) => true,
            _ => false,
        }
    }

    /// What it stands for. `group` writes a group of the last expression.
    pub(in crate::ingress) fn expand(
        &self,
        variables: &Variables<'_>,
        mut group: impl FnMut(usize, &mut Vec<u8>),
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len());
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Group(number) => group(usize::from(*number), &mut out),
                Part::Variable(variable) => variable.write(variables, &mut out),
            }
        }
        out
    }

    /// What it stands for where no expression was matched: the key that `upstream-hash-by` hashes. `host` and `path` are in
    /// the form in which they were matched.
    pub fn key(&self, question: &HttpQuestion<'_>, host: &Host, path: &[u8]) -> Vec<u8> {
        self.expand(&Variables { question, host, path }, |_, _| {})
    }
}

/// The name after a dollar sign, and what follows it: `{name}`, a digit, or letters, digits and underscores.
fn name_of(text: &str) -> (&str, &str) {
    if let Some((name, tail)) = text.strip_prefix('{').and_then(|inner| inner.split_once('}'))
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        return (name, tail);
    }
    let end = match text.bytes().next() {
        Some(b'1'..=b'9') => 1,
        _ => text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count(),
    };
    text.split_at(end)
}

impl Variable {
    fn parse(name: &str) -> Result<Self, UnknownVariable> {
        let rest = |prefix| name.strip_prefix(prefix).filter(|rest: &&str| !rest.is_empty());
        Ok(match name {
            "host" => Self::Host,
            "http_host" | "best_http_host" => Self::HttpHost,
            "uri" | "document_uri" => Self::Uri,
            "request_uri" => Self::RequestUri,
            "args" | "query_string" => Self::Args,
            "is_args" => Self::IsArgs,
            "scheme" => Self::Scheme,
            "request_method" => Self::Method,
            "remote_addr" => Self::RemoteAddr,
            "server_port" => Self::ServerPort,
            _ => match (rest("http_"), rest("arg_"), rest("cookie_")) {
                (Some(header), ..) => Self::Header(header.replace('_', "-").into()),
                (_, Some(argument), _) => Self::Argument(argument.into()),
                (.., Some(cookie)) => Self::Cookie(cookie.into()),
                _ => return Err(UnknownVariable(name.into())),
            },
        })
    }

    fn write(&self, variables: &Variables<'_>, out: &mut Vec<u8>) {
        let Variables { question, host, path } = variables;
        match self {
            Self::Host => out.extend_from_slice(host.to_string().as_bytes()),
            Self::HttpHost => out.extend_from_slice(question.host.trim().as_bytes()),
            Self::Uri => out.extend_from_slice(path),
            Self::RequestUri => out.extend_from_slice(question.uri().as_bytes()),
            Self::Args => out.extend_from_slice(question.query.unwrap_or_default().as_bytes()),
            Self::IsArgs if question.query.is_some_and(|query| !query.is_empty()) => out.push(b'?'),
            Self::IsArgs => {}
            Self::Scheme => out.extend_from_slice(question.scheme.as_str().as_bytes()),
            Self::Method => out.extend_from_slice(question.method.as_bytes()),
            Self::RemoteAddr => out.extend_from_slice(question.client.map_or_else(String::new, text_of).as_bytes()),
            Self::ServerPort => out.extend_from_slice(question.port.to_string().as_bytes()),
            Self::Header(name) => joined(question.headers, name, out),
            Self::Argument(name) => {
                let pairs = question.query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
                let mut named = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name));
                out.extend_from_slice(named.next().map_or("", |(_, value)| value).as_bytes());
            }
            Self::Cookie(name) => {
                cookie(question.headers, name, |value| out.extend_from_slice(value));
            }
        }
    }
}

fn text_of(addr: IpAddr) -> String {
    addr.to_canonical().to_string()
}

/// All values of a header, as nginx joins them.
fn joined(headers: &dyn Headers, name: &str, out: &mut Vec<u8>) {
    let mut first = true;
    headers.each(name, &mut |value| {
        if !std::mem::take(&mut first) {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(value.trim_ascii());
    });
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Scheme;

    fn expand(template: &str) -> String {
        let headers = [("X-User", "amy"), ("x-user", "bob"), ("cookie", "a=1; Sid=xyz")];
        let client = "::ffff:10.0.0.9".parse().unwrap();
        let question = HttpQuestion::new(Scheme::Https, "Shop.example:8443", "/a%20b")
            .port(8443)
            .query("q=1&Id=7&empty")
            .headers(&headers)
            .client(client);
        let host = "shop.example".parse().unwrap();
        let variables = Variables { question: &question, host: &host, path: b"/a b" };
        let template = Template::parse(template).unwrap();
        let text = template.expand(&variables, |group, out| out.extend_from_slice(format!("<{group}>").as_bytes()));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn variables_stand_for_parts_of_the_request() {
        for (template, expected) in [
            ("", ""),
            ("/x", "/x"),
            ("$host", "shop.example"),
            ("$http_host|$uri|$request_uri", "Shop.example:8443|/a b|/a%20b?q=1&Id=7&empty"),
            ("${scheme}s://$server_port$is_args$args", "httpss://8443?q=1&Id=7&empty"),
            ("$request_method $remote_addr", "GET 10.0.0.9"),
            ("$http_x_user $arg_id $arg_empty.$cookie_sid", "amy, bob 7 .xyz"),
            ("/$1/$20", "/<1>/<2>0"),
            ("a$", "a$"),
            ("$-", "$-"),
        ] {
            assert_eq!(expand(template), expected, "{template}");
        }
    }

    #[test]
    fn unknown_variables_are_an_error_that_names_them() {
        for (template, name) in [("$request_id", "request_id"), ("/x${foo}y", "foo"), ("$0", "0"), ("$http_", "http_")]
        {
            assert_eq!(Template::parse(template).unwrap_err(), UnknownVariable(name.into()), "{template}");
        }
    }

    #[test]
    fn an_absolute_template_is_one_that_begins_with_a_scheme() {
        for (template, absolute) in
            [("http://a/$1", true), ("https://a", true), ("$scheme://a", true), ("/$scheme", false), ("$1", false)]
        {
            assert_eq!(Template::parse(template).unwrap().is_absolute(), absolute, "{template}");
        }
    }
}
