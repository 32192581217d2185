//! The program `gortmp`: options in, a server out.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    gortmp::cli::run(std::env::args_os().skip(1))
}
