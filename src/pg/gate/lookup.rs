//! A sub-processor's look-up by a field that its scope shows in clear and that is searchable: `WHERE email = 'x'` on its
//! view opens the rows with that match tag, not the table.
//!
//! The view's column is `disclose(rule, email)`, which no index serves. So, before such a query is planned, the view in it
//! gets a condition more: `match_tag(email) = disclose_needle(rule, 'x')`. It only leaves out rows that the reader's own
//! condition, which stays, would leave out after opening them: equal values have equal tags. `match_tag` is leakproof, so
//! PostgreSQL may use it below the view's barriers, and the gate and row filter hold as ever.
//!
//! | only where | because |
//! |---|---|
//! | the rule shows the value in clear | under a mask other values are equal |
//! | `=` of the value's own type, by a deterministic collation | another equality may be wider |
//! | in WHERE or an inner join's ON | elsewhere a row that does not satisfy it may still count |
//! | the scope has no fence | beneath one, nothing of the reader's may run |
//! | the other side has no column, subquery or volatile function | it is worked out once more, on its own |
#![allow(unsafe_code)] // ◆ queries that are about to be planned
#![allow(ffi_unwind_calls)] // reason: see encrypted/search.rs

use crate::pg::encrypted::needle::{self, Width};
use crate::pg::encrypted::search::{self, Tags};
use crate::pg::keys::ring;
use crate::pg::readlog::armed::{self, Frame};
use crate::pg::registry::{self, Rule};
use crate::pg::sys::{function_oid, list, typmod_of_expression, Args, Raw};
use crate::pure::error::{Error, Kind, Result};
use crate::sql_function;
use pgrx::pg_sys::{self, NodeTag};
use std::rc::Rc;

sql_function!(
    /// `airlock.disclose_needle(rule integer, column_no integer, value "any") → bigint`: the match tag that a
    /// sub-processor's look-up in a clear, searchable column looks for. Written into plans of sub-processors' queries, and
    /// checked as `disclose` is; while the planner is innermost it answers NULL, for an estimate is wanted and no tag.
    ///
    /// Errors: `AL001`, `AL005` not armed, `AL007` when the rule is not of a scope that this statement reads in clear.
    airlock_disclose_needle,
    |args| answer(args, Width::Narrow, false)
);
sql_function!(
    /// `airlock.disclose_needles(rule integer, column_no integer, values "any") → bigint[]`: the same of each element.
    airlock_disclose_needles,
    |args| answer(args, Width::Narrow, true)
);
sql_function!(
    /// `airlock.disclose_needle16(rule integer, column_no integer, value "any") → uuid`: the same for a unique column.
    airlock_disclose_needle16,
    |args| answer(args, Width::Wide, false)
);
sql_function!(
    /// `airlock.disclose_needles16(rule integer, column_no integer, values "any") → uuid[]`: the same of each element.
    airlock_disclose_needles16,
    |args| answer(args, Width::Wide, true)
);

fn answer(args: Args, width: Width, array: bool) -> Result<Option<Raw>> {
    if armed::innermost() == Some(Frame::Planner) {
        return Ok(None);
    }
    let number: i32 = args.need(0, "rule")?;
    let registry = registry::current()?;
    let rule = registry.rules.get(&number).filter(|rule| shows_clear(rule));
    let rule = rule.ok_or_else(|| Error::new(Kind::OutsideScope, format!("rule {number} shows nothing in clear")))?;
    if !armed::covers(rule.scope.id) {
        return Err(armed::refusal("a look-up"));
    }
    let value = args.datum(2).ok_or_else(|| Error::new(Kind::InvalidArgument, "a compared value is null"))?;
    needle::for_rule(args.need(1, "column_no")?, value, args.type_of(2), width, array).map(Some)
}

/// Adds what an index can serve to the scoped views in a query, at every level.
///
/// # Safety
/// `query` is the planner's own.
pub unsafe fn before_planning(query: *mut pg_sys::Query) -> Result<()> {
    let (Some(narrow), Some(wide)) = (Functions::find(false), Functions::find(true)) else { return Ok(()) };
    let lookup = Lookup { narrow, wide, registry: registry::current()? };
    // SAFETY: nodes collected are alive as long as the query; what is added is of the planner's context.
    unsafe {
        for query in search::collect(query.cast(), NodeTag::T_Query) {
            lookup.level(&*query.cast::<pg_sys::Query>())?;
        }
    }
    Ok(())
}

/// What conditions on tags of a width are made of.
struct Functions {
    tags: Tags,
    one: pg_sys::Oid,
    many: pg_sys::Oid,
}

impl Functions {
    fn find(wide: bool) -> Option<Functions> {
        let arguments = [pg_sys::INT4OID, pg_sys::INT4OID, pg_sys::ANYOID];
        let (one, many) = match wide {
            false => (c"disclose_needle", c"disclose_needles"),
            true => (c"disclose_needle16", c"disclose_needles16"),
        };
        let (one, many) = (function_oid(one, &arguments)?, function_oid(many, &arguments)?);
        Some(Functions { tags: Tags::find(wide)?, one, many })
    }
}

