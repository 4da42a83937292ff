//! What can a name say: record types, record data, records and their text form.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::joined::JoinedName;
use crate::name::Name;

/// The type of a record or a question: the number IANA assigned to it.
///
/// Every number is a valid type; those without a name here read and print as `TYPE123` (RFC 3597 section 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(pub u16);

macro_rules! record_types {
    ($($name:ident = $number:literal $text:literal;)*) => {
        impl RecordType {
            $(#[doc = concat!("Type ", $text, ", number ", stringify!($number), ".")]
            pub const $name: Self = Self($number);)*

            const NAMED: &'static [(Self, &'static str)] = &[$((Self::$name, $text)),*];
        }
    };
}

record_types! {
    A = 1 "A";
    NS = 2 "NS";
    CNAME = 5 "CNAME";
    SOA = 6 "SOA";
    PTR = 12 "PTR";
    HINFO = 13 "HINFO";
    MX = 15 "MX";
    TXT = 16 "TXT";
    AAAA = 28 "AAAA";
    SRV = 33 "SRV";
    NAPTR = 35 "NAPTR";
    DNAME = 39 "DNAME";
    DS = 43 "DS";
    RRSIG = 46 "RRSIG";
    NSEC = 47 "NSEC";
    DNSKEY = 48 "DNSKEY";
    TLSA = 52 "TLSA";
    SVCB = 64 "SVCB";
    HTTPS = 65 "HTTPS";
    IXFR = 251 "IXFR";
    AXFR = 252 "AXFR";
    ANY = 255 "ANY";
    CAA = 257 "CAA";
}

impl RecordType {
    /// Whether the question asks for a whole zone.
    pub const fn is_transfer(self) -> bool {
        matches!(self, Self::AXFR | Self::IXFR)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(named, _)| named == self) {
            Some((_, text)) => f.pad(text),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is neither the name of a record type nor `TYPE` and a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown record type `{0}`")]
pub struct UnknownRecordType(pub String);

/// Reads `A`, `aaaa`, `TYPE64`, …
impl FromStr for RecordType {
    type Err = UnknownRecordType;

    fn from_str(text: &str) -> Result<Self, UnknownRecordType> {
        if let Some((named, _)) = Self::NAMED.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)) {
            return Ok(*named);
        }
        let number = match text.split_at_checked(4) {
            Some((word, number)) if word.eq_ignore_ascii_case("TYPE") && !number.starts_with('+') => {
                number.parse().ok()
            }
            _ => None,
        };
        number.map(Self).ok_or_else(|| UnknownRecordType(text.chars().take(80).collect()))
    }
}

/// What a record says. `N` is the form of the names in it: owned ([`Name`]) or borrowed ([`JoinedName`]).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordData<N = Name> {
    /// An IPv4 address (RFC 1035).
    A(Ipv4Addr),
    /// An IPv6 address (RFC 3596).
    Aaaa(Ipv6Addr),
    /// Where a service is to be had (RFC 2782).
    Srv {
        /// Lower is tried first.
        priority: u16,
        /// Share among targets of one priority.
        weight: u16,
        /// Port of the service at the target.
        port: u16,
        /// Name with the addresses.
        target: N,
    },
    /// The owner is an alias of this name.
    Cname(N),
    /// The name of the address that the owner stands for.
    Ptr(N),
    /// A name server of the zone.
    Ns(N),
    /// The start of a zone (RFC 1035 section 3.3.13).
    Soa {
        /// The primary name server.
        primary: N,
        /// The mailbox of the person in charge, as a name.
        mailbox: N,
        /// Moves when an answer can change.
        serial: u32,
        /// Seconds between looks of a secondary.
        refresh: u32,
        /// Seconds between attempts after a failure.
        retry: u32,
        /// Seconds after which a secondary gives up.
        expire: u32,
        /// Seconds for which a negative answer may be kept (RFC 2308 section 4).
        minimum: u32,
    },
    /// Text; where it is longer than 255 octets it is several strings.
    Txt(Cow<'static, [u8]>),
}

impl<N> RecordData<N> {
    /// The type of such a record.
    pub fn record_type(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Aaaa(_) => RecordType::AAAA,
            Self::Srv { .. } => RecordType::SRV,
            Self::Cname(_) => RecordType::CNAME,
            Self::Ptr(_) => RecordType::PTR,
            Self::Ns(_) => RecordType::NS,
            Self::Soa { .. } => RecordType::SOA,
            Self::Txt(_) => RecordType::TXT,
        }
    }

    pub(crate) fn map<M>(self, mut to: impl FnMut(N) -> M) -> RecordData<M> {
        match self {
            Self::A(addr) => RecordData::A(addr),
            Self::Aaaa(addr) => RecordData::Aaaa(addr),
            Self::Srv { priority, weight, port, target } => {
                RecordData::Srv { priority, weight, port, target: to(target) }
            }
            Self::Cname(target) => RecordData::Cname(to(target)),
            Self::Ptr(target) => RecordData::Ptr(to(target)),
            Self::Ns(target) => RecordData::Ns(to(target)),
            Self::Soa { primary, mailbox, serial, refresh, retry, expire, minimum } => {
                RecordData::Soa { primary: to(primary), mailbox: to(mailbox), serial, refresh, retry, expire, minimum }
            }
            Self::Txt(text) => RecordData::Txt(text),
        }
    }
}

