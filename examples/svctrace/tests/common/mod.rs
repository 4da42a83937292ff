//! Runs the program as people do.
#![allow(dead_code)] // each test binary uses a part

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// The manifests beside this crate.
pub(crate) const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests");

/// Runs `svctrace` with these arguments and this standard input.
pub(crate) fn run(args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_svctrace"))
        .args(args)
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that ends without reading is not at fault.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin.as_bytes());
    child.wait_with_output().expect("the program ends")
}

/// Standard output of a run on the shop that must succeed, without the directory of the manifests.
pub(crate) fn on_shop(args: &[&str]) -> String {
    on("shop", args)
}

/// The same on another directory of the manifests.
pub(crate) fn on(directory: &str, args: &[&str]) -> String {
    let directory = format!("{MANIFESTS}/{directory}");
    let args: Vec<&str> = ["-f", directory.as_str()].into_iter().chain(args.iter().copied()).collect();
    let output = run(&args, "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text(&output.stdout).replace(MANIFESTS, "manifests")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}
