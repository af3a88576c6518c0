//! What recipients can do with what they were given: join their copies, or be told apart by a value that leaked.
//!
//! Both questions need the rows themselves. They are read in batches, what is encrypted is opened in Rust, masked there under the
//! key of the recipient that is asked about, and only hashes, counts or the row's name are kept.
//!
//! | file | is |
//! |---|---|
//! | `rules` | what was, or is, shown to whom, from the catalog |
//! | `shown` | one column of a row → its value → what a rule shows of it |
//! | `table` | the rows of a table |
//! | `risk`, `pairs` | `link_risk()` |
//! | `trace`, `candidates` | `trace()` |
//! | `sample` | rows of `preview_scope()` |

mod candidates;
mod pairs;
mod risk;
mod rules;
pub mod sample;
mod shown;
mod table;
mod trace;

use crate::pg::admin::caller;
use crate::pg::sys::roles;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::ident;

/// 42501 unless the caller is a member of `airlock_admin` or a superuser, whatever was granted besides.
fn administers(what: &str) -> Result<()> {
    let caller = caller();
    let admin = roles::by_name("airlock_admin").is_some_and(|admin| roles::has_rights_of(caller, admin));
    if admin || roles::is_superuser(caller) {
        return Ok(());
    }
    let role = roles::name(caller).unwrap_or_default();
    Err(Error::new(Kind::Privilege, format!("permission denied for function {what}"))
        .hint(format!("GRANT airlock_admin TO {}", ident(&role))))
}
