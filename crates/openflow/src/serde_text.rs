//! Flows, matches and actions are serialised in `ovs-ofctl` notation: a plan that is printed or stored reads as what
//! operators know.

use crate::{Error, Flow, Match, text};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, str::FromStr};

impl FromStr for Flow {
    type Err = Error;
    /// Without names of ports; see [`text::parse_flow`].
    fn from_str(text: &str) -> Result<Self, Error> {
        text::parse_flow(text, &|_| None)
    }
}

impl FromStr for Match {
    type Err = Error;
    /// Without names of ports; see [`text::parse_match`].
    fn from_str(text: &str) -> Result<Self, Error> {
        text::parse_match(text, &|_| None)
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {
        $(impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        })*
    };
}
as_text!(Flow Match);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;

    #[test]
    fn a_plan_is_stored_as_operators_read_it() {
        let flow = Flow::table(3).matching(Match::new().arp()).actions([Action::resubmit(4)]);
        let json = serde_json::to_string(&flow).unwrap();
        assert_eq!(json, r#""table=3, arp actions=resubmit(,4)""#);
        assert_eq!(serde_json::from_str::<Flow>(&json).unwrap(), flow);
        assert!(serde_json::from_str::<Match>(r#""reg99=1""#).is_err());
    }
}
