//! Sub-processors, scopes and rules as this backend knows them: read from the catalog as of now, kept until the shared
//! generation moves. What the gate and `disclose` decide by, never the reader's snapshot.

use crate::pg::shared;
use crate::pg::sys::compat::Access;
use crate::pg::sys::scan;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::mask::Mask;
use crate::pure::plaintext::PlainType;
use crate::pure::scope::fence::Fence;
use crate::pure::subprocessor::{parse_networks, Contract, State};
use pgrx::pg_sys;
use rustc_hash::{FxHashMap as HashMap, FxHashSet as HashSet};
use std::cell::RefCell;
use std::rc::Rc;

/// A registered sub-processor.
pub struct Subprocessor {
    /// Its number.
    pub id: i32,
    /// Owner of its mask key.
    pub uuid: [u8; 16],
    /// The role it is bound to.
    pub role: pg_sys::Oid,
    /// Reference of the contract, for the record.
    pub contract_reference: String,
    /// What decides whether it may read now.
    pub contract: Contract,
}

/// A scope that is in force.
pub struct Scope {
    /// Its number, the gate's argument.
    pub id: i32,
    /// Whose it is.
    pub subprocessor: Rc<Subprocessor>,
    /// The base relation.
    pub relation: pg_sys::Oid,
    /// The outer view, which the sub-processor queries.
    pub view: pg_sys::Oid,
    /// The inner view.
    pub inner_view: pg_sys::Oid,
    /// Relations that its row filter's subqueries name.
    pub filter_relations: Vec<pg_sys::Oid>,
    /// Numbers of the encrypted columns that its row filter and conditions open.
    pub opens: Vec<i32>,
    /// An error of its row filter or conditions may quote a value that it hides.
    pub quotes: bool,
    /// Purposes it is limited to; empty for all of the contract.
    pub purposes: Vec<String>,
    /// Whom its rows are about, where it says so.
    pub subject: Option<Subject>,
    /// What its views were when they were made.
    pub fingerprint: Option<String>,
    /// Whether conditions stay above the row filter, and plans may be looked at.
    pub fence: Fence,
}

/// The data subject of a scope's rows.
pub struct Subject {
    /// What its values stand for, the same in all tables that refer to the same persons.
    pub domain: String,
    /// Its columns, in the order of what they stand for.
    pub columns: Vec<String>,
}

impl Subject {
    /// From the scope's row. `None` where it declares none, or 0.1.0 stored it, which did not say what it stands for.
    pub fn new(columns: Vec<String>, domains: Vec<String>) -> Option<Subject> {
        if columns.is_empty() || columns.len() != domains.len() {
            return None;
        }
        let mut both: Vec<(String, String)> = domains.into_iter().zip(columns).collect();
        both.sort();
        let (domains, columns): (Vec<String>, Vec<String>) = both.into_iter().unzip();
        Some(Subject { domain: domains.join(","), columns })
    }
}

/// A rule that is in force.
pub struct Rule {
    /// Its number, `disclose`'s argument.
    pub id: i32,
    /// Its scope.
    pub scope: Rc<Scope>,
    /// The column, for errors.
    pub column: String,
    /// `None` for clear.
    pub mask: Option<Mask>,
    /// The value's type before the mask.
    pub plain_type: Option<PlainType>,
    /// Whether the column is encrypted.
    pub encrypted: bool,
    /// Domain of a keyed mask.
    pub domain: String,
    /// Version of the sub-processor's mask key.
    pub mask_key_version: u32,
}

/// All of it, as of one generation.
#[derive(Default)]
pub struct Registry {
    generation: (u64, u64),
    /// By name.
    pub subprocessors: HashMap<String, Rc<Subprocessor>>,
    /// By number.
    pub scopes: HashMap<i32, Rc<Scope>>,
    /// By number.
    pub rules: HashMap<i32, Rc<Rule>>,
    /// Scopes with a column that shows one of two things.
    pub conditional: HashSet<i32>,
    views: HashMap<u32, i32>,
}

impl Registry {
    /// The generation it was read at.
    pub fn generation(&self) -> (u64, u64) {
        self.generation
    }

    /// Whether a scoped view is among the relations that a statement asks for.
    pub fn names_any(&self, accesses: &[Access]) -> bool {
        accesses.iter().any(|access| self.scope_of_view(access.relid).is_some())
    }

    /// The scope whose outer view this relation is.
    pub fn scope_of_view(&self, view: pg_sys::Oid) -> Option<&Rc<Scope>> {
        self.views.get(&view.to_u32()).and_then(|id| self.scopes.get(id))
    }
}

thread_local! {
    static REGISTRY: RefCell<Option<Rc<Registry>>> = const { RefCell::new(None) };
}

