//! Which records does a hosts file make? As CoreDNS's `hosts` plugin serves it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::HostsFile;
use crate::answer::{Question, Section, Sink};
use crate::joined::JoinedName;
use crate::name::{MAX_WIRE, Name, NameRef};
use crate::record::{Record, RecordData, RecordType};

/// What a [`HostsRecords`] is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostsSettings {
    /// The zones it answers in; names outside them are left out of the table. Reverse names need no zone.
    pub zones: Vec<Name>,
    /// TTL of the records in seconds.
    pub ttl: u32,
    /// Whether addresses have PTR records.
    pub reverse: bool,
    /// Zones in which a name that is not in the table is left to others; the root stands for all.
    pub fallthrough: Vec<Name>,
    /// Whether, there, types of a name in the table that it cannot have are left to others as well.
    pub fallthrough_unsupported: bool,
}

impl Default for HostsSettings {
    fn default() -> Self {
        Self {
            zones: vec![Name::root()],
            ttl: 3600,
            reverse: true,
            fallthrough: Vec::new(),
            fallthrough_unsupported: false,
        }
    }
}

/// A hosts file as records: A and AAAA of its names, PTR of its addresses.
///
/// A name `*.example` stands for every name one label below `example` that has no line of its own. A question costs one hash
/// look-up, or two, and no allocation.
///
/// ```
/// use dns_records::hosts::{HostsFile, HostsRecords, HostsSettings, Told};
/// use dns_records::{Name, Question, RecordRef, RecordType, Section};
///
/// let file: HostsFile = "192.0.2.7 db.example db\n".parse().unwrap();
/// let hosts = HostsRecords::new(&file, HostsSettings::default());
/// let name: Name = "DB.example".parse()?;
/// let mut lines = Vec::new();
/// let mut sink = |_: Section, record: &RecordRef<'_>| lines.push(record.to_string());
/// assert_eq!(hosts.answer_into(Question::new(&name, RecordType::A), &mut sink), Told::Records);
/// assert_eq!(hosts.answer_into(Question::new(&name, RecordType::TXT), &mut sink), Told::NoData);
/// assert_eq!(lines, ["DB.example. 3600 IN A 192.0.2.7"]);
/// # Ok::<(), dns_records::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsRecords {
    settings: HostsSettings,
    /// By name in wire form and lower case.
    names: HashMap<Box<[u8]>, Entry>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
    pointers: Vec<Name>,
}

/// What a [`HostsRecords`] has to say to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// The records that it put into the sink.
    Records,
    /// The name is there, without such records: `NOERROR`, and no SOA, since there is no zone.
    NoData,
    /// The name is not there, and nobody else is to be asked: `SERVFAIL`, as there is no SOA for an `NXDOMAIN`.
    Missing,
    /// Others are to be asked.
    Nothing,
}

impl HostsRecords {
    /// Compiles a hosts file. Names that are no DNS names are passed over.
    pub fn new(file: &HostsFile, settings: HostsSettings) -> Self {
        let mut names: HashMap<Box<[u8]>, Entry> = HashMap::new();
        let mut entry = |name: NameRef<'_>, add: &dyn Fn(&mut Entry)| {
            add(names.entry(name.as_wire().to_ascii_lowercase().into()).or_default());
        };
        for line in file.lines() {
            for name in line.names.iter().filter_map(|name| name.parse::<Name>().ok()) {
                if !is_within(name.as_ref(), &settings.zones) {
                    continue;
                }
                entry(name.as_ref(), &|entry| match line.addr {
                    IpAddr::V4(addr) => add_new(&mut entry.v4, addr),
                    IpAddr::V6(addr) => add_new(&mut entry.v6, addr),
                });
                if settings.reverse && !is_wildcard(name.as_ref()) {
                    entry(Name::reverse(line.addr).as_ref(), &|entry| add_new(&mut entry.pointers, name.clone()));
                }
            }
        }
        Self { settings, names }
    }

    /// What it was made with.
    pub fn settings(&self) -> &HostsSettings {
        &self.settings
    }

    /// Answers a question into a sink.
    pub fn answer_into(&self, question: Question<'_>, sink: &mut dyn Sink) -> Told {
        let Question { name, record_type } = question;
        let is_pointer = record_type == RecordType::PTR;
        if !is_pointer && !is_within(name, &self.settings.zones) {
            return Told::Nothing;
        }
        let entry = self.entry(name);
        let mut any = false;
        let mut record = |data: RecordData<JoinedName<'_>>| {
            any = true;
            sink.record(Section::Answer, &Record { owner: name.into(), ttl: self.settings.ttl, data });
        };
        match (record_type, entry) {
            (RecordType::A, Some(entry)) => entry.v4.iter().for_each(|addr| record(RecordData::A(*addr))),
            (RecordType::AAAA, Some(entry)) => entry.v6.iter().for_each(|addr| record(RecordData::Aaaa(*addr))),
            (RecordType::PTR, Some(entry)) => {
                entry.pointers.iter().for_each(|target| record(RecordData::Ptr(target.into())));
            }
            _ => {}
        }
        let falls_through = || is_within(name, &self.settings.fallthrough);
        let is_address = matches!(record_type, RecordType::A | RecordType::AAAA);
        match entry {
            _ if any => Told::Records,
            // An address without a name here may have one elsewhere, whatever `fallthrough` says.
            _ if is_pointer => Told::Nothing,
            Some(_) if self.settings.fallthrough_unsupported && !is_address && falls_through() => Told::Nothing,
            Some(_) => Told::NoData,
            None if falls_through() => Told::Nothing,
            None => Told::Missing,
        }
    }

    fn entry(&self, name: NameRef<'_>) -> Option<&Entry> {
        let mut lower = [0; MAX_WIRE];
        let lower = &mut lower[..name.as_wire().len()];
        lower.copy_from_slice(name.as_wire());
        lower.make_ascii_lowercase();
        if let Some(entry) = self.names.get(&*lower) {
            return Some(entry);
        }
        // The first label as an asterisk: only one label is stood for, and never the root.
        let first = usize::from(lower[0]);
        let at = first.checked_sub(1)?;
        lower[at..at + 2].copy_from_slice(b"\x01*");
        self.names.get(&lower[at..])
    }
}

