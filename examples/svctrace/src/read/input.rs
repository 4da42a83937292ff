//! Which texts are to be read? Files, directories and standard input, as `-f` names them.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Longest input, in bytes.
pub const MAX_INPUT_BYTES: u64 = 256 << 20;

/// An argument of `-f`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file, or a directory whose `.yaml`, `.yml` and `.json` files are read, those of its sub-directories included.
    Path(PathBuf),
    /// Standard input, written `-`.
    Stdin,
}

impl FromStr for Input {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Input, Infallible> {
        Ok(if text == "-" { Input::Stdin } else { Input::Path(text.into()) })
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Path(path) => path.display().fmt(f),
            Input::Stdin => f.write_str("-"),
        }
    }
}

/// Why an input gave no text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The system refused.
    #[error("{input}: {error}")]
    Io {
        /// The file or directory.
        input: String,
        /// What it said.
        #[source]
        error: io::Error,
    },
    /// There is more text than will be read.
    #[error("{input}: over the limit of {MAX_INPUT_BYTES} bytes an input")]
    TooLong {
        /// The file.
        input: String,
    },
    /// Nothing in a directory looks like a manifest.
    #[error("{input}: no .yaml, .yml or .json file in it")]
    NoManifest {
        /// The directory.
        input: String,
    },
}

impl Input {
    /// The files that it stands for: those of a directory in the order of names; none for standard input.
    ///
    /// # Errors
    /// A directory cannot be listed, or has no manifest in it.
    pub fn files(&self) -> Result<Vec<PathBuf>, InputError> {
        let path = match self {
            Input::Stdin => return Ok(Vec::new()),
            Input::Path(path) if !path.is_dir() => return Ok(vec![path.clone()]),
            Input::Path(path) => path,
        };
        let mut files = Vec::new();
        list(path, &mut files)?;
        if files.is_empty() {
            return Err(InputError::NoManifest { input: path.display().to_string() });
        }
        Ok(files)
    }
}

/// Calls `each` with name and bytes of every file that an input stands for.
pub(super) fn read(input: &Input, mut each: impl FnMut(&str, Result<Vec<u8>, InputError>)) {
    if *input == Input::Stdin {
        return each("-", read_limited("-", io::stdin().lock()));
    }
    match input.files() {
        Ok(files) => files.iter().for_each(|file| read_file(file, &mut each)),
        Err(error) => each(&input.to_string(), Err(error)),
    }
}

fn read_file(path: &Path, each: &mut impl FnMut(&str, Result<Vec<u8>, InputError>)) {
    let name = path.display().to_string();
    let file = fs::File::open(path).map_err(|error| InputError::Io { input: name.clone(), error });
    each(&name, file.and_then(|file| read_limited(&name, file)));
}

fn read_limited(name: &str, source: impl Read) -> Result<Vec<u8>, InputError> {
    let mut bytes = Vec::new();
    let read = source.take(MAX_INPUT_BYTES + 1).read_to_end(&mut bytes);
    let read = read.map_err(|error| InputError::Io { input: name.to_owned(), error })?;
    if read as u64 > MAX_INPUT_BYTES {
        return Err(InputError::TooLong { input: name.to_owned() });
    }
    Ok(bytes)
}

/// Collects the manifests below a directory. Links to directories are not followed: they may lead in a circle.
fn list(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), InputError> {
    let failed = |error| InputError::Io { input: directory.display().to_string(), error };
    let entries: Result<Vec<_>, _> = fs::read_dir(directory).map_err(failed)?.collect();
    let mut entries = entries.map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            list(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
            && path.is_file()
        {
            files.push(path);
        }
    }
    Ok(())
}
