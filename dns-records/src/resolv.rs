//! What does a resolv.conf say, and how much of it counts?
//!
//! Read as the kubelet reads the file of its host; limits are those of the kubelet, which are glibc's where glibc has
//! one (`resolv.conf(5)`).

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

/// Servers beyond the third are not used.
pub const MAX_NAMESERVERS: usize = 3;
/// Search paths beyond the 32nd are not used.
pub const MAX_SEARCHES: usize = 32;
/// Characters of the search list, joined by single spaces; whole paths are dropped from the end.
pub const MAX_SEARCH_CHARS: usize = 2048;
/// A longer search path is dropped.
pub const MAX_SEARCH_PATH: usize = 253;
/// A larger `ndots` counts as this.
pub const MAX_NDOTS: u8 = 15;

/// A resolv.conf: servers, search list and options, in order.
///
/// The texts are kept as written, since the file carries them as they are: a server may have a scope (`fe80::1%eth0`).
///
/// ```
/// use dns_records::resolv::ResolvConf;
/// let conf: ResolvConf = "nameserver 10.96.0.10\nsearch a.example. .\noptions ndots:5 edns0\n".parse()?;
/// assert_eq!(conf.searches, ["a.example", "."]);
/// assert_eq!(conf.ndots(), 5);
/// assert_eq!(conf.to_string().parse(), Ok(conf));
/// # Ok::<(), dns_records::resolv::ResolvConfError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Addresses of the servers, asked in this order.
    pub nameservers: Vec<String>,
    /// Search paths; `.` stands for the name as it is.
    pub searches: Vec<String>,
    /// Options.
    pub options: Vec<ResolvOption>,
}

/// One word of an `options` line: `NAME` or `NAME:VALUE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResolvOption {
    /// The part before the colon.
    pub name: String,
    /// The part after it; an empty one is none.
    pub value: Option<String>,
}

impl ResolvOption {
    /// An option; an empty value is none.
    pub fn new(name: impl Into<String>, value: Option<&str>) -> Self {
        Self { name: name.into(), value: value.filter(|value| !value.is_empty()).map(Into::into) }
    }

    fn parse(word: &str) -> Self {
        match word.split_once(':') {
            Some((name, value)) => Self::new(name, Some(value)),
            None => Self::new(word, None),
        }
    }
}

impl fmt::Display for ResolvOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.value.iter().try_for_each(|value| write!(f, ":{value}"))
    }
}

/// Why a text is no resolv.conf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolvConfError {
    /// A `nameserver` line without an address.
    #[error("line {line}: nameserver without an address")]
    NoAddress {
        /// Number of the line, from 1.
        line: usize,
    },
}

impl ResolvConf {
    /// How many dots make a name be tried as it is first: the last `ndots` option, at most 15; 1 without one.
    pub fn ndots(&self) -> u8 {
        let option = self.options.iter().rev().find(|option| option.name == "ndots");
        let Some(value) = option.and_then(|option| option.value.as_deref()) else {
            return 1;
        };
        // As atoi(3) does: the leading digits, 0 if there are none.
        let digits = value.bytes().take_while(u8::is_ascii_digit);
        digits.fold(0, |number, digit| (number * 10 + u16::from(digit - b'0')).min(MAX_NDOTS.into())) as u8
    }

    /// Sets the option `ndots`.
    pub fn set_ndots(&mut self, ndots: u8) {
        self.options.retain(|option| option.name != "ndots");
        self.options.push(ResolvOption::new("ndots", Some(&ndots.to_string())));
    }

    /// Adds what is not there yet, without regard for the limits, comparing servers and paths as text. An option
    /// replaces the one of its name.
    pub fn merge(&mut self, more: ResolvConf) {
        self.nameservers.extend(more.nameservers);
        self.searches.extend(more.searches);
        drop_repeats(&mut self.nameservers);
        drop_repeats(&mut self.searches);
        let at = |(at, option): (usize, &ResolvOption)| (option.name.clone(), at);
        let mut known: HashMap<String, usize> = self.options.iter().enumerate().map(at).collect();
        for option in more.options {
            match known.entry(option.name.clone()) {
                Entry::Occupied(at) => self.options[*at.get()] = option,
                Entry::Vacant(vacant) => {
                    vacant.insert(self.options.len());
                    self.options.push(option);
                }
            }
        }
    }

    /// Drops what no resolver reads: servers after the third, paths after the 32nd, paths longer than 253 characters, and
    /// paths from the end until the list has at most 2048 characters.
    pub fn limit(&mut self) {
        self.nameservers.truncate(MAX_NAMESERVERS);
        self.searches.truncate(MAX_SEARCHES);
        self.searches.retain(|path| path.len() <= MAX_SEARCH_PATH);
        let mut length = 0;
        let fits = self.searches.iter().take_while(|path| {
            length += path.len() + usize::from(length > 0);
            length <= MAX_SEARCH_CHARS
        });
        let fits = fits.count();
        self.searches.truncate(fits);
    }
}

