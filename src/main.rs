//! The program `gortmp`: options in, a server out.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    gortmp::cli::run(std::env::args().skip(1))
}
