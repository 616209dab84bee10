//! Everything that octets from a peer can reach, in one call: for the fuzzer, and for tests with arbitrary octets.

use crate::model::Database;
use crate::{Cache, Framer, Message, MonitorMethod, Operation, Schema, Transaction, Update};
use serde_json::Value as Json;

/// Takes octets as both sides of a connection would. Nothing of it may panic; what was understood must read back the same
/// once written. The stream may hold at most a mebibyte per message.
pub fn fuzz_decode(octets: &[u8]) {
    let mut framer = Framer::with_max_size(1 << 20);
    // In two pieces, so that the framer has to remember.
    let (first, second) = octets.split_at(octets.len() / 2);
    let mut database = Database::open_vswitch();
    let mut cache = Cache::new(database.schema().clone());
    for piece in [first, second] {
        framer.feed(piece);
        while let Ok(Some(json)) = framer.next_value() {
            take(&mut database, &mut cache, json);
        }
    }
}

fn take(database: &mut Database, cache: &mut Cache, json: Json) {
    let Ok(message) = Message::from_json(json) else { return };
    assert_eq!(Message::from_json(message.to_json()).as_ref(), Ok(&message));
    match message {
        Message::Notification { method, params } => {
            if let Ok(Some(update)) = Update::from_notification(&method, &params) {
                drop(cache.apply(update));
            }
        }
        Message::Response { result: Ok(result), .. } => {
            drop(Schema::from_json(&result));
            for method in [MonitorMethod::CondSince, MonitorMethod::Cond, MonitorMethod::Plain] {
                if let Ok(update) = method.reply(&result) {
                    drop(cache.apply(update));
                }
            }
            drop(Transaction::new().outcome(&result));
            drop(Transaction::from_iter([Operation::Comment(String::new())]).outcome(&result));
        }
        Message::Response { .. } => {}
        Message::Request { params, .. } => {
            let operations = params.as_array().into_iter().flatten().map(Operation::from_json);
            let transaction: Transaction = operations.filter_map(Result::ok).collect();
            for operation in transaction.operations() {
                assert_eq!(Operation::from_json(&operation.to_json()).as_ref(), Ok(operation));
            }
            let (result, update) = database.transact(&transaction);
            drop(transaction.outcome(&result));
            drop(cache.apply(database.snapshot()));
            drop(cache.apply(update));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEEDS: [&[u8]; 5] = [
        include_bytes!("../../../fuzz/seeds/ovsdb/monitor_cond_since"),
        include_bytes!("../../../fuzz/seeds/ovsdb/updates"),
        include_bytes!("../../../fuzz/seeds/ovsdb/transact"),
        include_bytes!("../../../fuzz/seeds/ovsdb/results"),
        include_bytes!("../../../fuzz/seeds/ovsdb/schema"),
    ];

    /// Seeds are understood, or they would lead the fuzzer nowhere.
    #[test]
    fn seeds_are_messages() {
        for seed in SEEDS {
            let mut framer = Framer::default();
            framer.feed(seed);
            let mut count = 0;
            while let Some(json) = framer.next_value().unwrap() {
                Message::from_json(json).unwrap();
                count += 1;
            }
            assert!(count > 0);
            fuzz_decode(seed);
        }
    }

    proptest! {
        #[test]
        fn any_octets_do_no_harm(octets: Vec<u8>) {
            fuzz_decode(&octets);
        }

        /// Whole tokens change places: deeper than random octets ever get.
        #[test]
        fn damaged_messages_do_no_harm(
            seed in 0usize..SEEDS.len(),
            swaps in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
        ) {
            let text = std::str::from_utf8(SEEDS[seed]).unwrap();
            let mut tokens: Vec<&str> = text.split_inclusive([',', ':', '[', ']', '{', '}']).collect();
            for (one, other) in swaps {
                let (one, other) = (one.index(tokens.len()), other.index(tokens.len()));
                // Brackets keep their places, so that it stays JSON.
                let frame = |token: &str| token.trim_matches(|c: char| !"[]{},:".contains(c)).to_owned();
                if frame(tokens[one]) == frame(tokens[other]) {
                    tokens.swap(one, other);
                }
            }
            fuzz_decode(tokens.concat().as_bytes());
        }
    }
}