fn is_wildcard(name: NameRef<'_>) -> bool {
    name.labels().next().is_some_and(|label| label.0 == b"*")
}

fn is_within(name: NameRef<'_>, zones: &[Name]) -> bool {
    zones.iter().any(|zone| name.is_within(zone.as_ref()))
}

fn add_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordRef;

    const FILE: &str = "192.0.2.1 a.Example b.example\n192.0.2.2 a.example\n192.0.2.1 a.example\n2001:db8::1 a.example\n\
                        192.0.2.9 *.wild.example other\n192.0.2.10 own.wild.example\n";

    fn hosts(change: impl FnOnce(&mut HostsSettings)) -> HostsRecords {
        let mut settings = HostsSettings { zones: vec![name("example")], ..HostsSettings::default() };
        change(&mut settings);
        HostsRecords::new(&FILE.parse().unwrap(), settings)
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn ask(hosts: &HostsRecords, text: &str, record_type: RecordType) -> String {
        let mut lines = Vec::new();
        let mut sink = |_: Section, record: &RecordRef<'_>| lines.push(record.data.to_string());
        let told = hosts.answer_into(Question::new(&name(text), record_type), &mut sink);
        format!("{told:?} {}", lines.join(" "))
    }

    #[test]
    fn names_have_the_addresses_of_all_their_lines_once() {
        let hosts = hosts(|_| {});
        assert_eq!(ask(&hosts, "A.example", RecordType::A), "Records 192.0.2.1 192.0.2.2");
        assert_eq!(ask(&hosts, "a.example", RecordType::AAAA), "Records 2001:db8::1");
        assert_eq!(ask(&hosts, "b.example", RecordType::AAAA), "NoData ");
        assert_eq!(ask(&hosts, "b.example", RecordType::MX), "NoData ");
    }

    #[test]
    fn a_name_that_is_not_there_is_missing_or_left_to_others() {
        let closed = hosts(|_| {});
        assert_eq!(ask(&closed, "c.example", RecordType::A), "Missing ");
        // No name of the file lies outside the zones.
        assert_eq!(ask(&closed, "other", RecordType::A), "Nothing ");
        let open = hosts(|settings| settings.fallthrough = vec![name("sub.example")]);
        assert_eq!(ask(&open, "x.sub.example", RecordType::TXT), "Nothing ");
        assert_eq!(ask(&open, "c.example", RecordType::A), "Missing ");
    }

    #[test]
    fn types_that_no_name_can_have_are_left_to_others_if_asked_for() {
        let open = hosts(|settings| {
            (settings.fallthrough, settings.fallthrough_unsupported) = (vec![Name::root()], true);
        });
        assert_eq!(ask(&open, "b.example", RecordType::TXT), "Nothing ");
        assert_eq!(ask(&open, "b.example", RecordType::AAAA), "NoData ");
    }

    #[test]
    fn addresses_have_names_in_no_zone_of_their_own() {
        let hosts = hosts(|_| {});
        assert_eq!(ask(&hosts, "1.2.0.192.IN-ADDR.arpa", RecordType::PTR), "Records a.Example. b.example.");
        assert_eq!(ask(&hosts, "3.2.0.192.in-addr.arpa", RecordType::PTR), "Nothing ");
        assert_eq!(ask(&hosts, "9.2.0.192.in-addr.arpa", RecordType::PTR), "Nothing ", "an asterisk is nobody's name");
        assert_eq!(ask(&hosts, "a.example", RecordType::PTR), "Nothing ");
        let forward = super::tests::hosts(|settings| settings.reverse = false);
        assert_eq!(ask(&forward, "1.2.0.192.in-addr.arpa", RecordType::PTR), "Nothing ");
    }

    #[test]
    fn an_asterisk_stands_for_one_label_without_a_line_of_its_own() {
        let hosts = hosts(|_| {});
        assert_eq!(ask(&hosts, "x.wild.example", RecordType::A), "Records 192.0.2.9");
        assert_eq!(ask(&hosts, "own.wild.example", RecordType::A), "Records 192.0.2.10");
        assert_eq!(ask(&hosts, "wild.example", RecordType::A), "Missing ");
        assert_eq!(ask(&hosts, "y.x.wild.example", RecordType::A), "Missing ");
        assert_eq!(ask(&hosts, "x.wild.example", RecordType::TXT), "NoData ");
    }

    #[test]
    fn a_question_costs_no_allocation() {
        let hosts = hosts(|_| {});
        for text in ["a.example", "x.wild.example", "c.example"] {
            let name = name(text);
            let cost = allocation_counter::measure(|| {
                let mut sink = |_: Section, _: &RecordRef<'_>| {};
                std::hint::black_box(hosts.answer_into(Question::new(&name, RecordType::A), &mut sink));
            });
            assert_eq!(cost.count_total, 0, "{text}");
        }
    }
}
