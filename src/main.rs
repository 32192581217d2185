//! The program `gortmp`: options in, a server out.

fn main() {}
