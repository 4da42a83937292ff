//! Which pair of a listener or server is served? One that the client can use is enough, and need not cover the name: to fall through to a
//! less specific listener would serve the wrong site.

use crate::decision::TlsQuestion;
use crate::facts::{CertificateFacts, CommonName};
use crate::query::Query;
use crate::rank::Rank;
use core::fmt;

/// How the choice among the pairs ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    Certificate { covers: bool },
    Unverifiable,
    NoCertificate,
}

impl Served {
    /// Chooses among pairs in the order in which they are listed, `None` for one that cannot be used; and which it is.
    pub(crate) fn choose<'f>(
        pairs: impl Iterator<Item = Option<&'f CertificateFacts>>,
        question: &TlsQuestion<'_>,
        now: i64,
    ) -> (Self, Option<usize>) {
        let query = Query { sni: &question.sni, accepted_keys: question.accepted_keys, alpn: question.alpn };
        let mut usable = pairs.enumerate().filter_map(|(at, facts)| Some((at, facts?))).peekable();
        let is_any = usable.peek().is_some();
        match usable.filter_map(|(at, facts)| Rank::of(facts, at, &query, CommonName::Never, now)).min() {
            Some(best) => (Self::Certificate { covers: best.covers_name() }, Some(best.position())),
            None if is_any => (Self::Unverifiable, None),
            None => (Self::NoCertificate, None),
        }
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Certificate { covers: true } => "certificate",
            Self::Certificate { covers: false } => "certificate-not-covering",
            Self::Unverifiable => "unverifiable",
            Self::NoCertificate => "no-certificate",
        }
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate { covers: true } => "has a certificate for the name",
            Self::Certificate { covers: false } => "has a certificate, though not for the name",
            Self::Unverifiable => "has certificates, but none whose key the client verifies",
            Self::NoCertificate => "has no certificate that can be used",
        })
    }
}
