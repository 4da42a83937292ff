//! Why does the server answer so? Which plugins renamed the question, and which answered it.

use std::fmt;

use svc_model::ObjectRef;

use super::reason::Reason;
use super::server::Server;
use super::zone::Zone;
use crate::answer::{NoUpstream, Question, Section};
use crate::hosts::Told;
use crate::name::{Name, NameRef};
use crate::record::{RecordRef, RecordType};
use crate::rewrite::Rewritten;

/// Why a [`Server`] answers as it does. Displays as a line for people, with the lines of the Corefile that had a say.
///
/// It borrows from the server and from the question. Of a renamed question the zone's own reason is found again when it is asked
/// for, so that a reply nobody asks about pays nothing for it.
#[derive(Clone)]
pub struct ServerReason<'a> {
    renamed: Option<Box<Renamed<'a>>>,
    by: By<'a>,
}

#[derive(Clone)]
struct Renamed<'a> {
    rewritten: Option<Rewritten<'a>>,
    /// Lines of the rules that took the question.
    lines: Vec<usize>,
    completed: Option<Completed>,
    zone: &'a Zone,
    record_type: RecordType,
}

/// The name that `autopath` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Completed {
    pub(super) name: Name,
    pub(super) line: usize,
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By<'a> {
    Zone(Reason<'a>),
    /// The zone, under a name that is gone since.
    Renamed,
    Plugin(PluginReason),
}

impl By<'_> {
    /// Without what borrows from the question.
    pub(super) fn detached<'a>(self) -> By<'a> {
        match self {
            Self::Zone(_) | Self::Renamed => By::Renamed,
            Self::Plugin(reason) => By::Plugin(reason),
        }
    }
}

/// What a plugin other than `kubernetes` has to say. Lines are those of the Corefile, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PluginReason {
    /// Another server block, with a longer zone, gets the question.
    Elsewhere {
        /// Its line.
        line: usize,
    },
    /// A rule of `rewrite` makes of the name what is no name.
    IllegalName {
        /// The rule's line.
        line: usize,
    },
    /// `transfer` does not give this zone to this client.
    NoTransfer {
        /// The plugin's line.
        line: usize,
    },
    /// `hosts` answered, or said that nobody else is to be asked.
    Hosts {
        /// The plugin's line.
        line: usize,
        /// What it said.
        told: Told,
    },
    /// The name that the plugins made lies outside the zones: servers elsewhere were asked, or are to be.
    Outside,
}

impl<'a> ServerReason<'a> {
    pub(super) fn of_zone(reason: Reason<'a>) -> Self {
        Self { renamed: None, by: By::Zone(reason) }
    }

    pub(super) fn of_plugin(reason: PluginReason) -> Self {
        Self { renamed: None, by: By::Plugin(reason) }
    }

    pub(super) fn new(
        server: &'a Server,
        record_type: RecordType,
        rewritten: Option<Rewritten<'a>>,
        completed: Option<Completed>,
        by: By<'a>,
    ) -> Self {
        let renamed = (rewritten.is_some() || completed.is_some()).then(|| {
            let all = server.plugins.as_ref().map_or(&[][..], |plugins| &plugins.rewrite_lines);
            let lines = rewritten.iter().flat_map(Rewritten::rules).filter_map(|rule| all.get(rule).copied()).collect();
            Box::new(Renamed { rewritten, lines, completed, zone: &server.zone, record_type })
        });
        Self { renamed, by }
    }

    /// The name that was answered, if it is not the one that was asked: what policy is to be judged by.
    pub fn name(&self) -> Option<NameRef<'_>> {
        let renamed = self.renamed.as_deref()?;
        let completed = renamed.completed.as_ref().map(|completed| completed.name.as_ref());
        completed.or_else(|| renamed.rewritten.as_ref().map(Rewritten::name))
    }

    /// How `rewrite` renamed the question, and what puts that back in a reply from elsewhere.
    pub fn rewritten(&self) -> Option<&Rewritten<'a>> {
        self.renamed.as_deref()?.rewritten.as_ref()
    }

    /// The name that `autopath` completed the question to.
    pub fn completed(&self) -> Option<NameRef<'_>> {
        self.renamed.as_deref()?.completed.as_ref().map(|completed| completed.name.as_ref())
    }

    /// What a plugin other than `kubernetes` had to say, if one answered.
    pub fn plugin(&self) -> Option<PluginReason> {
        match self.by {
            By::Plugin(reason) => Some(reason),
            By::Zone(_) | By::Renamed => None,
        }
    }

    /// Why the zone answered as it did, if it did.
    pub fn zone(&self) -> Option<Reason<'_>> {
        match self.by {
            By::Zone(reason) => Some(reason),
            By::Renamed => {
                let (renamed, name) = (self.renamed.as_deref()?, self.name()?);
                let question = Question { name, record_type: renamed.record_type };
                let mut nothing = |_: Section, _: &RecordRef<'_>| {};
                Some(renamed.zone.answer_into(question, &mut NoUpstream, &mut nothing).reason)
            }
            By::Plugin(_) => None,
        }
    }

    /// The object that decided, if one did.
    pub fn object(&self) -> Option<&ObjectRef> {
        self.zone()?.object()
    }
}

impl fmt::Display for ServerReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(renamed) = &self.renamed {
            if let Some(rewritten) = &renamed.rewritten {
                let lines: Vec<String> = renamed.lines.iter().map(ToString::to_string).collect();
                let word = if lines.len() == 1 { "line" } else { "lines" };
                write!(f, "rewritten to {} (Corefile {word} {}); ", rewritten.name(), lines.join(", "))?;
            }
            if let Some(Completed { name, line }) = &renamed.completed {
                write!(f, "completed to {name} on the server (autopath, Corefile line {line}); ")?;
            }
        }
        match (&self.by, self.zone()) {
            (By::Plugin(reason), _) => reason.fmt(f),
            (_, Some(reason)) => reason.fmt(f),
            // A renamed question has a name.
            (_, None) => Ok(()),
        }
    }
}

impl fmt::Debug for ServerReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl fmt::Display for PluginReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere { line } => write!(f, "another server block gets the question (Corefile line {line})"),
            Self::IllegalName { line } => write!(f, "a rewrite makes of it what is no name (Corefile line {line})"),
            Self::NoTransfer { line } => write!(f, "zone transfer is not for this client (Corefile line {line})"),
            Self::Hosts { line, told: Told::Records } => write!(f, "an entry of hosts (Corefile line {line})"),
            Self::Hosts { line, told: Told::NoData } => {
                write!(f, "an entry of hosts, which has no such records (Corefile line {line})")
            }
            Self::Hosts { line, .. } => {
                write!(f, "no entry of hosts, which leaves the name to nobody else (Corefile line {line})")
            }
            Self::Outside => f.write_str("left to servers elsewhere"),
        }
    }
}
