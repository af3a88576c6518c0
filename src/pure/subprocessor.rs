//! Sub-processor, contract, purposes, networks: may this connection read now, and for which purpose?

mod day;
mod register;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{literal, shown};

pub use day::{add_today, Places};
pub use register::{apply_changes, check_details, parse_date, parse_networks, Changes};

/// Where a sub-processor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// May read.
    Active,
    /// May not read until it is resumed.
    Suspended,
    /// May never read again.
    Terminated,
}

impl State {
    /// As the catalog writes it.
    pub fn label(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Suspended => "suspended",
            State::Terminated => "terminated",
        }
    }

    /// The reverse of [`State::label`].
    pub fn from_label(label: &str) -> Option<Self> {
        [State::Active, State::Suspended, State::Terminated].into_iter().find(|state| state.label() == label)
    }
}

/// What the gate needs of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Name of the sub-processor.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// Why, in the controller's words: for the controller's reports. The sub-processor is not told.
    pub state_reason: Option<String>,
    /// What it may read for. Empty allows nothing.
    pub purposes: Vec<String>,
    /// Last day of the contract, inclusive, in UTC: days since 2000-01-01. `None` has no end.
    pub valid_until: Option<i32>,
    /// Where it may connect from. Empty is anywhere.
    pub networks: Vec<IpNet>,
    /// Only over TLS.
    pub require_tls: bool,
    /// Most rows of a day (UTC); `None` is any number.
    pub rows_per_day: Option<i64>,
    /// Most sessions that read on one day (UTC); `None` is any number.
    pub connections_per_day: Option<i64>,
}

/// `AL006` when so many rows of today are more than the contract allows, or leave none.
///
/// # Errors
/// As said.
pub fn within_quota(c: &Contract, rows: i64) -> Result<()> {
    match c.rows_per_day {
        Some(most) if rows > most => Err(Error::new(
            Kind::Suspended,
            format!("sub-processor {} has received the rows that its contract allows for a day", shown(&c.name)),
        )
        .detail(format!("It may receive {most} rows a day."))
        .hint("read on after midnight UTC, read fewer rows, or ask the controller")),
        _ => Ok(()),
    }
}

/// `AL006` when the session came too late today: `place` says which it is of those that read, from 1.
///
/// # Errors
/// As said.
pub fn within_connections(c: &Contract, place: i64) -> Result<()> {
    match c.connections_per_day {
        Some(most) if place > most => Err(Error::new(
            Kind::Suspended,
            format!("as many sessions of sub-processor {} have read today as its contract allows", shown(&c.name)),
        )
        .detail(format!("At most {most} sessions may read on one day (UTC)."))
        .hint(
            "it opens again after midnight UTC; read in a session that has read today, \
             or ask the controller to allow more (airlock.alter_subprocessor)",
        )),
        _ => Ok(()),
    }
}

/// How the session is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The client's address; `None` for a local socket, which never crosses a network and so satisfies both the
    /// networks and `require_tls`.
    pub address: Option<IpAddr>,
    /// TLS protects the connection.
    pub tls: bool,
}

/// Whether the sub-processor may read now; gives the purpose to record. `today_days` is the day in UTC, in days since
/// 2000-01-01; `claimed_purpose` is `airlock.purpose`, empty when it is not set; `scope_purposes` narrows the
/// contract's, empty leaves them all.
///
/// # Errors
/// `AL006` suspended, terminated or expired; `AL009` no TLS or a network that is not allowed; `AL008` no purpose, or
/// one that is not in the contract and the scope.
pub fn may_read(
    c: &Contract,
    today_days: i32,
    conn: &Connection,
    claimed_purpose: &str,
    scope_purposes: &[String],
) -> Result<String> {
    check_state(c, today_days)?;
    check_connection(c, conn)?;
    purpose(c, claimed_purpose, scope_purposes)
}

/// Whether `after` allows less than `before`, so that somebody who reads now may have to stop.
pub fn narrows(before: &Contract, after: &Contract) -> bool {
    let sooner = match (before.valid_until, after.valid_until) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(before), Some(after)) => after < before,
    };
    let inside = |network: &IpNet| after.networks.iter().any(|wider| wider.contains(network));
    let networks = !after.networks.is_empty() && (before.networks.is_empty() || !before.networks.iter().all(inside));
    let purposes = before.purposes.iter().any(|purpose| !after.purposes.contains(purpose));
    let fewer = |before: Option<i64>, after: Option<i64>| after.is_some_and(|a| before.is_none_or(|b| a < b));
    let quotas =
        fewer(before.rows_per_day, after.rows_per_day) || fewer(before.connections_per_day, after.connections_per_day);
    sooner || networks || purposes || quotas || (after.require_tls && !before.require_tls)
}

