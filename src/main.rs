//! The program `gortmp`: options in, a server out.

#![forbid(unsafe_code)]

mod allocator;

fn main() -> std::process::ExitCode {
    allocator::settle(std::env::args_os());
    gortmp::run_program(std::env::args_os().skip(1))
}
