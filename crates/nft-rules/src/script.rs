//! Tables as text for `nft -f -`.
//!
//! ```text
//! table ip neutronium             make sure there is one, so that the next line cannot fail
//! delete table ip neutronium      nft 1.0.6 has no `destroy`
//! table ip neutronium { ... }     all in one transaction: a packet sees the old table or the new one, never none
//! ```
//! Every statement stands on a line of its own, for nft 1.0.6 refuses `; } }` on one.

use crate::{
    Base, Chain, ElementType, Field, Key, Map, Match, Nat, NatAddress, Object, Operator, Rule, Set, Statement, Table,
    Value,
};
use std::fmt::{self, Display, Formatter, Write};

impl Table {
    /// What replaces the table, or makes it, in one transaction.
    pub fn install_script(&self) -> String {
        let name = format!("table {} {}", self.family.as_str(), self.name);
        format!("{name}\ndelete {name}\n{self}")
    }

    /// What makes this of the table that is `installed`, in one transaction: like [`Table::install_script`], but counters
    /// that stay go on counting.
    pub fn update_script(&self, installed: &Self) -> String {
        if !installed.unreadable.is_empty() {
            return self.install_script();
        }
        let name = format!("{} {}", self.family.as_str(), self.name);
        // Rules go first, for they hold on to all the rest; maps hold on to objects, and cost nothing to make again.
        let mut script = format!("table {name}\nflush table {name}\n");
        let stays = |chain: &str, old: &Chain| self.chains.get(chain).is_some_and(|chain| chain.base == old.base);
        let chains =
            installed.chains.iter().filter(|(chain, old)| !stays(chain, old)).map(|(chain, _)| ("chain", chain));
        let maps = installed.maps.keys().map(|map| ("map", map));
        let sets = installed.sets.keys().map(|set| ("set", set));
        let objects = installed.objects.iter().filter(|(object, old)| self.objects.get(*object) != Some(*old));
        let objects = objects.map(|(object, old)| (old.keyword(), object));
        for (kind, what) in chains.chain(maps).chain(sets).chain(objects) {
            script += &format!("delete {kind} {name} {what}\n");
        }
        script + &self.to_string()
    }

    /// Whether it has counters, which lose what they have counted when the table is replaced.
    pub fn has_counters(&self) -> bool {
        self.objects.values().any(|object| *object == Object::Counter)
    }

    /// What removes the table, whether it is there or not.
    pub fn remove_script(&self) -> String {
        let name = format!("table {} {}", self.family.as_str(), self.name);
        format!("{name}\ndelete {name}\n")
    }
}

impl Display for Table {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "table {} {} {{", self.family.as_str(), self.name)?;
        for (name, object) in &self.objects {
            writeln!(out, "\t{} {name} {{\n{object}\t}}", object.keyword())?;
        }
        for (name, set) in &self.sets {
            writeln!(out, "\tset {name} {{\n{set}\t}}")?;
        }
        for (name, map) in &self.maps {
            writeln!(out, "\tmap {name} {{\n{map}\t}}")?;
        }
        // nft makes all chains of a table before the first rule, so rules may jump to any of them.
        for (name, Chain { base, rules }) in &self.chains {
            writeln!(out, "\tchain {name} {{")?;
            if let Some(base) = base {
                write!(out, "{base}")?;
            }
            for rule in rules {
                writeln!(out, "\t\t{rule}")?;
            }
            writeln!(out, "\t}}")?;
        }
        writeln!(out, "}}")
    }
}

/// `elements = { a, b }` on a line of its own, or nothing.
fn elements(out: &mut Formatter<'_>, items: impl Iterator<Item = impl Display>) -> fmt::Result {
    let mut text = String::new();
    for item in items {
        write!(text, "{}{item}", if text.is_empty() { "" } else { ", " })?;
    }
    if text.is_empty() { Ok(()) } else { writeln!(out, "\t\telements = {{ {text} }}") }
}

/// Things with ` . ` between them.
fn joined(out: &mut Formatter<'_>, items: impl Iterator<Item = impl Display>) -> fmt::Result {
    items.enumerate().try_for_each(|(n, item)| write!(out, "{}{item}", if n == 0 { "" } else { " . " }))
}

impl Display for ElementType {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        joined(out, self.parts().iter().map(|part| part.as_str()))
    }
}

impl Display for Key {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        joined(out, self.parts().iter())
    }
}

/// An element as its type wants it written.
struct Element<'t>(&'t Value, &'t ElementType);

impl Display for Element<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let values = match self.0 {
            Value::Joined(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        let part = |(value, of): (&Value, &crate::DataType)| match value {
            Value::Word(word) if of.is_quoted() => format!("\"{word}\""),
            value => value.to_string(),
        };
        joined(out, values.iter().zip(self.1.parts()).map(part))
    }
}