fn check_state(c: &Contract, today_days: i32) -> Result<()> {
    let stopped = |what: String| Err(Error::new(Kind::Suspended, what).hint("ask the controller"));
    let name = shown(&c.name);
    match c.state {
        State::Active => {}
        State::Suspended => return stopped(format!("sub-processor {name} is suspended")),
        State::Terminated => return stopped(format!("the contract of sub-processor {name} was terminated")),
    }
    match c.valid_until {
        Some(last) if today_days > last => stopped(format!("the contract of sub-processor {name} has expired")),
        _ => Ok(()),
    }
}

fn check_connection(c: &Contract, conn: &Connection) -> Result<()> {
    // a local socket never crosses a network
    let Some(address) = conn.address else { return Ok(()) };
    if c.require_tls && !conn.tls {
        return Err(Error::new(Kind::Connection, "the contract requires TLS, and this connection has none")
            .hint("connect with sslmode=require or stricter"));
    }
    // an IPv4 client on a dual-stack socket arrives as ::ffff:a.b.c.d
    let address = address.to_canonical();
    if c.networks.is_empty() || c.networks.iter().any(|network| network.contains(&address)) {
        return Ok(());
    }
    Err(Error::new(Kind::Connection, format!("address {address} is not in the networks of the contract"))
        .hint("connect from an agreed network, or ask the controller to add this one"))
}

fn purpose(c: &Contract, claimed: &str, scope: &[String]) -> Result<String> {
    let allowed: Vec<&String> = c.purposes.iter().filter(|p| scope.is_empty() || scope.contains(p)).collect();
    let refused = |what: String| Error::new(Kind::Purpose, what);
    if claimed.is_empty() {
        return match allowed.as_slice() {
            [only] => Ok((*only).clone()),
            [] => Err(refused("the contract names no purpose for this view".into())
                .hint("ask the controller to agree on a purpose (airlock.alter_subprocessor)")),
            _ => Err(refused("the contract names more than one purpose, and the session names none".into())
                .hint(choices(&allowed))),
        };
    }
    if allowed.iter().any(|p| *p == claimed) {
        return Ok(claimed.to_string());
    }
    let error = refused(format!("purpose {} is not agreed for this view", shown(claimed)));
    Err(if allowed.is_empty() { error.hint("ask the controller") } else { error.hint(choices(&allowed)) })
}