/// Keeps the first of equal entries.
pub(crate) fn drop_repeats(list: &mut Vec<String>) {
    let mut seen = HashSet::new();
    list.retain(|entry| seen.insert(entry.clone()));
}

/// Lines are trimmed; `#` starts a comment line; every `nameserver` line adds one server; the last `search` and the last
/// `options` line count; other lines are ignored. A final dot of a search path is dropped, except of `.` itself.
impl FromStr for ResolvConf {
    type Err = ResolvConfError;

    fn from_str(text: &str) -> Result<Self, ResolvConfError> {
        let mut conf = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().ok_or(ResolvConfError::NoAddress { line: number + 1 })?;
                    conf.nameservers.push(server.to_owned());
                }
                Some("search") => conf.searches = words.map(without_final_dot).map(str::to_owned).collect(),
                Some("options") => {
                    // Without a name it is none, and could not be written down again.
                    conf.options = words.map(ResolvOption::parse).filter(|option| !option.name.is_empty()).collect();
                }
                _ => {}
            }
        }
        Ok(conf)
    }
}

/// `a.` is `a`; more than one final dot makes no name, so all of them go and what is written down is read back.
fn without_final_dot(path: &str) -> &str {
    match path.trim_end_matches('.') {
        "" => ".",
        path => path,
    }
}

impl fmt::Display for ResolvConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for server in &self.nameservers {
            writeln!(f, "nameserver {server}")?;
        }
        if !self.searches.is_empty() {
            writeln!(f, "search {}", self.searches.join(" "))?;
        }
        if !self.options.is_empty() {
            f.write_str("options")?;
            self.options.iter().try_for_each(|option| write!(f, " {option}"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ResolvConf {
        text.parse().unwrap()
    }

    #[test]
    fn servers_add_up_while_the_last_search_and_options_lines_win() {
        let conf = parse(
            "# nameserver 9.9.9.9\n  nameserver 10.0.0.1 trailing\nnameserver fe80::1%eth0\nsearch a. b\nsearch c. d.e. . \n\
             options ndots:3\noptions rotate timeout:\nsortlist 1.2.3.4\nnameservers 1.1.1.1\n",
        );
        assert_eq!(conf.nameservers, ["10.0.0.1", "fe80::1%eth0"]);
        assert_eq!(conf.searches, ["c", "d.e", "."]);
        assert_eq!(conf.options, [ResolvOption::new("rotate", None), ResolvOption::new("timeout", None)]);
    }

    #[test]
    fn an_option_without_a_name_is_none() {
        let conf = parse("options : :5 rotate");
        assert_eq!(conf.options, [ResolvOption::new("rotate", None)]);
        assert_eq!(parse(&conf.to_string()), conf);
    }

    #[test]
    fn search_paths_lose_their_final_dots_at_once() {
        let conf = parse("search a. b... . ..");
        assert_eq!(conf.searches, ["a", "b", ".", "."]);
        assert_eq!(parse(&conf.to_string()), conf);
    }

    #[test]
    fn a_bare_search_line_clears_the_list_and_a_bare_nameserver_is_an_error() {
        assert_eq!(parse("search a\nsearch\n").searches, [""; 0]);
        assert_eq!("\n nameserver \n".parse::<ResolvConf>(), Err(ResolvConfError::NoAddress { line: 2 }));
    }

    #[test]
    fn ndots_defaults_to_1_and_ends_at_15() {
        for (options, ndots) in
            [("", 1), ("ndots", 1), ("ndots:0", 0), ("ndots:x", 0), ("ndots:5 ndots:2", 2), ("ndots:99999999", 15)]
        {
            assert_eq!(parse(&format!("options {options}")).ndots(), ndots, "{options}");
        }
    }

    #[test]
    fn limits_drop_whole_entries() {
        let mut conf = ResolvConf {
            nameservers: (1..=4).map(|i| format!("10.0.0.{i}")).collect(),
            searches: (0..40).map(|i| format!("{}{i:02}", "x".repeat(98))).collect(),
            options: vec![],
        };
        conf.searches[1] = "y".repeat(254);
        conf.limit();
        assert_eq!(conf.nameservers.len(), 3);
        // 20 paths of 100 characters and the spaces between them are 2019 characters.
        assert_eq!(conf.searches.len(), 20);
        assert!(conf.searches.iter().all(|path| path.len() == 100));
    }

    #[test]
    fn a_merge_keeps_first_positions_and_later_option_values() {
        let mut conf = parse("nameserver 1.1.1.1\nsearch a b\noptions ndots:5 rotate");
        conf.merge(parse("nameserver 2.2.2.2\nnameserver 1.1.1.1\nsearch b c c\noptions edns0 ndots:2"));
        assert_eq!(
            conf.to_string(),
            "nameserver 1.1.1.1\nnameserver 2.2.2.2\nsearch a b c\noptions ndots:2 rotate edns0\n"
        );
    }
}
