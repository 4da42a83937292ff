//! What does the server's own walk of the search list (CoreDNS's `autopath @kubernetes`) make of a question?

use super::server::Chain;
use super::server_reason::{By, Completed, PluginReason};
use crate::answer::{Question, Rcode, Section, Sink, Upstream, Verdict};
use crate::name::{Name, NameRef};
use crate::record::{Record, RecordData, RecordRef};

impl<'s> Chain<'s> {
    /// Serves a question, under another name if it lies below the first search path of the client's namespace and does not exist
    /// there: below the other paths of the cluster, below the server's own, or as it is. The first that exists answers, behind a
    /// CNAME from the name that was asked.
    pub(super) fn complete<'q>(
        &self,
        question: Question<'q>,
        upstream: &mut dyn Upstream,
        sink: &mut dyn Sink,
    ) -> (Verdict<By<'q>>, Option<Completed>)
    where
        's: 'q,
    {
        let Some(walk) = self.walk(question) else {
            return (self.serve(question, upstream, sink), None);
        };
        for name in walk.candidates {
            let candidate = Question { name: name.as_ref(), ..question };
            let mut alias = Alias { asked: question.name, done: false, sink };
            let verdict = match self.probe(candidate) {
                Rcode::NoError => self.serve(candidate, upstream, &mut alias).map(By::detached),
                Rcode::Refused if name == walk.base && !self.server.zone.is_ours(name.as_ref()) => {
                    upstream.resolve(candidate, &mut alias);
                    // Nobody here knows more: the asker may follow it.
                    alias.stand_for(name.as_ref(), self.server.zone.settings().ttl);
                    Verdict { rcode: Rcode::NoError, authoritative: true, reason: By::Plugin(PluginReason::Outside) }
                }
                _ => continue,
            };
            return (verdict, Some(Completed { name, line: walk.line }));
        }
        // The client walks its list itself, in vain.
        (self.serve(question, upstream, sink), None)
    }

    /// The names to try instead of the question, if there are any.
    fn walk(&self, question: Question<'_>) -> Option<Walk> {
        let autopath = self.plugins.autopath.as_ref()?;
        let name = question.name;
        let is_mine = autopath.zones.iter().any(|zone| name.is_within(zone.as_ref()));
        if !is_mine || question.record_type.is_transfer() {
            return None;
        }
        let zone = &self.server.zone;
        let namespace = zone.live_pod_namespace(self.client?)?;
        let origin = zone.origins.iter().find(|origin| name.is_within(origin.name.as_ref()))?;
        let below = name.labels().count().checked_sub(origin.labels + 2).filter(|below| *below > 0)?;
        let mut path = name.skip(below).labels();
        (path.next()?.is(namespace) && path.next()?.is("svc")).then_some(())?;
        if self.probe(question) == Rcode::NoError {
            return None;
        }
        let base = Name::from_labels(name.labels().take(below).map(|label| label.0)).ok()?;
        let paths = [name.skip(below + 1), name.skip(below + 2)].into_iter();
        let paths = paths.chain(self.server.options.search.iter().map(Name::as_ref));
        // A name that would be too long does not exist.
        let candidates = paths.filter_map(|path| base.below(path).ok()).chain([base.clone()]).collect();
        Some(Walk { base, candidates, line: autopath.line })
    }
}

struct Walk {
    /// The name without any search path.
    base: Name,
    candidates: Vec<Name>,
    line: usize,
}

/// Puts a CNAME before the first record that belongs to another name than the one asked for, with that record's TTL.
struct Alias<'a> {
    asked: NameRef<'a>,
    done: bool,
    sink: &'a mut dyn Sink,
}

impl Alias<'_> {
    fn stand_for(&mut self, target: NameRef<'_>, ttl: u32) {
        if !self.done {
            self.done = true;
            let data = RecordData::Cname(target.into());
            self.sink.record(Section::Answer, &Record { owner: self.asked.into(), ttl, data });
        }
    }
}

impl Sink for Alias<'_> {
    fn record(&mut self, section: Section, record: &RecordRef<'_>) {
        if section == Section::Answer && record.owner != self.asked.into() {
            let owner = Name::from(record.owner);
            self.stand_for(owner.as_ref(), record.ttl);
        }
        self.sink.record(section, record);
    }
}
