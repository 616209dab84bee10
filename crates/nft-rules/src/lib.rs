//! nftables rulesets as values: typed tables, chains, sets, maps and rules, the script that installs one in a single
//! transaction, and what `nft -j list` says read back into the same types.
//!
//! In: what a planner wants of a namespace's packet filter; JSON from the kernel. Out: text for `nft -f -`; tables that
//! compare equal to what was asked for, or drift. Only tables that are named here are ever written, deleted or compared:
//! anything else in the namespace belongs to somebody else. Nothing here runs a program: `host-drivers` does.
//!
//! ```
//! use nft_rules::*;
//! let mut table = Table::new(Family::Ip, "neutronium");
//! table.map("floating_to_fixed", Map::new(DataType::Ipv4Addr, DataType::Ipv4Addr));
//! table.chain("prerouting", Chain::base(Kind::Nat, Hook::Prerouting, -100)
//!     .rule(Rule::new().then(Statement::Dnat(Nat::map(Field::IpDaddr, "floating_to_fixed")))));
//! assert!(table.install_script().starts_with("table ip neutronium\ndelete table ip neutronium\n"));
//! ```

mod counted;
mod element;
mod error;
mod object;
mod read_back;
mod rule;
mod script;
mod table;

pub use counted::{Counted, counted_from_json};
pub use element::{DataType, ElementType, Key};
pub use error::Error;
pub use object::Object;
pub use read_back::tables_from_json;
pub use rule::{Field, Match, Nat, NatAddress, Operator, Rule, Statement, Value};
pub use table::{Base, Chain, Family, Hook, Kind, Map, Policy, Set, Table};