/// `SET airlock.purpose = 'support'`, for each purpose that would do.
fn choices(allowed: &[&String]) -> String {
    let sets: Vec<String> = allowed.iter().map(|p| format!("SET airlock.purpose = {}", literal(p))).collect();
    sets.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract() -> Contract {
        Contract {
            name: "acme".into(),
            state: State::Active,
            state_reason: None,
            purposes: vec!["product analytics".into()],
            valid_until: Some(100),
            networks: vec![],
            require_tls: true,
            rows_per_day: None,
            connections_per_day: None,
        }
    }

    #[test]
    fn a_quota_is_what_may_be_reached_and_not_passed() {
        let c = Contract { rows_per_day: Some(100), ..contract() };
        assert!(within_quota(&c, 100).is_ok() && within_quota(&contract(), i64::MAX).is_ok());
        assert_eq!(within_quota(&c, 101).unwrap_err().kind, Kind::Suspended);
        let c = Contract { connections_per_day: Some(2), ..contract() };
        assert!(within_connections(&c, 2).is_ok() && within_connections(&contract(), i64::MAX).is_ok());
        let error = within_connections(&c, 3).unwrap_err();
        assert_eq!(error.kind, Kind::Suspended);
        assert!(
            error.detail.is_some_and(|d| d.contains("2 sessions")) && error.hint.is_some_and(|h| h.contains("UTC"))
        );
    }

    fn from(address: &str, tls: bool) -> Connection {
        Connection { address: Some(address.parse().unwrap()), tls }
    }

    const LOCAL: Connection = Connection { address: None, tls: false };

    fn kind(c: &Contract, today: i32, conn: &Connection, claimed: &str, scope: &[String]) -> Kind {
        may_read(c, today, conn, claimed, scope).unwrap_err().kind
    }

    #[test]
    fn what_allows_less_narrows() {
        let before = Contract { networks: vec!["10.0.0.0/8".parse().unwrap()], require_tls: false, ..contract() };
        type Change = fn(&mut Contract);
        let less: [Change; 8] = [
            |c| c.rows_per_day = Some(5),
            |c| c.connections_per_day = Some(5),
            |c| c.valid_until = Some(99),
            |c| c.purposes = vec!["support".into()],
            |c| c.networks = vec!["10.0.0.0/9".parse().unwrap(), "192.0.2.0/24".parse().unwrap()],
            |c| c.networks = vec!["::/0".parse().unwrap()],
            |c| c.require_tls = true,
            |c| c.purposes.clear(),
        ];
        let more: [Change; 5] = [
            |_| (),
            |c| c.valid_until = None,
            |c| c.purposes.push("support".into()),
            |c| c.networks = vec!["0.0.0.0/0".parse().unwrap()],
            |c| c.networks.clear(),
        ];
        for (changes, narrow) in [(&less[..], true), (&more[..], false)] {
            for (i, change) in changes.iter().enumerate() {
                let mut after = before.clone();
                change(&mut after);
                assert_eq!(narrows(&before, &after), narrow, "{i}");
            }
        }
        let everywhere = Contract { networks: vec![], ..before.clone() };
        assert!(narrows(&everywhere, &before));
        assert!(narrows(&Contract { valid_until: None, ..before.clone() }, &before));
        let few = |n| Contract { connections_per_day: n, ..before.clone() };
        assert!(narrows(&few(Some(5)), &few(Some(4))));
        assert!(!narrows(&few(Some(4)), &few(Some(5))) && !narrows(&few(Some(4)), &few(None)));
    }

    #[test]
    fn the_last_day_is_included() {
        let mut c = contract();
        assert_eq!(may_read(&c, 100, &LOCAL, "", &[]).as_deref(), Ok("product analytics"));
        assert_eq!(kind(&c, 101, &LOCAL, "", &[]), Kind::Suspended);
        c.valid_until = None;
        assert!(may_read(&c, i32::MAX, &LOCAL, "", &[]).is_ok());
    }

    #[test]
    fn suspended_and_terminated_stop_without_telling_why() {
        let mut c = contract();
        c.state_reason = Some("breach under investigation".into());
        for state in [State::Suspended, State::Terminated] {
            c.state = state;
            let error = may_read(&c, 1, &LOCAL, "", &[]).unwrap_err();
            assert_eq!(error.kind, Kind::Suspended);
            assert!(!format!("{error:?}").contains("breach"));
            assert_eq!(State::from_label(state.label()), Some(state));
        }
        assert_eq!(State::from_label("paused"), None);
    }

    #[test]
    fn tls_is_for_networks() {
        let mut c = contract();
        assert!(may_read(&c, 1, &LOCAL, "", &[]).is_ok());
        assert!(may_read(&c, 1, &from("203.0.113.7", true), "", &[]).is_ok());
        assert_eq!(kind(&c, 1, &from("203.0.113.7", false), "", &[]), Kind::Connection);
        assert_eq!(kind(&c, 1, &from("127.0.0.1", false), "", &[]), Kind::Connection);
        c.require_tls = false;
        assert!(may_read(&c, 1, &from("203.0.113.7", false), "", &[]).is_ok());
    }

    #[test]
    fn networks_take_mapped_addresses_as_what_they_are() {
        let mut c = contract();
        c.networks = parse_networks(&["203.0.113.0/24".into(), "2001:db8::/32".into()]).unwrap();
        for inside in ["203.0.113.7", "::ffff:203.0.113.7", "2001:db8:1::2"] {
            assert!(may_read(&c, 1, &from(inside, true), "", &[]).is_ok(), "{inside}");
        }
        for outside in ["198.51.100.1", "2001:db9::1", "::ffff:198.51.100.1", "::203.0.113.7"] {
            assert_eq!(kind(&c, 1, &from(outside, true), "", &[]), Kind::Connection, "{outside}");
        }
        assert!(may_read(&c, 1, &LOCAL, "", &[]).is_ok());
    }

    #[test]
    fn one_purpose_needs_no_claim() {
        let mut c = contract();
        assert_eq!(may_read(&c, 1, &LOCAL, "product analytics", &[]).as_deref(), Ok("product analytics"));
        assert_eq!(kind(&c, 1, &LOCAL, "marketing", &[]), Kind::Purpose);
        c.purposes.push("it's support".into());
        let error = may_read(&c, 1, &LOCAL, "", &[]).unwrap_err();
        assert_eq!(error.kind, Kind::Purpose);
        assert_eq!(
            error.hint.as_deref(),
            Some("SET airlock.purpose = 'product analytics' or SET airlock.purpose = 'it''s support'")
        );
        assert_eq!(may_read(&c, 1, &LOCAL, "it's support", &[]).as_deref(), Ok("it's support"));
    }

    #[test]
    fn the_scope_narrows_and_never_widens() {
        let mut c = contract();
        c.purposes.push("support".into());
        assert_eq!(may_read(&c, 1, &LOCAL, "", &["support".into()]).as_deref(), Ok("support"));
        assert_eq!(kind(&c, 1, &LOCAL, "product analytics", &["support".into()]), Kind::Purpose);
        assert_eq!(kind(&c, 1, &LOCAL, "marketing", &["marketing".into()]), Kind::Purpose);
        assert_eq!(kind(&c, 1, &LOCAL, "", &["marketing".into()]), Kind::Purpose);
        c.purposes.clear();
        assert_eq!(kind(&c, 1, &LOCAL, "", &[]), Kind::Purpose);
    }
}
