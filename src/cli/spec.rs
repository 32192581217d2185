//! An option's specification: everything that the parser, `--help`, the manual page, the completions and the guide need
//! to know of it.

use getopts::Options;

/// One option, built by [`option`] and the methods below.
#[derive(Clone, Copy, Debug)]
pub(super) struct OptionSpec {
    /// The name without the dashes.
    pub name: &'static str,
    /// The one-letter form, if there is one.
    pub short: Option<char>,
    /// The argument; `None` for a flag.
    pub argument: Option<Argument>,
    /// Whether it may be given several times.
    pub repeats: bool,
    /// The default value, written as an argument.
    pub default: Option<&'static str>,
    /// A phrase for `--help` and the completions; the text after a semicolon is for `--help` only.
    pub summary: &'static str,
    /// Whether it has its own line in `--help`; if not, the line of the previous option names it.
    pub has_line: bool,
    /// Sentences for the manual page and the guide, with code in backticks.
    pub details: &'static str,
}

/// The argument of an option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Argument {
    /// Its name in `--help`.
    pub placeholder: &'static str,
    pub values: Values,
}

/// What a shell offers as the value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Values {
    /// Any value; the shell offers none.
    Any,
    File,
    Folder,
    /// One of these values only.
    OneOf(&'static [&'static str]),
    /// These values, or any other.
    Suggested(&'static [&'static str]),
}

/// Options of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub title: &'static str,
    /// A remark on the whole group, for `--help`.
    pub remark: &'static str,
    pub options: &'static [OptionSpec],
}

/// Returns a flag, which the methods may turn into another kind of option.
pub(super) const fn option(name: &'static str, summary: &'static str, details: &'static str) -> OptionSpec {
    OptionSpec { name, short: None, argument: None, repeats: false, default: None, summary, has_line: true, details }
}

impl OptionSpec {
    pub(super) const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    pub(super) const fn takes(self, placeholder: &'static str) -> Self {
        self.takes_of(placeholder, Values::Any)
    }

    pub(super) const fn takes_of(mut self, placeholder: &'static str, values: Values) -> Self {
        self.argument = Some(Argument { placeholder, values });
        self
    }

    pub(super) const fn repeats(mut self) -> Self {
        self.repeats = true;
        self
    }

    pub(super) const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    /// Leaves it out of `--help`, where the line of the previous option names it.
    pub(super) const fn named_above(mut self) -> Self {
        self.has_line = false;
        self
    }

    /// Returns the summary without the part that is for `--help` only.
    pub(super) fn phrase(&self) -> &'static str {
        self.summary.split("; ").next().unwrap_or_default()
    }

    /// Registers the option with the parser.
    pub(super) fn add_to(&self, options: &mut Options) {
        let short = self.short.map_or_else(String::new, String::from);
        let placeholder = self.argument.map_or("", |argument| argument.placeholder);
        match (self.argument, self.repeats) {
            (Some(_), true) => options.optmulti(&short, self.name, "", placeholder),
            (Some(_), false) => options.optopt(&short, self.name, "", placeholder),
            (None, true) => options.optflagmulti(&short, self.name, ""),
            (None, false) => options.optflag(&short, self.name, ""),
        };
    }
}

impl Argument {
    /// Returns the placeholder, or the accepted values if there are no others: `on|off`.
    pub(super) fn notation(&self) -> String {
        match self.values {
            Values::OneOf(values) => values.join("|"),
            _ => self.placeholder.to_owned(),
        }
    }
}
