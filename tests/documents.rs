//! The documents hold what they say: commands run, configurations load, links lead somewhere,
//! and every name in them exists.
//!
//! # Conventions
//!
//! - A `yaml` block whose first line is `# NAME.yaml` is a file of that name for the commands
//!   that follow in the same document.
//! - The `sh` blocks of a document run in order, in one shell, in a directory of their own that
//!   has the repository's `conf/`. A command in the background is waited for until it listens.
//! - A block with lines that start with `$ ` shows a session: what follows such a line is exactly
//!   what the command prints, where `...` stands for anything in a line and, alone, for any lines.
//!   A command ends with 0 unless `$ echo $?` comes next.
//! - Addresses on the loopback interface are replaced by free ones, and back in the output.
//! - What is not run stands in `shell::NOT_RUN`, each with its reason. Of commands for Docker, every name is looked up.

#[path = "documents/blocks.rs"]
mod blocks;
#[path = "documents/compose.rs"]
mod compose;
#[path = "documents/markdown.rs"]
mod markdown;
#[path = "documents/names.rs"]
mod names;
#[path = "it/support/ports.rs"]
mod ports;
#[path = "documents/sessions.rs"]
mod sessions;
#[path = "documents/shell.rs"]
mod shell;
