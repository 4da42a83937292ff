//! What does this ClientHello say?
//!
//! `client-hello FILE.hex` (or a file of raw bytes, or `-` for standard input) describes one hello to a person.
//! `client-hello INDEX.yaml` prints a JSON object for each vector of an index, whose hex files lie beside it.
//! `client-hello --check INDEX.yaml` holds each vector, and all its prefixes, against what the index expects; it prints
//! the failures, and ends with their number.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros, reason = "a program")]

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tls_sni::fingerprint::{self, Transport};
use tls_sni::{ClientHello, Ech, HelloReader, PeekError, Sni, is_grease, peek};

const USAGE: &str = "usage: client-hello [--check] INDEX.yaml, or client-hello FILE.hex|FILE|-";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["--check", index] => check(Path::new(index)),
        [index] if index.ends_with(".yaml") || index.ends_with(".yml") || index.ends_with(".json") => {
            list(Path::new(index))
        }
        [file] if !file.starts_with("--") => describe(file),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("client-hello: {message}");
            ExitCode::from(2)
        }
    }
}

/// A vector of an index.
#[derive(Deserialize)]
struct Vector {
    name: String,
    file: String,
    #[serde(default)]
    bytes: Option<usize>,
    #[serde(default)]
    expect: Map<String, Value>,
}

