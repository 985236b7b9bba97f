//! The production sources, parsed: modules, tokens, paths, functions.
//!
//! The module tree is walked from `lib.rs` and `main.rs` by its `mod` items, as
//! the compiler walks it, so a file counts as test code exactly when a
//! `#[cfg(test)]` stands over it. Paths are read from the token stream and not
//! from the syntax tree alone, so what stands in a macro call counts too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::OnceLock;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::Visit;

use crate::items::{Function, Import, Items, is_cfg_test};

/// Every file reached from the roots, and those that are not.
#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) files: Vec<File>,
    pub(crate) unreached: Vec<String>,
}

/// One parsed source file.
pub(crate) struct File {
    /// Path below `src/`, with forward slashes.
    pub(crate) path: String,
    /// The module it holds: `["upstream", "balance"]`; empty for `lib.rs` and `main.rs`.
    pub(crate) module: Vec<String>,
    /// Whether the whole file is test code.
    pub(crate) is_test: bool,
    pub(crate) text: String,
    /// Names of child modules, inline ones included.
    pub(crate) child_names: BTreeSet<String>,
    /// Child modules in files of their own, and whether they are test code.
    children: Vec<(String, bool)>,
    /// Lines of struct fields and statics whose type names an `ArcSwap`.
    pub(crate) arc_swaps: Vec<usize>,
    /// Tokens outside test code and `use` items.
    pub(crate) tokens: Vec<Token>,
    /// Production `use` items, one entry for each imported name.
    pub(crate) uses: Vec<Import>,
    /// Production functions.
    pub(crate) functions: Vec<Function>,
    /// Lines of test items in an otherwise productive file.
    pub(crate) test_lines: Vec<RangeInclusive<usize>>,
}

/// A token and where it stands; `::` and `->` are one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A path as written, and where.
#[derive(Clone, Debug)]
pub(crate) struct Mention {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

impl Sources {
    /// The sources of this package, read once.
    pub(crate) fn of_package() -> &'static Self {
        static PACKAGE: OnceLock<Sources> = OnceLock::new();
        PACKAGE.get_or_init(Self::read)
    }

    fn read() -> Self {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut texts = BTreeMap::new();
        read_tree(&src, &src, &mut texts);
        Self::parse(&texts)
    }

    /// Sources from literals, for the checks on the checkers: `(path below src, text)`.
    pub(crate) fn of_snippets(snippets: &[(&str, &str)]) -> Self {
        let mut texts: BTreeMap<String, String> = snippets
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        if !texts.contains_key("lib.rs") {
            let tops: BTreeSet<&str> = snippets
                .iter()
                .map(|(path, _)| path.split('/').next().expect("split yields one item"))
                .map(|top| top.trim_end_matches(".rs"))
                .filter(|top| *top != "main")
                .collect();
            let mods = tops.into_iter().collect::<Vec<_>>().join("; pub mod ");
            texts.insert("lib.rs".to_owned(), format!("//! Root.\npub mod {mods};"));
        }
        Self::parse(&texts)
    }

    fn parse(texts: &BTreeMap<String, String>) -> Self {
        let mut sources = Self::default();
        for root in ["lib.rs", "main.rs"] {
            if texts.contains_key(root) {
                sources.walk(texts, root, &[], false);
            }
        }
        sources.unreached = texts
            .keys()
            .filter(|path| sources.files.iter().all(|file| file.path != **path))
            .cloned()
            .collect();
        sources
    }

    fn walk(
        &mut self,
        texts: &BTreeMap<String, String>,
        path: &str,
        module: &[String],
        is_test: bool,
    ) {
        let file = File::parse(path, module.to_vec(), is_test, &texts[path]);
        let children = file.children.clone();
        self.files.push(file);
        for (name, child_is_test) in children {
            let mut child = module.to_vec();
            child.push(name);
            let base = child.join("/");
            let found = [format!("{base}.rs"), format!("{base}/mod.rs")]
                .into_iter()
                .find(|candidate| texts.contains_key(candidate))
                .unwrap_or_else(|| panic!("src/{path}: no file for `mod {}`", child.join("::")));
            self.walk(texts, &found, &child, is_test || child_is_test);
        }
    }

    /// Files that hold production code.
    pub(crate) fn production(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| !file.is_test)
    }

    /// Whether the module is in the tree.
    pub(crate) fn has(&self, module: &str) -> bool {
        self.files
            .iter()
            .any(|file| file.module.iter().eq([module]))
    }
}

