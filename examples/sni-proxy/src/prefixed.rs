//! How does a reader get back what was read before it? A stream with bytes in front.

use std::io::{self, Cursor, Read, Write};

/// A stream some of whose bytes were read already: they come first again.
#[derive(Debug)]
pub(crate) struct Prefixed<S> {
    prefix: Cursor<Vec<u8>>,
    stream: S,
}

impl<S> Prefixed<S> {
    pub(crate) fn new(prefix: Vec<u8>, stream: S) -> Prefixed<S> {
        Prefixed { prefix: Cursor::new(prefix), stream }
    }
}

impl<S: Read> Read for Prefixed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.prefix.read(buffer)? {
            0 => self.stream.read(buffer),
            len => Ok(len),
        }
    }
}

impl<S: Write> Write for Prefixed<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
