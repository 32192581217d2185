//! An option's specification: everything that the parser, `--help`, the manual page, the completions and the guide need
//! to know of it.

use getopts::Options;

/// One option, built by [`option`] and the methods below.
#[derive(Clone, Copy, Debug)]
pub(super) struct OptionSpec {
    /// Without the dashes.
    pub name: &'static str,
    /// The one-letter form, if there is one.
    pub short: Option<char>,
    /// None for a flag.
    pub argument: Option<Argument>,
    /// Whether it may be given several times.
    pub repeats: bool,
    /// The default, in the form in which it could be given as the value.
    pub default: Option<&'static str>,
    /// A phrase for `--help` and the completions; behind a semicolon, what is for `--help` only.
    pub summary: &'static str,
    /// Whether it has a line of its own in `--help`; if not, the line of the option before it names it.
    pub has_line: bool,
    /// Sentences for the manual page and the guide. Code stands between backticks.
    pub details: &'static str,
}

/// The value that an option takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Argument {
    /// Its name in `--help`.
    pub placeholder: &'static str,
    pub values: Values,
}

/// What a shell offers as the value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Values {
    /// Nothing.
    Any,
    File,
    Folder,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// One of these, or something else.
    Such(&'static [&'static str]),
}

/// Options of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub title: &'static str,
    /// A remark for all of them, for `--help`.
    pub remark: &'static str,
    pub options: &'static [OptionSpec],
}

/// A flag, unless the methods change it.
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

    /// The line of the option before it in `--help` names it.
    pub(super) const fn named_above(mut self) -> Self {
        self.has_line = false;
        self
    }

    /// The summary without the part that is for `--help` only.
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
    /// With all values, if no other is taken: `on|off`.
    pub(super) fn full(&self) -> String {
        match self.values {
            Values::OneOf(values) => values.join("|"),
            _ => self.placeholder.to_owned(),
        }
    }
}
