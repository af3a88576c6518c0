//! Classes of columns: how one is written, and what holds for a column that is labelled with one.
//!
//! A class covers itself and every class that goes on from it with a dot: `pii` covers `pii.contact`, not `piit`.

use serde_json::Value;

use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::shown;

/// Longest class in bytes.
const MAX_CLASS: usize = 63;

/// Checks a class: words of `a-z 0-9 _`, each beginning with a letter, with single dots between them; 1 to 63 bytes.
///
/// # Errors
/// `22023` with the rule in the hint.
pub fn check(class: &str) -> Result<()> {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let why = match class {
        "" => "is empty",
        long if long.len() > MAX_CLASS => "is longer than 63 bytes",
        class if class.split('.').all(word) => return Ok(()),
        _ => "is no class of columns",
    };
    Err(Error::new(Kind::InvalidArgument, format!("{} {why}", shown(class))).hint(
        "write lower-case words of a-z, 0-9 and _, each beginning with a letter, with dots between them, such as pii.contact",
    ))
}

/// Whether `class` covers a column that is labelled `label`.
pub fn covers(class: &str, label: &str) -> bool {
    label.strip_prefix(class).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A class in force, for everybody or for one sub-processor.
#[derive(Clone, Debug)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// It was set for this sub-processor, not for all.
    pub own: bool,
    /// The default mask, as a rule of a scope has it.
    pub mask: Option<Value>,
    /// No scope may show its columns clear.
    pub forbid_clear: bool,
}

/// The classes in force, as far as one sub-processor meets them.
#[derive(Clone, Debug, Default)]
pub struct Classes(pub Vec<Class>);

impl Classes {
    fn covering<'a: 'b, 'b>(&'a self, label: &'b str) -> impl Iterator<Item = &'a Class> + 'b {
        self.0.iter().filter(move |class| covers(&class.name, label))
    }

    /// Whether anything was set for the label's class, or one that covers it.
    pub fn know(&self, label: &str) -> bool {
        self.covering(label).next().is_some()
    }

    /// The default mask of a column with that label: of the longest class that has one, and in that the sub-processor's own.
    pub fn default_of(&self, label: &str) -> Option<&Value> {
        let with_mask = self.covering(label).filter(|class| class.mask.is_some());
        with_mask.max_by_key(|class| (class.name.len(), class.own)).and_then(|class| class.mask.as_ref())
    }

    /// The class that forbids clear for a column with that label. Every class that covers it may: a sub-class, or what is set
    /// for one sub-processor, can forbid more and never allow what stands above it forbids.
    pub fn forbids(&self, label: &str) -> Option<&str> {
        let forbidding = self.covering(label).filter(|class| class.forbid_clear);
        forbidding.max_by_key(|class| class.name.len()).map(|class| class.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_class_is_dotted_lower_case_words() {
        let longest = "a".repeat(MAX_CLASS);
        for good in ["pii", "pii.contact", "a.b.c.d", "art9.health_data", "x_", longest.as_str()] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let too_long = "a".repeat(MAX_CLASS + 1);
        for bad in [
            "",
            ".",
            "pii.",
            ".pii",
            "pii..contact",
            "PII",
            "pii.Contact",
            "pii contact",
            " pii",
            "pii ",
            "pii\n",
            "9a",
            "a.9",
            "_a",
            "a-b",
            "a'b",
            "a\"b",
            "pii.contäct",
            "pіi",
            "a\u{200b}b",
            "a\0b",
            "a,b",
            "a:b",
            "a/b",
            "a%b",
            "\u{202e}iip",
            too_long.as_str(),
        ] {
            let error = check(bad).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidArgument, "{bad:?}");
            assert!(error.hint.unwrap().contains("pii.contact"));
            assert!(error.message.len() < 400 && !error.message.contains('\n') && !error.message.contains('\0'));
        }
    }

    #[test]
    fn a_class_covers_what_goes_on_with_a_dot() {
        assert!(covers("pii", "pii") && covers("pii", "pii.contact") && covers("pii.contact", "pii.contact.email"));
        assert!(
            !covers("pii", "piit") && !covers("pii", "pi") && !covers("pii.contact", "pii") && !covers("pii", "x.pii")
        );
    }

    fn class(name: &str, own: bool, mask: Option<&str>, forbid_clear: bool) -> Class {
        Class { name: name.into(), own, mask: mask.map(|m| json!({ "mask": m })), forbid_clear }
    }

    #[test]
    fn the_longest_class_with_a_mask_gives_the_default() {
        let classes = Classes(vec![
            class("pii.contact", false, Some("email"), false),
            class("pii", true, Some("nullify"), false),
            class("pii", false, Some("redact"), false),
            class("pii.health", false, None, true),
            class("pii.contact.phone", true, Some("phone"), false),
        ]);
        let of = |label: &str| classes.default_of(label).map(|m| m["mask"].as_str().unwrap().to_string());
        assert_eq!(of("pii").as_deref(), Some("nullify"), "the sub-processor's own before the general one");
        assert_eq!(
            of("pii.contact").as_deref(),
            Some("email"),
            "the longer class before the sub-processor's own shorter one"
        );
        assert_eq!(of("pii.contact.email").as_deref(), Some("email"));
        assert_eq!(of("pii.contact.phone").as_deref(), Some("phone"));
        assert_eq!(of("pii.health").as_deref(), Some("nullify"), "a class without a mask leaves it to the one above");
        assert_eq!(of("piit"), None);
        assert!(classes.know("pii.x") && !classes.know("piit"));
    }

    #[test]
    fn nothing_allows_what_a_class_above_forbids() {
        let classes = Classes(vec![
            class("pii", false, None, true),
            class("pii.contact", false, None, false),
            class("pii.contact", true, None, false),
            class("money", true, None, true),
            class("money", false, None, false),
        ]);
        assert_eq!(classes.forbids("pii.contact.email"), Some("pii"));
        assert_eq!(classes.forbids("money.salary"), Some("money"));
        assert_eq!(classes.forbids("piit"), None);
        assert_eq!(Classes::default().forbids("pii"), None);
    }
}
