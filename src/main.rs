//! The program `gortmp`: runs a server with the settings of the command line.

#![forbid(unsafe_code)]

mod allocator;

fn main() -> std::process::ExitCode {
    allocator::apply_settings(std::env::args_os());
    gortmp::run_program(std::env::args_os().skip(1))
}
