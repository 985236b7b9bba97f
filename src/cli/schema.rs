//! `evenkeel schema`: what a configuration may contain, for editors and for people.

use std::io::{self, Write};

use crate::config;

/// In which form the schema is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON Schema, draft 2020-12.
    Json,
    /// The reference in Markdown, as in `docs/configuration.md`.
    Markdown,
}

/// Prints the schema to `out`; 0, or 2 where nothing can be written.
pub fn schema(form: Form, out: &mut dyn Write) -> u8 {
    match write(form, out) {
        Ok(()) => 0,
        Err(_) => 2,
    }
}

fn write(form: Form, out: &mut dyn Write) -> io::Result<()> {
    match form {
        Form::Json => {
            serde_json::to_writer_pretty(&mut *out, &config::schema::schema())?;
            writeln!(out)?;
        }
        Form::Markdown => out.write_all(config::docs::markdown().as_bytes())?,
    }
    out.flush()
}
