//! What happens in a location, in nginx's order?

use route_match::action::{Cors, HeaderEdit, HeaderEdits, OriginPattern};
use route_match::ingress::location::{Detour, HttpsRedirect, Location, Policy, Target};
use route_match::ingress::{Balancing, IngressController, Template};
use route_match::{HostPattern, PathPattern};

use crate::Unexpressed;
use crate::token::{Token, Unquotable};
use crate::tree::Directive;
use crate::upstreams::Upstreams;

/// The locations of a controller, and what they need beside them.
pub(crate) struct Locations<'c> {
    controller: &'c IngressController,
    pub(crate) upstreams: Upstreams<'c>,
    pub(crate) maps: Vec<Directive>,
    /// The policies of CORS that have their maps, in the order of their numbers.
    cors: Vec<Cors>,
    pub(crate) unexpressed: Vec<Unexpressed>,
}

/// The URI as sent, without one trailing slash.
const BARE_URI: &str = "$request_uri_without_slash";

impl<'c> Locations<'c> {
    pub(crate) fn new(controller: &'c IngressController, upstreams: Upstreams<'c>) -> Self {
        let entry = |key, value| Directive::entry(Token::word(key), Token::word(value));
        let bare = Directive::block(
            "map",
            [Token::word("$request_uri"), Token::word(BARE_URI)],
            vec![entry("default", "$request_uri"), entry("~^(?<bare>.*)/$", "$bare")],
        );
        Self { controller, upstreams, maps: vec![bare], cors: Vec::new(), unexpressed: Vec::new() }
    }

    /// The redirect of a host's `/`.
    pub(crate) fn app_root(&mut self, host: &HostPattern) -> Option<Directive> {
        let (pattern, location) = self.controller.locations(host).next()?;
        let root = location.server.app_root.as_ref()?;
        match script(root, "$scheme://$http_host") {
            Ok(to) => {
                let redirect = Directive::new("return", [Token::word("302"), to]);
                Some(Directive::block(
                    "if",
                    [Token::word("($uri"), Token::word("="), Token::word("/)")],
                    vec![redirect],
                ))
            }
            Err(_) => {
                self.miss(host, pattern, "app-root cannot be written");
                None
            }
        }
    }

    /// The directives of a location.
    pub(crate) fn body(&mut self, host: &HostPattern, pattern: &PathPattern, location: &Location) -> Vec<Directive> {
        if location.server.passthrough.is_some() {
            self.miss(host, pattern, "TLS that is passed on undecrypted never reaches the http block");
        }
        match self.written(host, pattern, location) {
            Ok(block) => block,
            Err(what) => {
                self.miss(host, pattern, what);
                vec![Directive::new("return", [Token::word("503")])]
            }
        }
    }

    fn miss(&mut self, host: &HostPattern, pattern: &PathPattern, what: &str) {
        self.unexpressed.push(Unexpressed { host: host.to_string(), path: pattern.to_string(), what: what.to_owned() });
    }

