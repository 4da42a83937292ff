//! `svctrace`: see `svctrace --help`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    svctrace::cli::main()
}