impl File {
    fn parse(path: &str, module: Vec<String>, is_test: bool, text: &str) -> Self {
        let syntax =
            syn::parse_file(text).unwrap_or_else(|error| panic!("src/{path} must parse: {error}"));
        let all_tokens = tokens(text);
        let mut items = Items::default();
        items.visit_file(&syntax);
        let skipped: Vec<_> = items.tests.iter().chain(&items.use_lines).collect();
        let child_names = child_names(&all_tokens);
        let productive = all_tokens
            .into_iter()
            .filter(|token| !skipped.iter().any(|lines| lines.contains(&token.line)))
            .collect();
        Self {
            path: path.to_owned(),
            module,
            is_test,
            text: text.to_owned(),
            child_names,
            children: child_files(&syntax),
            arc_swaps: items.arc_swaps,
            tokens: productive,
            uses: items.uses,
            functions: items.functions,
            test_lines: items.tests,
        }
    }

    /// The top-level module, or the root's own name.
    pub(crate) fn top(&self) -> &str {
        self.module
            .first()
            .map_or_else(|| self.path.trim_end_matches(".rs"), String::as_str)
    }

    /// Lines of production code, comments and blank lines included.
    pub(crate) fn production_lines(&self) -> usize {
        let tests: usize = self
            .test_lines
            .iter()
            .map(|lines| lines.clone().count())
            .sum();
        self.text.lines().count() - tests
    }

    /// Every path of production code: from `use` items, expressions, types and macro calls.
    pub(crate) fn mentions(&self) -> Vec<Mention> {
        let imported = self.uses.iter().map(|import| Mention {
            path: import.path.clone(),
            line: import.line,
        });
        imported.chain(self.inline_paths()).collect()
    }

    /// Paths of production code outside `use` items; single names included.
    pub(crate) fn inline_paths(&self) -> Vec<Mention> {
        let mut paths: Vec<Mention> = Vec::new();
        let mut before = ["", "", ""];
        for token in &self.tokens {
            let text = token.text.as_str();
            if is_name(text) {
                let continues = before[2] == "::" && is_name(before[1]);
                match paths.last_mut() {
                    Some(path) if continues => path.path.push(text.to_owned()),
                    // `pub(in crate::x)` says who may import, and imports nothing.
                    _ if before == ["pub", "(", "in"] => {}
                    _ => paths.push(Mention {
                        path: vec![text.to_owned()],
                        line: token.line,
                    }),
                }
            }
            before = [before[1], before[2], text];
        }
        paths
    }

    /// Lines at which these tokens stand in a row.
    pub(crate) fn find(&self, pattern: &[&str]) -> Vec<usize> {
        find(&self.tokens, pattern)
    }
}

/// Lines at which the tokens of `pattern` stand in a row.
pub(crate) fn find(tokens: &[Token], pattern: &[&str]) -> Vec<usize> {
    tokens
        .windows(pattern.len())
        .filter(|window| window.iter().map(|token| &token.text).eq(pattern))
        .map(|window| window[0].line)
        .collect()
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn read_tree(root: &Path, folder: &Path, texts: &mut BTreeMap<String, String>) {
    let entries = fs::read_dir(folder).expect("src is readable");
    for entry in entries {
        let path = entry.expect("src is readable").path();
        if path.is_dir() {
            read_tree(root, &path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(root).expect("found below the root");
            let name = below
                .to_str()
                .expect("source names are UTF-8")
                .replace('\\', "/");
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            texts.insert(name, text);
        }
    }
}

fn flatten(stream: TokenStream, into: &mut Vec<Token>) {
    let mut joint: Option<char> = None;
    for tree in stream {
        let start = tree.span().start().line;
        let end = tree.span().end().line;
        let mut push = |text: String, line| into.push(Token { text, line });
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open.to_owned(), start);
                flatten(group.stream(), into);
                into.push(Token {
                    text: close.to_owned(),
                    line: end,
                });
                joint = None;
            }
            TokenTree::Punct(punct) => {
                let this = punct.as_char();
                if matches!((joint, this), (Some(':'), ':') | (Some('-'), '>')) {
                    let last = into.last_mut().expect("a joint token was pushed");
                    last.text.push(this);
                    joint = None;
                } else {
                    push(this.to_string(), start);
                    let spaced = punct.spacing() == proc_macro2::Spacing::Alone;
                    joint = (!spaced).then_some(this);
                }
            }
            TokenTree::Ident(ident) => {
                push(ident.to_string(), start);
                joint = None;
            }
            TokenTree::Literal(literal) => {
                push(literal.to_string(), start);
                joint = None;
            }
        }
    }
}

fn child_names(tokens: &[Token]) -> BTreeSet<String> {
    let pairs = tokens.windows(2).filter(|pair| pair[0].text == "mod");
    pairs.map(|pair| pair[1].text.clone()).collect()
}

fn child_files(syntax: &syn::File) -> Vec<(String, bool)> {
    let items = syntax.items.iter();
    let files = items.filter_map(|item| match item {
        syn::Item::Mod(item) if item.content.is_none() => {
            Some((item.ident.to_string(), is_cfg_test(&item.attrs)))
        }
        _ => None,
    });
    files.collect()
}

/// The tokens of a source text.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let stream: TokenStream = text
        .parse()
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    tokens
}