    fn written(
        &mut self,
        host: &HostPattern,
        pattern: &PathPattern,
        location: &Location,
    ) -> Result<Vec<Directive>, &'static str> {
        let Location { policy, rewrite, target, .. } = location;
        let status = |status| Directive::new("return", [Token::word(status)]);
        match &location.detour {
            Some(Detour::TrailingSlash(path)) => {
                let to = literal(&format!("$scheme://$host{path}$is_args$args"), path)?;
                return Ok(vec![Directive::new("return", [Token::word("301"), to])]);
            }
            Some(Detour::Www(to)) => {
                let to = literal(&format!("$scheme://{to}:$server_port{BARE_URI}"), to)?;
                return Ok(vec![Directive::new("return", [Token::word("308"), to])]);
            }
            _ => {}
        }
        if policy.denied.is_some() {
            return Ok(vec![status("503")]);
        }
        if policy.unmodelled.is_some() {
            return Err("it names a variable that is not known");
        }
        let mut block = self.headers(policy)?;
        if let Some(to) = &policy.redirect {
            let url = literal(&to.location, &to.location)?;
            block.push(Directive::new("return", [number(to.code), url]));
            return Ok(block);
        }
        let absolute = rewrite.as_ref().filter(|rewrite| rewrite.target.is_absolute());
        if let Some(rewrite) = absolute {
            block.push(rewriting(&rewrite.search, &rewrite.target)?);
        }
        let to_https = match policy.https {
            _ if location.is_challenge => false,
            HttpsRedirect::WithCertificate => *host != HostPattern::Any && self.controller.is_certified(host),
            other => other == HttpsRedirect::Always,
        };
        if to_https {
            let uri = if policy.preserve_trailing_slash { "$request_uri" } else { BARE_URI };
            let to = Token::script(&format!("https://$host{uri}")).map_err(unwritten)?;
            let redirect = Directive::new("return", [number(self.controller.https_redirect_code()), to]);
            let plain = [Token::word("($scheme"), Token::word("="), Token::word("http)")];
            block.push(Directive::block("if", plain, vec![redirect]));
        }
        let backends = match target {
            Target::Service(backends, canary) => {
                if canary.is_some() {
                    self.miss(host, pattern, "a canary needs code; all requests stay with the main backend");
                }
                Some(backends)
            }
            Target::NotFound => None,
            _ => {
                block.push(status("503"));
                return Ok(block);
            }
        };
        block.extend(access(policy)?);
        let Some(backends) = backends else {
            // After the access lists, which `return` would not wait for.
            block.push(match policy.access.is_open() {
                true => status("404"),
                false => Directive::new("try_files", [Token::word("/.no-such-file"), Token::word("=404")]),
            });
            return Ok(block);
        };
        let upstream = &backends.entries().first().ok_or("it has no backend")?.backend;
        match &upstream.balancing {
            Balancing::Ewma => self.miss(host, pattern, "load-balance: ewma needs code; round robin instead"),
            Balancing::Cookie(_) => self.miss(host, pattern, "affinity: cookie needs code; round robin instead"),
            Balancing::HashBy(by) if by.subset_size.is_some() => {
                self.miss(host, pattern, "groups of upstream-hash-by need code; every endpoint instead");
            }
            _ => {}
        }
        let name = self.upstreams.name(upstream, None)?;
        block.push(Directive::new("set", [Token::word("$proxy_upstream_name"), literal(&name, &name)?]));
        let origin = match (&location.route, location.rule) {
            (Some(route), Some(rule)) => format!("{route} rule {rule}"),
            (Some(route), None) => format!("{route} default backend"),
            (None, _) => "the controller".to_owned(),
        };
        block.push(Directive::new("set", [Token::word("$origin"), literal(&origin, &origin)?]));
        if let Some(rewrite) = rewrite.as_ref().filter(|rewrite| !rewrite.target.is_absolute()) {
            block.push(rewriting(&rewrite.search, &rewrite.target)?);
            if let Some(prefix) = &policy.forwarded_prefix {
                let prefix = script(prefix, "").map_err(unwritten)?;
                block.push(Directive::new("proxy_set_header", [Token::word("X-Forwarded-Prefix"), prefix]));
            }
        }
        let vhost = match &policy.upstream_vhost {
            Some(vhost) => script(vhost, "").map_err(unwritten)?,
            None => Token::word("$http_host"),
        };
        block.push(Directive::new("proxy_set_header", [Token::word("Host"), vhost]));
        block.push(Directive::new("proxy_pass", [literal(&format!("http://{name}"), &name)?]));
        Ok(block)
    }

    /// The headers of every response, and the answer to preflights.
    fn headers(&mut self, policy: &Policy) -> Result<Vec<Directive>, &'static str> {
        let mut block = edits(&policy.response_headers)?;
        let Some(cors) = &policy.cors else { return Ok(block) };
        let number = match self.cors.iter().position(|known| known == cors) {
            Some(number) => number,
            None => {
                self.maps.push(origins(cors, self.cors.len())?);
                self.cors.push(cors.clone());
                self.cors.len() - 1
            }
        };
        let origin = format!("$cors_{number}");
        let mut add = |name: &'static str, value: String| {
            // A header with an empty value is left out.
            let map = format!("$cors_{number}_{}", name.replace('-', "_").to_ascii_lowercase());
            let value = literal(&value, &value)?;
            let to = Token::script(&map).map_err(unwritten)?;
            let of = Token::script(&origin).map_err(unwritten)?;
            let entries = vec![
                Directive::entry(Token::word("default"), value),
                Directive::entry(Token::word(""), Token::word("")),
            ];
            let known = |map: &Directive| map.args.get(1) == Some(&to);
            if !self.maps.iter().any(known) {
                self.maps.push(Directive::block("map", [of, to.clone()], entries));
            }
            block.push(Directive::new("add_header", [Token::word(name), to, Token::word("always")]));
            Ok::<(), &'static str>(())
        };
        add("Access-Control-Allow-Methods", cors.allow_methods.join(", "))?;
        add("Access-Control-Allow-Headers", cors.allow_headers.join(", "))?;
        if cors.allow_credentials {
            add("Access-Control-Allow-Credentials", "true".to_owned())?;
        }
        if !cors.expose_headers.is_empty() {
            add("Access-Control-Expose-Headers", cors.expose_headers.join(", "))?;
        }
        if let Some(seconds) = cors.max_age {
            add("Access-Control-Max-Age", seconds.to_string())?;
        }
        let of = Token::script(&origin).map_err(unwritten)?;
        block.push(Directive::new(
            "add_header",
            [Token::word("Access-Control-Allow-Origin"), of, Token::word("always")],
        ));
        let preflight = Token::script(&format!("$request_method:$cors_{number}_access_control_allow_methods"))
            .map_err(unwritten)?;
        block.push(Directive::new("set", [Token::word("$preflight"), preflight]));
        let asked = [Token::word("($preflight"), Token::word("~"), Token::word("^OPTIONS:.)")];
        block.push(Directive::block("if", asked, vec![Directive::new("return", [Token::word("204")])]));
        Ok(block)
    }
}

