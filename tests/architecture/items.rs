//! What one pass over a file's syntax finds: imports, functions, and what is a test.

use std::ops::RangeInclusive;

use syn::spanned::Spanned;
use syn::visit::Visit;

/// One name of a `use` item.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    /// The path as written; the last segment is `*` for a glob.
    pub(crate) path: Vec<String>,
    /// The name it has in this file.
    pub(crate) name: String,
    /// Whether it is offered to other modules: `pub use`, `pub(crate) use`.
    pub(crate) reexport: bool,
    pub(crate) line: usize,
    /// Inline modules around it, inside the file.
    pub(crate) inside: Vec<String>,
}

/// A function with a body.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The trait it implements a method of.
    pub(crate) of_trait: Option<String>,
    pub(crate) line: usize,
    /// Lines from the signature to the closing brace.
    pub(crate) lines: usize,
    /// Lines between the braces.
    pub(crate) body_lines: usize,
}

/// Whether a type names an `ArcSwap`, inside another type too.
fn names_arc_swap(ty: &syn::Type) -> bool {
    struct Named(bool);
    impl<'ast> Visit<'ast> for Named {
        fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
            self.0 |= segment.ident.to_string().starts_with("ArcSwap");
            syn::visit::visit_path_segment(self, segment);
        }
    }
    let mut named = Named(false);
    named.visit_type(ty);
    named.0
}

/// What one pass over a file collects.
#[derive(Default)]
pub(crate) struct Items {
    pub(crate) tests: Vec<RangeInclusive<usize>>,
    pub(crate) use_lines: Vec<RangeInclusive<usize>>,
    pub(crate) uses: Vec<Import>,
    pub(crate) functions: Vec<Function>,
    pub(crate) arc_swaps: Vec<usize>,
    inside: Vec<String>,
    of_trait: Option<String>,
}

impl Items {
    fn lines(item: &impl Spanned) -> RangeInclusive<usize> {
        let span = item.span();
        span.start().line..=span.end().line
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let start = signature.span().start().line;
        let open = block.brace_token.span.open().start().line;
        let close = block.brace_token.span.close().end().line;
        self.functions.push(Function {
            name: signature.ident.to_string(),
            of_trait: self.of_trait.clone(),
            line: start,
            lines: close - start + 1,
            body_lines: (close - open).saturating_sub(1),
        });
    }
}

impl<'ast> Visit<'ast> for Items {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if is_cfg_test(item_attributes(item)) {
            self.tests.push(Self::lines(item));
        } else {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.inside.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.inside.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_lines.push(Self::lines(item));
        let reexport = !matches!(item.vis, syn::Visibility::Inherited);
        let mut found = Vec::new();
        flatten_use(&item.tree, &mut Vec::new(), &mut found);
        for (path, name, line) in found {
            let inside = self.inside.clone();
            self.uses.push(Import {
                path,
                name,
                reexport,
                line,
                inside,
            });
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of_trait = item
            .trait_
            .as_ref()
            .and_then(|(_, path, _)| path.segments.last());
        self.of_trait = of_trait.map(|segment| segment.ident.to_string());
        syn::visit::visit_item_impl(self, item);
        self.of_trait = None;
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if names_arc_swap(&field.ty) {
            self.arc_swaps.push(field.ty.span().start().line);
        }
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        if names_arc_swap(&item.ty) {
            self.arc_swaps.push(item.ty.span().start().line);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if is_cfg_test(&item.attrs) {
            self.tests.push(Self::lines(item));
            return;
        }
        self.function(&item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }
}

/// Whether an item is compiled for tests only.
pub(crate) fn is_cfg_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute
                    .parse_args::<syn::Path>()
                    .is_ok_and(|path| path.is_ident("test")))
    })
}

fn item_attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn flatten_use(
    tree: &syn::UseTree,
    prefix: &mut Vec<String>,
    into: &mut Vec<(Vec<String>, String, usize)>,
) {
    let leaf = |name: String| prefix.iter().cloned().chain([name]).collect::<Vec<_>>();
    match tree {
        syn::UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            flatten_use(&path.tree, prefix, into);
            prefix.pop();
        }
        syn::UseTree::Name(name) if name.ident == "self" => {
            let own = prefix.last().cloned().unwrap_or_default();
            into.push((prefix.clone(), own, name.span().start().line));
        }
        syn::UseTree::Name(name) => {
            let text = name.ident.to_string();
            into.push((leaf(text.clone()), text, name.span().start().line));
        }
        syn::UseTree::Rename(rename) => {
            let path = leaf(rename.ident.to_string());
            into.push((path, rename.rename.to_string(), rename.span().start().line));
        }
        syn::UseTree::Glob(glob) => {
            into.push((
                leaf("*".to_owned()),
                "*".to_owned(),
                glob.span().start().line,
            ));
        }
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                flatten_use(tree, prefix, into);
            }
        }
    }
}