impl RecordData {
    /// The borrowed form.
    pub fn as_ref(&self) -> RecordData<JoinedName<'_>> {
        match self {
            Self::A(addr) => RecordData::A(*addr),
            Self::Aaaa(addr) => RecordData::Aaaa(*addr),
            Self::Srv { priority, weight, port, target } => {
                RecordData::Srv { priority: *priority, weight: *weight, port: *port, target: target.into() }
            }
            Self::Cname(name) => RecordData::Cname(name.into()),
            Self::Ptr(name) => RecordData::Ptr(name.into()),
            Self::Ns(name) => RecordData::Ns(name.into()),
            Self::Soa { primary, mailbox, serial, refresh, retry, expire, minimum } => RecordData::Soa {
                primary: primary.into(),
                mailbox: mailbox.into(),
                serial: *serial,
                refresh: *refresh,
                retry: *retry,
                expire: *expire,
                minimum: *minimum,
            },
            Self::Txt(text) => RecordData::Txt(text.clone()),
        }
    }
}

impl<N: fmt::Display> fmt::Display for RecordData<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(addr) => addr.fmt(f),
            Self::Aaaa(addr) => addr.fmt(f),
            Self::Srv { priority, weight, port, target } => write!(f, "{priority} {weight} {port} {target}"),
            Self::Cname(name) | Self::Ptr(name) | Self::Ns(name) => name.fmt(f),
            Self::Soa { primary, mailbox, serial, refresh, retry, expire, minimum } => {
                write!(f, "{primary} {mailbox} {serial} {refresh} {retry} {expire} {minimum}")
            }
            Self::Txt(text) if text.is_empty() => f.write_str("\"\""),
            Self::Txt(text) => {
                for (i, string) in text.chunks(255).enumerate() {
                    f.write_str(if i == 0 { "\"" } else { " \"" })?;
                    for &octet in string {
                        match octet {
                            b'"' | b'\\' => write!(f, "\\{}", char::from(octet))?,
                            0x20..=0x7e => write!(f, "{}", char::from(octet))?,
                            _ => write!(f, "\\{octet:03}")?,
                        }
                    }
                    f.write_str("\"")?;
                }
                Ok(())
            }
        }
    }
}

/// A resource record of class IN. Displays as `owner TTL IN TYPE data`.
///
/// ```
/// use dns_records::{Name, Record, RecordData};
/// let owner: Name = "a.example".parse()?;
/// let record = Record { owner, ttl: 5, data: RecordData::A([192, 0, 2, 1].into()) };
/// assert_eq!(record.to_string(), "a.example. 5 IN A 192.0.2.1");
/// # Ok::<(), dns_records::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<N = Name> {
    /// The name that has the record.
    pub owner: N,
    /// Seconds for which a cache may keep it.
    pub ttl: u32,
    /// What it says.
    pub data: RecordData<N>,
}

impl Record {
    /// The borrowed form, as a [`Sink`](crate::Sink) takes it.
    pub fn as_ref(&self) -> RecordRef<'_> {
        Record { owner: (&self.owner).into(), ttl: self.ttl, data: self.data.as_ref() }
    }
}

/// A record that borrows its names from the table and the question.
pub type RecordRef<'a> = Record<JoinedName<'a>>;

impl RecordRef<'_> {
    /// An owned copy.
    pub fn to_record(&self) -> Record {
        Record { owner: self.owner.into(), ttl: self.ttl, data: self.data.clone().map(Name::from) }
    }
}

impl<N: fmt::Display> fmt::Display for Record<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} IN {} {}", self.owner, self.ttl, self.data.record_type(), self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_types_read_and_print_by_name_or_number() {
        for (text, number) in [("A", 1), ("AAAA", 28), ("SRV", 33), ("CAA", 257), ("TYPE999", 999)] {
            assert_eq!(text.parse(), Ok(RecordType(number)));
            assert_eq!(RecordType(number).to_string(), text);
        }
        assert_eq!("type28".parse(), Ok(RecordType::AAAA));
        for text in ["", "B", "TYPE", "TYPE65536", "TYPE+1", "TYPE-1", "éé"] {
            assert_eq!(text.parse::<RecordType>(), Err(UnknownRecordType(text.into())));
        }
    }

    #[test]
    fn the_text_form_is_owner_ttl_class_type_data() {
        let n = |text: &str| text.parse::<Name>().unwrap();
        let text = |data| Record { owner: n("o.example"), ttl: 30, data }.to_string();
        assert_eq!(text(RecordData::Aaaa("2001:DB8:0::1".parse().unwrap())), "o.example. 30 IN AAAA 2001:db8::1");
        let srv = RecordData::Srv { priority: 0, weight: 50, port: 80, target: n("t.example") };
        assert_eq!(text(srv), "o.example. 30 IN SRV 0 50 80 t.example.");
        assert_eq!(text(RecordData::Txt(b"1.1.0".into())), "o.example. 30 IN TXT \"1.1.0\"");
        assert_eq!(text(RecordData::Txt(b"a\"\x07".into())), "o.example. 30 IN TXT \"a\\\"\\007\"");
        assert_eq!(text(RecordData::Txt(b"".into())), "o.example. 30 IN TXT \"\"");
        let long = text(RecordData::Txt(vec![b'x'; 256].into()));
        assert!(long.ends_with("x\" \"x\""), "{long}");
    }
}
