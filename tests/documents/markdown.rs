//! As much of Markdown as the documents use.

use std::path::{Path, PathBuf};

/// One document.
pub(crate) struct Document {
    /// Its path from the root of the repository.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) blocks: Vec<Block>,
    /// The text outside of blocks, line by line with its number.
    pub(crate) prose: Vec<(usize, String)>,
}

/// A fenced block.
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
    /// Line of its first line in the document.
    pub(crate) line: usize,
}

impl Document {
    /// The document at `path`, from the root of the repository.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(root().join(path))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut blocks: Vec<Block> = Vec::new();
        let mut prose = Vec::new();
        let mut inside = false;
        for (number, line) in (1..).zip(text.lines()) {
            match (line.trim_start().strip_prefix("```"), inside) {
                (Some(language), false) => {
                    inside = true;
                    blocks.push(Block {
                        language: language.to_owned(),
                        text: String::new(),
                        line: number + 1,
                    });
                }
                (Some(_), true) => inside = false,
                (None, true) => {
                    let block = blocks.last_mut().expect("a fence opened a block");
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, false) => prose.push((number, line.to_owned())),
            }
        }
        assert!(!inside, "{}: a block has no end", path.display());
        Self {
            path: path.to_owned(),
            text,
            blocks,
            prose,
        }
    }

    /// Where a line of this document is, for messages.
    pub(crate) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    pub(crate) fn blocks_of<'d>(&'d self, language: &'d str) -> impl Iterator<Item = &'d Block> {
        self.blocks
            .iter()
            .filter(move |block| block.language == language)
    }

    /// Code in the text, with its line. Code that is broken over two lines comes whole.
    pub(crate) fn inline_code(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut open: Option<(usize, String)> = None;
        let mut last = 0;
        for (number, line) in &self.prose {
            // A paragraph ends at an empty line or a block, and with it an open backtick.
            if line.is_empty() || *number != last + 1 {
                open = None;
            }
            last = *number;
            for (index, part) in line.split('`').enumerate() {
                if index > 0 {
                    match open.take() {
                        Some(done) => found.push(done),
                        None => open = Some((*number, String::new())),
                    }
                }
                if let Some((_, code)) = &mut open {
                    if index == 0 && !code.is_empty() {
                        code.push(' ');
                    }
                    code.push_str(part);
                }
            }
        }
        found
    }

    /// Targets of links and images, with their line.
    pub(crate) fn links(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (number, line) in &self.prose {
            for part in line.split("](").skip(1) {
                let end = part.find(')').unwrap_or(part.len());
                found.push((*number, part[..end].to_owned()));
            }
        }
        found
    }

    /// The anchors of its headings, as GitHub makes them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let headings = self.prose.iter().filter_map(|(_, line)| {
            let text = line.trim_start_matches('#');
            (text.len() < line.len()).then(|| text.trim())
        });
        headings.map(slug).collect()
    }
}

fn slug(heading: &str) -> String {
    heading
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            _ if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document for readers of the repository.
pub(crate) fn all() -> Vec<Document> {
    let mut paths = vec![
        PathBuf::from("README.md"),
        PathBuf::from("CHANGELOG.md"),
        PathBuf::from("CONTRIBUTING.md"),
    ];
    let docs = std::fs::read_dir(root().join("docs")).expect("docs/ is there");
    for entry in docs {
        let name = PathBuf::from(entry.expect("docs/ can be listed").file_name());
        if name.extension().is_some_and(|extension| extension == "md") {
            paths.push(Path::new("docs").join(name));
        }
    }
    paths.sort();
    paths.iter().map(|path| Document::read(path)).collect()
}

#[test]
fn blocks_code_links_and_anchors_are_found() {
    let document = Document::read(Path::new("README.md"));
    assert!(document.blocks_of("sh").any(|b| b.text.contains("make ")));
    assert!(
        document
            .inline_code()
            .iter()
            .any(|(_, c)| c == "evenkeel schema")
    );
    assert!(
        document
            .links()
            .iter()
            .any(|(_, l)| l == "CHANGELOG.md" || l == "CONTRIBUTING.md")
    );
    assert!(document.anchors().contains(&"the-command-line".to_owned()));
}