/// The registry, reloaded when the shared generation has moved. 42704 in a database without the extension.
pub fn current() -> Result<Rc<Registry>> {
    let generation = shared::generation();
    let cached = REGISTRY.with(|r| r.borrow().as_ref().filter(|r| r.generation == generation).cloned());
    if let Some(registry) = cached {
        return Ok(registry);
    }
    let fresh = Rc::new(load(generation)?);
    REGISTRY.with(|r| r.replace(Some(fresh.clone())));
    Ok(fresh)
}

fn load(generation: (u64, u64)) -> Result<Registry> {
    let mut registry = Registry { generation, ..Registry::default() };
    let mut by_id = HashMap::default();
    scan::table("subprocessor", |row| {
        let name = row.text("name").unwrap_or_default();
        let state = row.text("state").unwrap_or_default();
        let state = State::from_label(&state)
            .ok_or_else(|| Error::new(Kind::Corrupt, format!("sub-processor \"{name}\" has an unknown state")))?;
        let contract = Contract {
            name: name.clone(),
            state,
            state_reason: row.text("state_reason"),
            purposes: row.texts("purposes"),
            valid_until: row.get::<pgrx::datum::Date>("valid_until").map(|d| d.to_pg_epoch_days()),
            networks: parse_networks(&row.texts("networks"))?,
            require_tls: row.get("require_tls").unwrap_or(true),
            rows_per_day: row.get("rows_per_day"),
            connections_per_day: row.get("connections_per_day"),
        };
        let subprocessor = Rc::new(Subprocessor {
            id: row.need("id")?,
            uuid: *row.need::<pgrx::Uuid>("uuid")?.as_bytes(),
            role: row.need("role")?,
            contract_reference: row.text("contract").unwrap_or_default(),
            contract,
        });
        by_id.insert(subprocessor.id, subprocessor.clone());
        registry.subprocessors.insert(name, subprocessor);
        Ok(())
    })?;
    scan::table("scope", |row| {
        if row.get::<pgrx::datum::TimestampWithTimeZone>("dropped_at").is_some() {
            return Ok(());
        }
        let (Some(view), Some(inner_view)) = (row.get::<pg_sys::Oid>("view"), row.get::<pg_sys::Oid>("inner_view"))
        else {
            return Ok(());
        };
        let owner = by_id.get(&row.need::<i32>("subprocessor")?).cloned();
        let subprocessor =
            owner.ok_or_else(|| Error::new(Kind::Corrupt, "a scope names a sub-processor that does not exist"))?;
        let id = row.need("id")?;
        let purposes = row.texts("purposes");
        let relation = row.need("relation")?;
        let subject = Subject::new(row.texts("subject"), row.texts("subject_domains"));
        let fingerprint = row.text("fingerprint");
        let filter_relations = row.oids("filter_relations");
        let opens = row.numbers("filter_opens");
        // not known of a filter of 0.1.0: so it may
        let quotes = row.get("filter_quotes").unwrap_or_else(|| row.text("row_filter").is_some());
        let flag = |column: &str| row.get(column).unwrap_or(false);
        let fence = Fence { fence: flag("fence"), allow_explain: flag("allow_explain") };
        let scope = Scope {
            id,
            subprocessor,
            relation,
            view,
            inner_view,
            filter_relations,
            opens,
            quotes,
            purposes,
            subject,
            fingerprint,
            fence,
        };
        registry.scopes.insert(id, Rc::new(scope));
        registry.views.insert(view.to_u32(), id);
        Ok(())
    })?;
    scan::table("rule", |row| {
        if row.get::<pgrx::datum::TimestampWithTimeZone>("until").is_some() {
            return Ok(());
        }
        let Some(scope) = registry.scopes.get(&row.need::<i32>("scope")?).cloned() else { return Ok(()) };
        let corrupt = || Error::new(Kind::Corrupt, "a rule's mask cannot be read");
        let plain_type = row.text("plain_type").and_then(|t| PlainType::from_name(&t));
        let mask = match row.get::<pgrx::JsonB>("mask") {
            None => None,
            Some(json) => Some(Mask::from_json(&json.0).map_err(|_| corrupt())?),
        };
        let rule = Rule {
            id: row.need("id")?,
            scope,
            column: row.text("column_name").unwrap_or_default(),
            mask,
            plain_type,
            encrypted: row.need("encrypted")?,
            domain: row.text("domain").unwrap_or_default(),
            mask_key_version: row.get::<i32>("mask_key_version").unwrap_or(0) as u32,
        };
        if row.text("condition").is_some() {
            registry.conditional.insert(rule.scope.id);
        }
        registry.rules.insert(rule.id, Rc::new(rule));
        Ok(())
    })?;
    Ok(registry)
}
