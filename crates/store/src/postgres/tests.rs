//! What becomes of a transaction whose COMMIT was not answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Postgres, Target};
use crate::session::{Session, Tx};
use crate::testing::{Server, TestDatabase};
use crate::{Operation, StoreError};

/// Waits for a server that is being started.
fn writer(database: &TestDatabase) -> Postgres {
    let target = Arc::new(Target::parse(database.place().to_str().unwrap()).unwrap());
    let since = Instant::now();
    loop {
        match Postgres::open_writer(&target) {
            Ok(session) => return session,
            Err(error) => assert!(since.elapsed() < Duration::from_secs(60), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// After a crash the database gives numbers anew that nothing on the disk had: of transactions as of changes.
#[test]
fn a_number_that_is_another_s_by_now_is_no_proof() {
    let database = Server::start(true).database();
    let store = database.open();
    let lost = writer(&database);
    lost.begin().unwrap();
    let revision = Tx::new(&lost).log_change("item", "lost", Operation::Create, None).unwrap();
    let number: u64 = lost.inner.borrow().transaction.as_deref().unwrap().parse().unwrap();
    database.server().crash();
    // Others' transactions, until one of them has had the number.
    let after = loop {
        let others = writer(&database);
        others.begin().unwrap();
        let revision = Tx::new(&others).log_change("item", "other", Operation::Create, None).unwrap();
        let given: u64 = others.inner.borrow().transaction.as_deref().unwrap().parse().unwrap();
        others.commit(Some(revision)).unwrap();
        if given >= number {
            break given;
        }
    };
    assert_eq!(after, number, "the number was not given anew: the test shows nothing");
    let outcome = lost.commit(Some(revision));
    assert!(matches!(outcome, Err(StoreError::Disconnected { .. })), "{outcome:?}");
    drop(store);
}

#[test]
fn a_commit_that_was_kept_is_known_by_its_mark() {
    let database = TestDatabase::shared();
    let store = database.open();
    let session = writer(&database);
    session.begin().unwrap();
    let revision = Tx::new(&session).log_change("item", "kept", Operation::Create, None).unwrap();
    let (number, mark) = {
        let inner = session.inner.borrow();
        (inner.transaction.clone().unwrap(), inner.mark_of(Some(revision)))
    };
    assert!(mark.is_some());
    session.commit(Some(revision)).unwrap();
    let cause = || std::io::Error::other("no answer");
    let fate = |number: &str, mark| session.inner.borrow_mut().fate(&session.target, number, mark, cause());
    fate(&number, mark).unwrap();
    let without = fate(&number, None);
    assert!(matches!(without, Err(StoreError::Unknown { .. })), "nothing says whose it was: {without:?}");
    let others = Some((revision, "00000000-0000-4000-8000-000000000000".to_owned()));
    let others = fate(&number, others);
    assert!(matches!(others, Err(StoreError::Disconnected { .. })), "{others:?}");
    drop(store);
}
