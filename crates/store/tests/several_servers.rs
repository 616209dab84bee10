//! Several servers on one PostgreSQL: what each may rely on while the others write, die, or lose the database.

#![allow(clippy::unwrap_used, clippy::panic)] // The helpers are tests too.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use store::testing::{Server, TestDatabase};
use store::{Change, Changes, Migration, Operation, Store, StoreError, params};

const SCHEMA: Migration = Migration {
    name: "test/0001",
    sql: "CREATE TABLE slot (number BIGINT NOT NULL, owner TEXT NOT NULL);
          CREATE TABLE item (id BIGINT PRIMARY KEY, twin BIGINT NOT NULL);",
};
const SERVERS: usize = 3;
const THREADS: usize = 4;
const UNITS: usize = 40;

fn servers(database: &TestDatabase) -> Vec<Store> {
    // All at once, as after a power cut: who comes first makes the tables, nobody fails.
    let opened: Vec<_> = thread::scope(|scope| {
        let open = || {
            let store = database.open();
            store.migrate(&[SCHEMA]).unwrap();
            store
        };
        let threads: Vec<_> = (0..SERVERS).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    opened
}

/// Reads the change log as a feed does, woken by the watch only, until it has seen `until` changes.
fn follow(store: &Store, until: usize) -> Vec<Change> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut watch = store.revision_watch();
    let mut seen: Vec<Change> = Vec::new();
    while seen.len() < until {
        let from = seen.last().map_or(0, |change| change.revision);
        let page = store.read_blocking(move |snapshot| snapshot.changes_since(from, 7)).unwrap();
        match page {
            Changes::Page(page) if page.is_empty() => runtime.block_on(watch.changed()).unwrap(),
            Changes::Page(page) => seen.extend(page),
            Changes::Trimmed { .. } => panic!("nobody trims"),
        }
    }
    seen
}

/// The classic: read the highest number, take the next. Nothing but the order of writers keeps it unique.
fn take_a_slot(store: &Store, owner: String, then_fail: bool) -> Result<u64, StoreError> {
    store.write_blocking(move |tx| {
        let number = tx.count("SELECT coalesce(max(number), 0) + 1 FROM slot", &[])?;
        tx.execute("INSERT INTO slot (number, owner) VALUES (?1, ?2)", params![number, &owner])?;
        tx.log_change("slot", &number.to_string(), Operation::Create, None)?;
        if then_fail { Err(StoreError::Closed) } else { Ok(number) }
    })
}

#[test]
fn what_is_read_and_then_written_is_never_overtaken_and_every_feed_sees_every_change_once() {
    let database = TestDatabase::shared();
    let stores = servers(&database);
    let expected = SERVERS * THREADS * UNITS;
    thread::scope(|scope| {
        let followers: Vec<_> = stores.iter().map(|store| scope.spawn(move || follow(store, expected))).collect();
        let mut writers = Vec::new();
        for (server, store) in stores.iter().enumerate() {
            for lane in 0..THREADS {
                writers.push(scope.spawn(move || {
                    let taken = (0..UNITS).map(|unit| {
                        let owner = format!("{server}-{lane}-{unit}");
                        // Units that fail leave neither a slot nor a hole behind.
                        assert!(take_a_slot(store, owner.clone(), true).is_err());
                        take_a_slot(store, owner, false).unwrap()
                    });
                    taken.collect::<Vec<_>>()
                }));
            }
        }
        let taken: Vec<u64> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        assert_eq!(taken.iter().copied().collect::<BTreeSet<_>>().len(), expected);
        for follower in followers {
            let seen = follower.join().unwrap();
            let revisions: Vec<u64> = seen.iter().map(|change| change.revision).collect();
            assert_eq!(revisions, (1..=expected as u64).collect::<Vec<_>>(), "in order, without gaps");
            let slots: Vec<String> = seen.into_iter().map(|change| change.id).collect();
            assert_eq!(slots, (1..=expected).map(|slot| slot.to_string()).collect::<Vec<_>>());
        }
    });
    let rows = stores[0].read_blocking(|snap| snap.count("SELECT count(*) FROM slot", &[])).unwrap();
    assert_eq!(rows, expected as u64);
}

#[test]
fn a_reader_keeps_its_snapshot_while_another_server_writes() {
    let database = TestDatabase::shared();
    let stores = servers(&database);
    stores[0]
        .read_blocking(|snapshot| {
            assert_eq!(snapshot.count("SELECT count(*) FROM slot", &[])?, 0);
            take_a_slot(&stores[1], "other".into(), false)?;
            assert_eq!(snapshot.count("SELECT count(*) FROM slot", &[])?, 0);
            assert_eq!(snapshot.revision()?, 0);
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(stores[0].read_blocking(|snapshot| snapshot.revision()).unwrap(), 1);
}

/// The database is killed twice under writers on two servers. What was acknowledged is there, what failed is not, nothing is
/// half there, and no unit was run twice with effect.
#[test]
fn a_database_that_crashes_loses_nothing_that_was_answered() {
    let server = Server::start(true);
    let database = server.database();
    let stores = servers(&database);
    let (kept, failed, doubtful) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let end = AtomicBool::new(false);
    let write = |store: &Store, id: i64| {
        let outcome = store.write_blocking(move |tx| {
            // A second run after a first that was kept would be refused by the key.
            tx.execute("INSERT INTO item (id, twin) VALUES (?1, ?2)", params![id, -id])?;
            tx.execute("INSERT INTO item (id, twin) VALUES (?1, ?2)", params![-id, id])?;
            tx.log_change("item", &id.to_string(), Operation::Create, None)
        });
        match outcome {
            Ok(revision) => kept.lock().unwrap().push((revision, id)),
            Err(StoreError::Unknown { .. }) => doubtful.lock().unwrap().push(id),
            Err(StoreError::Disconnected { .. } | StoreError::Busy) => failed.lock().unwrap().push(id),
            Err(other) => panic!("unit {id}: {other:?}"),
        }
    };
    thread::scope(|scope| {
        for (number, store) in stores.iter().take(2).enumerate() {
            for lane in 0..THREADS {
                let (write, end) = (&write, &end);
                scope.spawn(move || {
                    let first = (number * THREADS + lane) as i64 * 1_000_000 + 1;
                    for id in first.. {
                        write(store, id);
                        if end.load(Ordering::SeqCst) {
                            break;
                        }
                    }
                });
            }
        }
        for crash in 1..=2 {
            // Not before writes have gone through, so that the crash strikes in their midst.
            let enough = crash * 200;
            while kept.lock().unwrap().len() < enough {
                thread::yield_now();
            }
            database.server().crash();
        }
        let after = kept.lock().unwrap().len() + 200;
        while kept.lock().unwrap().len() < after {
            thread::yield_now();
        }
        end.store(true, Ordering::SeqCst);
    });
    let (ids, logged) = stores[2]
        .read_blocking(|snapshot| {
            let ids: BTreeSet<i64> =
                snapshot.query("SELECT id FROM item", &[], |row| row.get(0))?.into_iter().collect();
            let logged: Vec<(u64, i64)> =
                snapshot.query("SELECT revision, id FROM change_log ORDER BY revision", &[], |row| {
                    Ok((row.get(0)?, row.parse(1)?))
                })?;
            Ok::<_, StoreError>((ids, logged))
        })
        .unwrap();
    let known: BTreeSet<(u64, i64)> = logged.iter().copied().collect();
    for (revision, id) in kept.lock().unwrap().iter() {
        assert!(known.contains(&(*revision, *id)), "acknowledged unit {id} is lost");
    }
    for id in failed.lock().unwrap().iter() {
        assert!(!ids.contains(id), "unit {id} failed and is there");
    }
    for id in &ids {
        assert!(ids.contains(&-id), "item {id} without its twin");
    }
    assert_eq!(ids.len(), logged.len() * 2);
    let revisions: Vec<u64> = logged.iter().map(|(revision, _)| *revision).collect();
    assert_eq!(revisions, (1..=logged.len() as u64).collect::<Vec<_>>());
}

/// The secret in the URL is in no text that a log could show.
#[test]
fn a_password_is_not_shown() {
    let refused = Store::open("postgresql://me:s3cret@/nowhere?host=/nonexistent").unwrap_err();
    let mut said = format!("{refused} {refused:?}");
    let mut source = std::error::Error::source(&refused);
    while let Some(cause) = source {
        said.push_str(&format!("{cause} {cause:?}"));
        source = cause.source();
    }
    assert!(!said.contains("s3cret"), "{said}");
    assert!(said.contains("postgresql://me@/nowhere"), "{said}");

    let database = TestDatabase::shared();
    let url = format!("{}&password=s3cret", database.place().display());
    let shown = format!("{:?}", Store::open(url).unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn a_database_that_sorts_otherwise_is_refused() {
    let database = Server::any().database_with("TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'");
    let refused = Store::open(database.place()).unwrap_err();
    let reason = std::error::Error::source(&refused).unwrap().to_string();
    assert!(reason.contains("collation C"), "{reason}");
}
