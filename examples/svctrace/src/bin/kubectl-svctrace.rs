//! The same program under the name by which `kubectl svctrace` finds it.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    svctrace::cli::main()
}
