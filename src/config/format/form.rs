//! What a form of text is.

/// A form of text.
pub(crate) trait Format {
    /// What the text stands for.
    type Value: Clone + std::fmt::Debug;
    /// Its `format` in the schema.
    const NAME: &'static str;
    /// What a message says is expected.
    const EXPECTED: &'static str;
    /// A pattern that every valid text matches, where one says more than `NAME`.
    const PATTERN: Option<&'static str> = None;
    /// Whether messages must not show the value.
    const SECRET: bool = false;

    /// The value, or what more there is to say than that `EXPECTED` was expected.
    fn parse(text: &str) -> Result<Self::Value, String>;

    /// The value as a number, where a range can be asked of it.
    fn magnitude(_value: &Self::Value) -> Option<f64> {
        None
    }
}

/// What the walk over the document needs to know of a form.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) expected: &'static str,
    /// The value's magnitude, or why the text is not of this form.
    pub(crate) check: fn(&str) -> Result<Option<f64>, String>,
}

pub(super) const fn rule<F: Format>() -> Rule {
    Rule {
        name: F::NAME,
        expected: F::EXPECTED,
        check: |text| F::parse(text).map(|value| F::magnitude(&value)),
    }
}

/// A refusal that needs no more words than what was expected.
pub(super) fn nothing_more<T>() -> Result<T, String> {
    Err(String::new())
}