impl Display for Object {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counter => Ok(()),
            Self::Limit { rate, burst } => {
                writeln!(out, "\t\trate over {rate} bytes/second burst {burst} bytes")
            }
            Self::CtHelper { kind, protocol } => writeln!(out, "\t\ttype \"{kind}\" protocol {protocol}"),
        }
    }
}

impl Display for Set {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "\t\ttype {}", self.of)?;
        if self.interval {
            writeln!(out, "\t\tflags interval")?;
        }
        elements(out, self.elements.iter().map(|element| Element(element, &self.of)))
    }
}

impl Display for Map {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "\t\ttype {} : {}", self.from, self.to)?;
        if self.interval {
            writeln!(out, "\t\tflags interval")?;
        }
        let pair = |(key, value)| format!("{} : {}", Element(key, &self.from), Element(value, &self.to));
        elements(out, self.elements.iter().map(pair))
    }
}

impl Display for Base {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "\t\ttype {} hook {}", self.kind.as_str(), self.hook.as_str())?;
        if let Some(device) = &self.device {
            write!(out, " device \"{device}\"")?;
        }
        let policy = match self.policy {
            crate::Policy::Accept => "accept",
            crate::Policy::Drop => "drop",
        };
        writeln!(out, " priority {}; policy {policy};", self.priority)
    }
}

impl Display for Value {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(out, "{address}"),
            Self::Prefix(prefix) => write!(out, "{prefix}"),
            Self::Mac(mac) => write!(out, "{mac}"),
            Self::Number(number) => write!(out, "{number}"),
            Self::Word(word) => write!(out, "{word}"),
            Self::Set(name) => write!(out, "@{name}"),
            Self::Ports(ports) => write!(out, "{}-{}", ports.first(), ports.last()),
            Self::Joined(values) => joined(out, values.iter()),
            Self::AnyOf(values) => {
                let mut separator = "";
                for value in values {
                    write!(out, "{separator}{value}")?;
                    separator = ",";
                }
                Ok(())
            }
        }
    }
}

impl Display for Field {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (object, key) = self.words();
        write!(out, "{object} {key}")
    }
}

impl Display for Match {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.field)?;
        if let Some(mask) = self.mask {
            write!(out, " & {mask:#x}")?;
        }
        match self.operator {
            Operator::Is | Operator::Has => write!(out, " ")?,
            Operator::IsNot => write!(out, " != ")?,
            Operator::HasNot => write!(out, " ! ")?,
        }
        match (&self.value, self.field, self.operator) {
            (Value::Word(name), Field::IifName | Field::OifName, _) => write!(out, "\"{name}\""),
            (Value::AnyOf(_), _, Operator::Is | Operator::IsNot) => write!(out, "{{ {} }}", self.value),
            _ => write!(out, "{}", self.value),
        }
    }
}

impl Display for Nat {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match &self.to {
            NatAddress::Address(address) => write!(out, "to {address}")?,
            NatAddress::Map { key, map } => write!(out, "to {key} map @{map}")?,
        }
        if self.fully_random { write!(out, " fully-random") } else { Ok(()) }
    }
}

impl Display for Statement {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => write!(out, "accept"),
            Self::Drop => write!(out, "drop"),
            Self::Return => write!(out, "return"),
            Self::Counter => write!(out, "counter"),
            Self::Jump(chain) => write!(out, "jump {chain}"),
            Self::Goto(chain) => write!(out, "goto {chain}"),
            Self::SetMark { value, mask: u32::MAX } => write!(out, "meta mark set {value:#x}"),
            Self::SetMark { value, mask } => write!(out, "meta mark set meta mark & {:#x} | {value:#x}", !mask),
            Self::SetCtMark { value, mask: u32::MAX } => write!(out, "ct mark set {value:#x}"),
            Self::SetCtMark { value, mask } => write!(out, "ct mark set ct mark & {:#x} | {value:#x}", !mask),
            Self::SetMarkByMap { key, map } => write!(out, "meta mark set {key} map @{map}"),
            Self::Count(counter) => write!(out, "counter name \"{counter}\""),
            Self::LimitByMap { key, map } => write!(out, "limit name {key} map @{map}"),
            Self::CtHelper(helper) => write!(out, "ct helper set \"{helper}\""),
            Self::Snat(nat) => write!(out, "snat {nat}"),
            Self::Dnat(nat) => write!(out, "dnat {nat}"),
            Self::Redirect(port) => write!(out, "redirect to :{port}"),
        }
    }
}

impl Display for Rule {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for condition in &self.matches {
            write!(out, "{separator}{condition}")?;
            separator = " ";
        }
        for statement in &self.statements {
            write!(out, "{separator}{statement}")?;
            separator = " ";
        }
        match &self.comment {
            Some(comment) => write!(out, "{separator}comment \"{}\"", comment.replace('"', "'")),
            None => Ok(()),
        }
    }
}