fn check(index: &Path) -> Result<bool, String> {
    let (mut passed, mut failed) = (0, 0);
    for (vector, stream) in vectors(index)? {
        let faults = faults(&vector, &stream);
        if faults.is_empty() {
            passed += 1;
        } else {
            failed += 1;
            println!("{}: {}", vector.name, faults.join("; "));
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

fn list(index: &Path) -> Result<bool, String> {
    for (vector, stream) in vectors(index)? {
        let mut object = Map::new();
        object.insert("name".into(), vector.name.into());
        object.insert("file".into(), vector.file.into());
        object.insert("bytes".into(), stream.len().into());
        object.extend(answer(&stream));
        println!("{}", Value::Object(object));
    }
    Ok(true)
}

fn vectors(index: &Path) -> Result<Vec<(Vector, Vec<u8>)>, String> {
    let text = std::fs::read_to_string(index).map_err(|error| format!("{}: {error}", index.display()))?;
    let vectors: Vec<Vector> =
        serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", index.display()))?;
    let beside = index.parent().unwrap_or(Path::new(""));
    vectors
        .into_iter()
        .map(|vector| {
            let path = beside.join(&vector.file);
            let text = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let stream = from_hex(&text).ok_or_else(|| format!("{}: not hexadecimal", path.display()))?;
            Ok((vector, stream))
        })
        .collect()
}

/// What an index says of a stream, found by reading it.
fn answer(stream: &[u8]) -> Map<String, Value> {
    let (result, kind) = match peek(stream) {
        Ok(hello) => return of_hello(&hello),
        Err(PeekError::NeedMore(_)) => ("incomplete", None),
        Err(PeekError::NotTls(kind)) => ("not-tls", Some(kind.code())),
        Err(PeekError::Malformed { kind, .. }) => ("malformed", Some(kind.code())),
        Err(_) => ("unknown", None),
    };
    let mut object = Map::new();
    object.insert("result".into(), result.into());
    object.extend(kind.map(|kind| ("kind".into(), kind.into())));
    object
}

fn of_hello(hello: &ClientHello<'_>) -> Map<String, Value> {
    let code = |code: u16| format!("0x{code:04x}");
    let (kind, sni) = match hello.sni() {
        Sni::Absent => ("none", None),
        Sni::Ip(_) => ("ip", None),
        Sni::Invalid(_) => ("invalid", None),
        Sni::Name(name) => ("dns", Some(name.to_string())),
    };
    let raw = hello.server_name_bytes().filter(|raw| sni.as_ref().is_none_or(|sni| sni.as_bytes() != *raw));
    let names: Option<Vec<&str>> = hello.alpn().into_iter().map(text).collect();
    let Value::Object(mut object) = json!({
        "result": "hello",
        "hello_end": hello.end(),
        "sni": sni,
        "sni_kind": kind,
        "alpn": names,
        "legacy_version": code(hello.legacy_version().0),
        "versions": hello.versions().map(|version| code(version.0)).collect::<Vec<_>>(),
        "signature_algorithms":
            hello.signature_schemes().map(|schemes| schemes.map(|scheme| code(scheme.0)).collect::<Vec<_>>()),
        "cipher_suites": hello.cipher_suites().len(),
        "extensions": hello.extensions().count(),
        "ech": hello.ech().map(|ech| match ech { Ech::Outer => "outer", Ech::Inner => "inner" }),
        "ja3": fingerprint::ja3(hello),
        "ja4": fingerprint::ja4(hello, Transport::Tcp),
    }) else {
        unreachable!("an object was written above")
    };
    if names.is_none() {
        object.insert("alpn_hex".into(), hello.alpn().into_iter().map(to_hex).collect::<Vec<_>>().into());
    }
    object.extend(raw.map(|raw| ("sni_raw_hex".into(), to_hex(raw).into())));
    object
}

/// A protocol's name, if it is one that can be printed.
fn text(name: &[u8]) -> Option<&str> {
    name.iter().all(|byte| (0x20..0x7f).contains(byte)).then(|| str::from_utf8(name).ok())?
}

fn faults(vector: &Vector, stream: &[u8]) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(bytes) = vector.bytes.filter(|bytes| *bytes != stream.len()) {
        faults.push(format!("{} bytes, not {bytes}", stream.len()));
    }
    let found = answer(stream);
    for (key, expected) in &vector.expect {
        let found = found.get(key).unwrap_or(&Value::Null);
        if found != expected {
            faults.push(format!("{key} is {found}, not {expected}"));
        }
    }
    faults.extend(fault_of_prefixes(stream));
    faults
}

/// A prefix asks for no more than is missing, and an error stays what it is; byte by byte as well as at once.
fn fault_of_prefixes(stream: &[u8]) -> Option<String> {
    let whole = peek(stream);
    let end = whole.as_ref().map_or(stream.len(), ClientHello::end);
    let mut reader = HelloReader::new();
    let mut settled = false;
    for have in 0..=stream.len() {
        let prefix = peek(&stream[..have]);
        if reader.read(&stream[..have]) != prefix {
            return Some(format!("{have} bytes read one by one give another answer than at once"));
        }
        match prefix {
            Err(PeekError::NeedMore(_)) if settled => {
                return Some(format!("{have} bytes ask for more after an answer"));
            }
            Err(PeekError::NeedMore(0)) => return Some(format!("{have} bytes ask for none")),
            Err(PeekError::NeedMore(n)) if whole.is_ok() && (have >= end || n > end - have) => {
                return Some(format!("{have} bytes ask for {n} more, of a hello of {end}"));
            }
            Err(PeekError::NeedMore(_)) => {}
            answer if answer == whole => settled = true,
            answer => return Some(format!("{have} bytes give {answer:?}, all give {whole:?}")),
        }
    }
    None
}

fn describe(file: &str) -> Result<bool, String> {
    let bytes = match file {
        "-" => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map_err(|error| format!("standard input: {error}"))?;
            bytes
        }
        file => std::fs::read(file).map_err(|error| format!("{file}: {error}"))?,
    };
    // A record begins with byte 22, which is no hexadecimal digit.
    let stream = from_hex(&bytes).unwrap_or(bytes);
    let hello = match peek(&stream) {
        Ok(hello) => hello,
        Err(error) => {
            println!("{error}");
            return Ok(false);
        }
    };
    let line = |what: &str, value: String| println!("{what:<22}{value}");
    let or = |list: Vec<String>, none: &str| if list.is_empty() { none.to_owned() } else { list.join(", ") };
    line("ClientHello", format!("{} bytes of a stream of {}", hello.end(), stream.len()));
    line("server name", hello.sni().to_string());
    if let Some(ech) = hello.ech() {
        line(
            "",
            match ech {
                Ech::Outer => "the public name of an encrypted hello (or GREASE)".into(),
                Ech::Inner => "of a hello that was encrypted".into(),
            },
        );
    }
    line("protocols", or(hello.alpn().into_iter().map(|name| name.escape_ascii().to_string()).collect(), "none"));
    line("versions", or(hello.versions().map(|version| version.to_string()).collect(), "none"));
    let schemes = hello.signature_schemes();
    let schemes = schemes.map_or("not said".into(), |list| or(list.map(|scheme| scheme.to_string()).collect(), "none"));
    line("signature schemes", schemes);
    let hex = |codes: Vec<u16>| {
        or(codes.into_iter().filter(|code| !is_grease(*code)).map(|code| format!("{code:04x}")).collect(), "none")
    };
    line("cipher suites", hex(hello.cipher_suites().collect()));
    line("groups", hex(hello.supported_groups().collect()));
    line("extensions", hex(hello.extensions().map(|(kind, _)| kind).collect()));
    line("JA3", format!("{} of {}", fingerprint::ja3(&hello), fingerprint::ja3_text(&hello)));
    line("JA4", fingerprint::ja4(&hello, Transport::Tcp));
    Ok(true)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hexadecimal digits with white space between; `None` for anything else.
fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let pairs = digits.chunks(2).map(|pair| match *pair {
        [high, low] => Some(value(high)? << 4 | value(low)?),
        _ => None,
    });
    pairs.collect()
}
