//! What was asked, by whom, and what came of it: a line a query, if wanted.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;

use dns_records::wire::Transport;

/// Standard output, or nothing.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) wanted: bool,
}

impl Log {
    /// `127.0.0.1:40000 udp cart.shop.svc.cluster.local. A: NOERROR, 61 octets: Service/shop/cart has a cluster IP`
    pub(crate) fn line(
        &self,
        client: SocketAddr,
        transport: Transport,
        question: &dyn fmt::Display,
        outcome: fmt::Arguments<'_>,
    ) {
        if self.wanted {
            let transport = match transport {
                Transport::Udp => "udp",
                Transport::Tcp => "tcp",
            };
            // Nobody listens any more: no reason to stop answering.
            let _ = writeln!(io::stdout().lock(), "{client} {transport} {question}: {outcome}");
        }
    }
}
