//! The subcommands: what each takes, prints, and exits with.

pub mod run;
