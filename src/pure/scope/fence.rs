//! The fence of a scope, and whether its plans may be looked at.
//!
//! A fence is `OFFSET 0` in the inner view: PostgreSQL flattens no such subquery and moves no condition into it, so what
//! the sub-processor writes runs on the rows that the row filter has let through, leakproof or not. EXPLAIN is allowed
//! only above a fence.

use crate::pure::error::{Error, Result};

/// What a scope says about both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// Conditions of the sub-processor stay above the row filter.
    pub fence: bool,
    /// It may EXPLAIN what it reads.
    pub allow_explain: bool,
}

impl Fence {
    /// As the arguments `fence` and `allow_explain` say.
    ///
    /// # Errors
    /// `AL010` for a scope that could be explained without a fence.
    pub fn new(fence: bool, allow_explain: bool) -> Result<Fence> {
        if allow_explain && !fence {
            return Err(Error::scope("allow_explain", "EXPLAIN is allowed only where the scope has a fence").hint(
                "add fence => true: without it a plan shows which conditions an index serves below the row filter",
            ));
        }
        Ok(Fence { fence, allow_explain })
    }

    /// What `preview_scope` says, by step: what becomes visible or weaker since `before`, and what a fence means.
    /// `subject`: the scope says whom its rows are about.
    pub fn lines(self, before: Fence, subject: bool) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        let mut add = |step, text: &str| lines.push((step, text.to_string()));
        if self.allow_explain && !before.allow_explain {
            add(
                "newly exposed",
                "EXPLAIN: the plans of statements that read only scopes with allow_explain, with the row filter's text",
            );
        }
        if before.allow_explain && !self.allow_explain {
            add("no longer exposed", "EXPLAIN");
        }
        if before.fence && !self.fence {
            add(
                "warning",
                "fence: it ends; conditions that PostgreSQL holds to be leakproof will run below the row filter, where the time that they take can tell of hidden rows",
            );
        }
        if self.fence {
            add("note", "fence: the sub-processor's conditions run above the row filter, so no index serves them: each read goes through all rows of the scope");
            if subject {
                add("note", "fence: each read scans the persons of all rows of the scope: who_saw() names them, those whom a condition left out as possible");
            }
        }
        if self.allow_explain {
            add("note", "allow_explain: statements that read only such scopes are planned without the sizes and statistics of tables, and without indexes other than btree, hash, gist and spgist");
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::error::Kind;

    const BOTH: Fence = Fence { fence: true, allow_explain: true };
    const FENCED: Fence = Fence { fence: true, allow_explain: false };
    const NONE: Fence = Fence { fence: false, allow_explain: false };

    #[test]
    fn explain_wants_a_fence() {
        let error = Fence::new(false, true).unwrap_err();
        assert_eq!(error.kind, Kind::ScopeRefused);
        assert!(error.hint.unwrap().contains("fence => true"));
        assert_eq!(Fence::new(true, true), Ok(BOTH));
        assert_eq!(Fence::new(true, false), Ok(FENCED));
        assert_eq!(Fence::new(false, false), Ok(NONE));
        assert_eq!(Fence::default(), NONE);
    }

    #[test]
    fn what_becomes_visible_or_weaker_is_said() {
        let steps = |now: Fence, before: Fence, subject| -> Vec<&str> {
            now.lines(before, subject).into_iter().map(|(step, _)| step).collect()
        };
        assert!(steps(NONE, NONE, true).is_empty());
        assert_eq!(steps(FENCED, NONE, false), ["note"]);
        assert_eq!(steps(FENCED, FENCED, true), ["note", "note"]);
        assert_eq!(steps(BOTH, NONE, false), ["newly exposed", "note", "note"]);
        assert_eq!(steps(BOTH, BOTH, false), ["note", "note"]);
        assert_eq!(steps(FENCED, BOTH, false), ["no longer exposed", "note"]);
        assert_eq!(steps(NONE, BOTH, true), ["no longer exposed", "warning"]);
        assert_eq!(steps(NONE, FENCED, true), ["warning"]);
    }
}
