//! The subqueries of a row filter: EXISTS (SELECT … FROM tables WHERE …) and column IN (SELECT …), at any depth, with columns
//! of the queries around them. Every part of the query that could hold anything else is looked at and refused.
#![allow(unsafe_code)] // ◆ parse trees

use super::filter::Walk;
use super::list;
use crate::pure::error::Result;
use crate::pure::scope::reads::{check_alias, Unfit};
use pgrx::pg_sys::{self, NodeTag, SubLinkType};
use std::ffi::CStr;

impl Walk<'_> {
    /// EXISTS, IN and `= ANY`. The others can fail by the number of rows, or say more than whether there is one.
    pub(super) unsafe fn sublink(&mut self, link: &pg_sys::SubLink) -> Result<()> {
        // SAFETY: subselect of an analysed expression is a Query.
        unsafe {
            let query = link.subselect.cast::<pg_sys::Query>();
            match link.subLinkType {
                SubLinkType::EXISTS_SUBLINK => {
                    plain(&*query)?;
                    // whatever it is, nobody looks at it: `SELECT *` would cost a right on every column
                    (*query).targetList = std::ptr::null_mut();
                }
                SubLinkType::ANY_SUBLINK => plain(&*query)?,
                SubLinkType::ALL_SUBLINK => return Err(Unfit::All.refused()),
                _ => return Err(Unfit::Value.refused()),
            }
            // it compares with a column of the subquery, and stands outside
            self.node(link.testexpr)?;
            self.query(&*query)
        }
    }

    unsafe fn query(&mut self, query: &pg_sys::Query) -> Result<()> {
        // SAFETY: parts of an analysed query, each as its field's name says.
        unsafe {
            self.levels.push(list(query.rtable));
            let from = &*query.jointree;
            if from.fromlist.is_null() {
                return Err(Unfit::NoTable.refused());
            }
            for item in list::<pg_sys::Node>(from.fromlist) {
                self.from(item)?;
            }
            self.node(from.quals)?;
            for target in list::<pg_sys::TargetEntry>(query.targetList) {
                self.node((*target).expr.cast())?;
            }
            self.levels.pop();
        }
        Ok(())
    }

    /// A table in FROM, or a join of tables.
    unsafe fn from(&mut self, item: *mut pg_sys::Node) -> Result<()> {
        // SAFETY: the tag says which struct the node is; rtindex counts from 1 in the innermost range table.
        unsafe {
            pg_sys::check_stack_depth();
            match (*item).type_ {
                NodeTag::T_RangeTblRef => {
                    let place = (*item.cast::<pg_sys::RangeTblRef>()).rtindex as usize;
                    let entry = self.levels.last().and_then(|level| level.get(place.wrapping_sub(1)).copied());
                    let relation = table(&*entry.ok_or_else(|| Unfit::From.refused())?)?;
                    self.named.insert(relation.to_u32());
                    Ok(())
                }
                NodeTag::T_JoinExpr => {
                    let join = &*item.cast::<pg_sys::JoinExpr>();
                    if join.isNatural
                        || !join.usingClause.is_null()
                        || !join.join_using_alias.is_null()
                        || !join.alias.is_null()
                    {
                        return Err(Unfit::Using.refused());
                    }
                    self.from(join.larg)?;
                    self.from(join.rarg)?;
                    self.node(join.quals)
                }
                _ => Err(Unfit::From.refused()),
            }
        }
    }
}

/// A range table's entry that is a table under a name that prints the same everywhere. Which tables may be shared is for
/// `scopes::others` to say.
unsafe fn table(entry: &pg_sys::RangeTblEntry) -> Result<pg_sys::Oid> {
    if entry.rtekind != pg_sys::RTEKind::RTE_RELATION || !entry.securityQuals.is_null() || entry.lateral {
        return Err(Unfit::From.refused());
    }
    if !entry.tablesample.is_null() {
        return Err(Unfit::Sample.refused());
    }
    if !entry.inh {
        return Err(Unfit::Only.refused());
    }
    // SAFETY: eref is there always, alias where one was given; names are NUL-terminated.
    unsafe {
        if !entry.alias.is_null() && !(*entry.alias).colnames.is_null() {
            return Err(Unfit::ColumnNames.refused());
        }
        check_alias(&CStr::from_ptr((*entry.eref).aliasname).to_string_lossy())?;
    }
    Ok(entry.relid)
}

/// SELECT … FROM … WHERE …, and no more.
fn plain(q: &pg_sys::Query) -> Result<()> {
    let odd = [
        (!q.cteList.is_null() || q.hasModifyingCTE || q.hasRecursive, Unfit::With),
        (!q.setOperations.is_null(), Unfit::SetOperation),
        (q.hasAggs, Unfit::Aggregate),
        (!q.groupClause.is_null() || !q.groupingSets.is_null() || !q.havingQual.is_null(), Unfit::Aggregate),
        (q.hasWindowFuncs || !q.windowClause.is_null(), Unfit::Window),
        (q.hasTargetSRFs, Unfit::SetReturning),
        (!q.distinctClause.is_null() || q.hasDistinctOn, Unfit::Distinct),
        (!q.sortClause.is_null(), Unfit::Order),
        (!q.limitCount.is_null() || !q.limitOffset.is_null(), Unfit::Limit),
        (q.hasForUpdate || !q.rowMarks.is_null(), Unfit::Locking),
        (q.jointree.is_null(), Unfit::NoTable),
        (q.commandType != pg_sys::CmdType::CMD_SELECT || !q.utilityStmt.is_null(), Unfit::From),
    ];
    odd.into_iter().find(|(has, _)| *has).map_or(Ok(()), |(_, unfit)| Err(unfit.refused()))
}
