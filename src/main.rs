//! The command line: argv to a subcommand, and its exit code.

fn main() {}
