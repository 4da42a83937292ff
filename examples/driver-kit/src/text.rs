//! How is a text of many lines written fast? Piece by piece, without a formatter between them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Pieces, one after another.
///
/// # Errors
/// Those of the writer.
pub fn write_all(f: &mut impl fmt::Write, pieces: &[&str]) -> fmt::Result {
    pieces.iter().try_for_each(|piece| f.write_str(piece))
}

/// A number as its `Display` writes it.
///
/// # Errors
/// Those of the writer.
pub fn write_number(f: &mut impl fmt::Write, number: impl itoa::Integer) -> fmt::Result {
    f.write_str(itoa::Buffer::new().format(number))
}

/// An address as its `Display` writes it.
///
/// ```
/// let mut text = String::new();
/// driver_kit::write_addr(&mut text, "10.96.0.10".parse()?)?;
/// assert_eq!(text, "10.96.0.10");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of the writer.
pub fn write_addr(f: &mut impl fmt::Write, addr: IpAddr) -> fmt::Result {
    let IpAddr::V4(addr) = addr else { return write!(f, "{addr}") };
    let [first, rest @ ..] = addr.octets();
    write_number(f, first)?;
    rest.into_iter().try_for_each(|octet| {
        f.write_char('.')?;
        write_number(f, octet)
    })
}

/// An address and port as their `Display` writes them.
///
/// # Errors
/// Those of the writer.
pub fn write_socket_addr(f: &mut impl fmt::Write, addr: SocketAddr) -> fmt::Result {
    if addr.is_ipv6() {
        return write!(f, "{addr}");
    }
    write_addr(f, addr.ip())?;
    f.write_char(':')?;
    write_number(f, addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_displayed() {
        for addr in ["0.0.0.0:0", "10.96.0.1:80", "255.255.255.255:65535", "[2001:db8::7]:443", "[fe80::1%3]:53"] {
            let addr: SocketAddr = addr.parse().unwrap();
            let (mut ip, mut both) = (String::new(), String::new());
            write_addr(&mut ip, addr.ip()).unwrap();
            write_socket_addr(&mut both, addr).unwrap();
            assert_eq!((ip, both), (addr.ip().to_string(), addr.to_string()));
        }
    }
}