struct Lookup {
    narrow: Functions,
    wide: Functions,
    registry: Rc<registry::Registry>,
}

/// A clear, searchable column of a scoped view, as a query names it.
struct Field {
    view: *mut pg_sys::Query,
    rule: i32,
    column_no: i32,
    wide: bool,
    /// The encrypted column, inside the view.
    column: *mut pg_sys::Node,
    /// Type of the view's column.
    shown: pg_sys::Oid,
}

impl Lookup {
    /// The conditions of one level.
    unsafe fn level(&self, query: &pg_sys::Query) -> Result<()> {
        // SAFETY: a jointree is a FromExpr or NULL; its parts are told by their tags.
        unsafe {
            for condition in conditions_of(query.jointree.cast()) {
                self.condition(query, condition)?;
            }
        }
        Ok(())
    }

    unsafe fn condition(&self, query: &pg_sys::Query, node: *mut pg_sys::Node) -> Result<()> {
        // SAFETY: the tag is checked before each cast; arguments are a list of expressions.
        unsafe {
            match (*node).type_ {
                NodeTag::T_OpExpr => {
                    let op = &*node.cast::<pg_sys::OpExpr>();
                    let [a, b] = list::<pg_sys::Node>(op.args)[..] else { return Ok(()) };
                    for (field, value) in [(a, b), (b, a)] {
                        if let Some(field) = self.field(query, field)? {
                            if is_equality(op.opno, field.shown, op.inputcollid)
                                && pg_sys::exprType(value) == field.shown
                                && stands_alone(value)
                            {
                                return self.add(&field, value, false);
                            }
                        }
                    }
                }
                NodeTag::T_ScalarArrayOpExpr => {
                    let any = &*node.cast::<pg_sys::ScalarArrayOpExpr>();
                    let [a, array] = list::<pg_sys::Node>(any.args)[..] else { return Ok(()) };
                    if let Some(field) = self.field(query, a)?.filter(|_| any.useOr) {
                        let element = pg_sys::get_base_element_type(pg_sys::exprType(array));
                        if is_equality(any.opno, field.shown, any.inputcollid)
                            && element == field.shown
                            && stands_alone(array)
                        {
                            return self.add(&field, array, true);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The field that an expression names, if it is one of a scoped view in this query.
    unsafe fn field(&self, query: &pg_sys::Query, mut node: *mut pg_sys::Node) -> Result<Option<Field>> {
        // SAFETY: the tag is checked before each cast; varno and varattno of an analysed Var are in range, and the
        // ranges are checked all the same.
        unsafe {
            while (*node).type_ == NodeTag::T_RelabelType {
                node = (*node.cast::<pg_sys::RelabelType>()).arg.cast();
            }
            if (*node).type_ != NodeTag::T_Var {
                return Ok(None);
            }
            let var = &*node.cast::<pg_sys::Var>();
            let entries = list::<pg_sys::RangeTblEntry>(query.rtable);
            let entry = usize::try_from(var.varno - 1).ok().and_then(|i| entries.get(i));
            let Some(entry) = entry.filter(|_| var.varlevelsup == 0) else { return Ok(None) };
            if (**entry).rtekind != pg_sys::RTEKind::RTE_SUBQUERY || (**entry).subquery.is_null() {
                return Ok(None);
            }
            let view = (**entry).subquery;
            let targets = list::<pg_sys::TargetEntry>((*view).targetList);
            let target = usize::try_from(i32::from(var.varattno) - 1).ok().and_then(|i| targets.get(i));
            let Some((rule, column)) = target.and_then(|target| disclosed((**target).expr.cast())) else {
                return Ok(None);
            };
            let Some(rule) = self.registry.rules.get(&rule).filter(|rule| shows_clear(rule) && !rule.scope.fence.fence)
            else {
                return Ok(None);
            };
            let column_no = typmod_of_expression(column);
            let searchable = crate::pg::encrypted::type_oids().map(|(_, searchable)| searchable);
            if Some(pg_sys::getBaseType(pg_sys::exprType(column))) != searchable || column_no < 0 {
                return Ok(None);
            }
            let named = ring::named(column_no)?.filter(|named| named.column);
            Ok(named.map(|named| Field {
                view,
                rule: rule.id,
                column_no,
                wide: named.wide,
                column,
                shown: var.vartype,
            }))
        }
    }

    /// Adds the condition to the view's own.
    unsafe fn add(&self, field: &Field, value: *mut pg_sys::Node, many: bool) -> Result<()> {
        let functions = if field.wide { &self.wide } else { &self.narrow };
        let tags = &functions.tags;
        // SAFETY: copies, so that no node stands in two places; the value names no column, so it means the same here.
        unsafe {
            let copy = |node: *mut pg_sys::Node| pg_sys::copyObjectImpl(node.cast()).cast::<pg_sys::Node>();
            let arguments = [search::integer(field.rule), search::integer(field.column_no), copy(value)];
            let arguments =
                arguments.into_iter().fold(std::ptr::null_mut(), |list, node| pg_sys::lappend(list, node.cast()));
            let column = copy(field.column);
            let condition = if many {
                tags.any(column, search::call(functions.many, tags.array, arguments))
            } else {
                tags.compare(false, tags.of(column), search::call(functions.one, tags.result, arguments))
            };
            let from = (*field.view).jointree;
            (*from).quals = if (*from).quals.is_null() {
                condition
            } else {
                let both = pg_sys::lappend(std::ptr::null_mut(), (*from).quals.cast());
                pg_sys::make_andclause(pg_sys::lappend(both, condition.cast())).cast()
            };
        }
        Ok(())
    }
}

fn shows_clear(rule: &Rule) -> bool {
    rule.encrypted && rule.mask.is_none()
}

/// Rule and column of a call of `airlock.disclose`, bare: inside anything else it is not what the reader compares.
unsafe fn disclosed(node: *mut pg_sys::Node) -> Option<(i32, *mut pg_sys::Node)> {
    // SAFETY: the tag is checked before each cast.
    unsafe {
        if (*node).type_ != NodeTag::T_FuncExpr {
            return None;
        }
        let call = &*node.cast::<pg_sys::FuncExpr>();
        let (any, int, element) = (pg_sys::ANYOID, pg_sys::INT4OID, pg_sys::ANYELEMENTOID);
        let ours = [function_oid(c"disclose", &[int, any]), function_oid(c"disclose", &[int, any, element])];
        let args = list::<pg_sys::Node>(call.args);
        if !ours.contains(&Some(call.funcid)) || args.len() < 2 || (*args[0]).type_ != NodeTag::T_Const {
            return None;
        }
        let rule = &*args[0].cast::<pg_sys::Const>();
        (!rule.constisnull).then(|| (rule.constvalue.value() as i32, args[1]))
    }
}

/// The parts of WHERE, and of the ON of inner joins, that all must hold.
unsafe fn conditions_of(node: *mut pg_sys::Node) -> Vec<*mut pg_sys::Node> {
    let (mut rest, mut found) = (vec![node], Vec::new());
    // not by recursion: who sends the query decides how deep it is
    while let Some(node) = rest.pop() {
        // SAFETY: the tag is checked before each cast.
        unsafe {
            if node.is_null() {
                continue;
            }
            match (*node).type_ {
                NodeTag::T_FromExpr => {
                    let from = &*node.cast::<pg_sys::FromExpr>();
                    rest.extend(list::<pg_sys::Node>(from.fromlist));
                    rest.push(from.quals);
                }
                NodeTag::T_JoinExpr => {
                    let join = &*node.cast::<pg_sys::JoinExpr>();
                    rest.extend([join.larg, join.rarg]);
                    if join.jointype == pg_sys::JoinType::JOIN_INNER {
                        rest.push(join.quals);
                    }
                }
                NodeTag::T_BoolExpr if (*node.cast::<pg_sys::BoolExpr>()).boolop == pg_sys::BoolExprType::AND_EXPR => {
                    rest.extend(list::<pg_sys::Node>((*node.cast::<pg_sys::BoolExpr>()).args));
                }
                _ => found.push(node),
            }
        }
    }
    found
}

/// Whether an operator is the equality of a type that match tags agree with.
unsafe fn is_equality(operator: pg_sys::Oid, shown: pg_sys::Oid, collation: pg_sys::Oid) -> bool {
    // SAFETY: look-ups in caches.
    unsafe {
        let entry = pg_sys::lookup_type_cache(shown, pg_sys::TYPECACHE_EQ_OPR as i32);
        (*entry).eq_opr == operator
            && (collation == pg_sys::InvalidOid || pg_sys::get_collation_isdeterministic(collation))
    }
}

/// Whether an expression can be worked out by itself: constants, parameters of the statement, and functions of these that
/// give the same twice.
unsafe fn stands_alone(node: *mut pg_sys::Node) -> bool {
    // SAFETY: an analysed expression; the walks own nothing.
    unsafe {
        let outside = [
            NodeTag::T_Var,
            NodeTag::T_SubLink,
            NodeTag::T_Aggref,
            NodeTag::T_GroupingFunc,
            NodeTag::T_WindowFunc,
            NodeTag::T_PlaceHolderVar,
            NodeTag::T_CurrentOfExpr,
        ];
        outside.into_iter().all(|tag| search::collect(node, tag).is_empty())
            && search::collect(node, NodeTag::T_Param)
                .into_iter()
                .all(|p| (*p.cast::<pg_sys::Param>()).paramkind == pg_sys::ParamKind::PARAM_EXTERN)
            && !pg_sys::contain_volatile_functions(node)
    }
}
