//! The subcommands: what each prints and how it exits.
