//! How much was asked, and what came of it?

use std::fmt;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dns_records::wire::Transport;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident $words:literal,)*) => {
        /// What one thread counts. Each has its own, in cache lines of their own, so that they do not slow each other down.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Counters {
            $($name: AtomicU64,)*
        }

        /// How much was asked since the start, and what came of it. Displays as one line, without what never happened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            pub(crate) fn counts(&self) -> Counts {
                Counts { $($name: self.$name.load(Relaxed),)* }
            }
        }

        impl AddAssign for Counts {
            fn add_assign(&mut self, other: Counts) {
                $(self.$name += other.$name;)*
            }
        }

        impl Counts {
            fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($words, self.$name)),*].into_iter()
            }
        }
    };
}

counters! {
    /// Messages over UDP.
    udp "udp",
    /// Messages over TCP.
    tcp "tcp",
    /// Replies `NOERROR`.
    no_error "NOERROR",
    /// Replies `NXDOMAIN`.
    nx_domain "NXDOMAIN",
    /// Replies `REFUSED`.
    refused "REFUSED",
    /// Replies `SERVFAIL`.
    serv_fail "SERVFAIL",
    /// Replies `FORMERR`.
    form_err "FORMERR",
    /// Replies with another code.
    other "other codes",
    /// Messages that got no reply.
    silent "without reply",
    /// Replies with the TC bit.
    truncated "truncated",
    /// Queries that other servers were asked for.
    forwarded "forwarded",
    /// Whole zones handed out.
    transfers "transfers",
}

impl Counters {
    pub(crate) fn message(&self, transport: Transport) {
        add(match transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
        });
    }

    /// A reply, by the number of its code.
    pub(crate) fn reply(&self, rcode: u16, truncated: bool) {
        add(match rcode {
            0 => &self.no_error,
            1 => &self.form_err,
            2 => &self.serv_fail,
            3 => &self.nx_domain,
            5 => &self.refused,
            _ => &self.other,
        });
        if truncated {
            add(&self.truncated);
        }
    }

    pub(crate) fn silent(&self) {
        add(&self.silent);
    }

    pub(crate) fn forwarded(&self) {
        add(&self.forwarded);
    }

    pub(crate) fn transfer(&self) {
        add(&self.transfers);
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} queries", self.udp + self.tcp)?;
        let happened = self.named().filter(|(_, count)| *count > 0);
        for (i, (words, count)) in happened.enumerate() {
            write!(f, "{}{count} {words}", if i == 0 { ": " } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_one_line_without_what_never_happened() {
        let counters = Counters::default();
        assert_eq!(counters.counts().to_string(), "0 queries");
        counters.message(Transport::Udp);
        counters.message(Transport::Tcp);
        counters.reply(0, true);
        counters.reply(3, false);
        let mut sum = counters.counts();
        sum += counters.counts();
        assert_eq!(sum.to_string(), "4 queries: 2 udp, 2 tcp, 2 NOERROR, 2 NXDOMAIN, 2 truncated");
    }
}
