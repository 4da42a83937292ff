//! Answers vector files: `cargo run -p lb-select --example vectors -- [--check] FILE...`
//!
//! A vector is a question with a name, an operation and an input. Each is answered on a line of its own, as
//! `{"name": ..., "got": {...}}`, in the order of the files; an operation that is not known gives `"error": "unsupported"`.
//! With `--check` the answers are compared with what the vectors expect instead: each failure is printed, then
//! `N passed, N failed`, and the status is 1 if there was any.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a program, not part of the library")]

mod runner;

use std::process::ExitCode;

fn main() -> ExitCode {
    let (options, files): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let check = options.iter().any(|option| option == "--check");
    if files.is_empty() || options.iter().any(|option| option != "--check") {
        eprintln!("usage: vectors [--check] FILE...");
        return ExitCode::from(2);
    }
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let vectors = std::fs::read_to_string(&file).map_err(|error| error.to_string());
        let vectors = match vectors.and_then(|text| runner::read(&text)) {
            Ok(vectors) => vectors,
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::from(2);
            }
        };
        for vector in vectors {
            if !check {
                println!("{}", vector.line());
            } else if let Err(difference) = vector.check() {
                failed += 1;
                println!("{}: {difference}", vector.name);
            } else {
                passed += 1;
            }
        }
    }
    if check {
        println!("{passed} passed, {failed} failed");
    }
    ExitCode::from(u8::from(failed > 0))
}