/// From the Origin of a request to the origin that is told to be allowed, empty for none.
fn origins(cors: &Cors, number: usize) -> Result<Directive, &'static str> {
    let to = Token::script(&format!("$cors_{number}")).map_err(unwritten)?;
    let any = cors.allow_origins.contains(&OriginPattern::Any);
    let mut entries = vec![Directive::entry(Token::word("default"), Token::word(if any { "*" } else { "" }))];
    let expressions: Vec<&str> = cors
        .allow_origins
        .iter()
        .filter_map(|origin| match origin {
            OriginPattern::Regex(regex) => Some(regex.as_str()),
            _ => None,
        })
        .collect();
    if !any && !expressions.is_empty() {
        let key = Token::script(&format!("~*(?:{})", expressions.join("|"))).map_err(unwritten)?;
        entries.push(Directive::entry(key, Token::word("$http_origin")));
    }
    Ok(Directive::block("map", [Token::word("$http_origin"), to], entries))
}

fn edits(edits: &HeaderEdits) -> Result<Vec<Directive>, &'static str> {
    let add = |edit: &HeaderEdit| match edit {
        HeaderEdit::Set(name, value) | HeaderEdit::Add(name, value) => {
            Ok(Directive::new("add_header", [literal(name, name)?, literal(value, value)?, Token::word("always")]))
        }
        _ => Err("a header cannot be removed"),
    };
    edits.iter().map(add).collect()
}

fn access(policy: &Policy) -> Result<Vec<Directive>, &'static str> {
    let line = |name, net: &dyn std::fmt::Display| Ok(Directive::new(name, [literal(&net.to_string(), "")?]));
    let denied = policy.access.denied().iter().map(|net| line("deny", net));
    let allowed = policy.access.allowed();
    let others = allowed.map(|_| line("deny", &"all"));
    denied.chain(allowed.into_iter().flatten().map(|net| line("allow", net))).chain(others).collect()
}

fn rewriting(search: &route_match::Regex, target: &Template) -> Result<Directive, &'static str> {
    let search = Token::script(&format!("(?i){}", search.as_str())).map_err(unwritten)?;
    let target = script(target, "").map_err(unwritten)?;
    Ok(Directive::new("rewrite", [search, target, Token::word("break")]))
}

/// A text with variables, of which those that only ingress-nginx has are replaced by nginx's.
fn script(template: &Template, before: &str) -> Result<Token, Unquotable> {
    Token::script(&format!("{before}{}", template.as_str().replace("$best_http_host", "$http_host")))
}

/// A text of this program with parts from elsewhere, in which there may be no variable.
fn literal(text: &str, part: &str) -> Result<Token, &'static str> {
    Token::literal(part).and_then(|_| Token::script(text)).map_err(unwritten)
}

fn number(status: u16) -> Token {
    // Digits need no quotes and name nothing.
    Token::literal(&status.to_string()).unwrap_or_else(|_| Token::word("503"))
}

fn unwritten(error: Unquotable) -> &'static str {
    match error {
        Unquotable::Control => "it holds a control character",
        Unquotable::Dollar => "it holds a dollar sign, which nginx would read as a variable",
        _ => "it is too long for nginx",
    }
}
