//! The promises of the store, tried on real files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::session::Session;
use crate::testing::TestDatabase;
use crate::{Change, Changes, Migration, Operation, Options, Store, StoreError, Tx, Value, params};

const SCHEMA: Migration = Migration {
    name: "test/0001",
    sql: "CREATE TABLE parent (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE CHECK (name <> ''));
          CREATE TABLE child (id BIGINT PRIMARY KEY, parent BIGINT NOT NULL REFERENCES parent (id)
              DEFERRABLE INITIALLY DEFERRED);",
};

fn open() -> (TestDatabase, Store) {
    let database = TestDatabase::new();
    let store = database.open();
    store.migrate(&[SCHEMA]).unwrap();
    (database, store)
}

/// On SQLite, whatever the run is for: a small disk is its affair.
fn open_small(pages: u32) -> (TestDatabase, Store) {
    let database = TestDatabase::file();
    let options = Options { max_pages: Some(pages), ..Options::default() };
    let store = Store::open_with(database.place(), &options).unwrap();
    store.migrate(&[SCHEMA]).unwrap();
    (database, store)
}

fn insert(tx: &Tx<'_>, id: i64, name: &str) -> Result<u64, StoreError> {
    tx.execute("INSERT INTO parent (id, name) VALUES (?1, ?2)", params![id, name])?;
    tx.log_change("parent", &id.to_string(), Operation::Create, None)
}

fn ids(store: &Store) -> Vec<i64> {
    store.read_blocking(|snap| snap.query("SELECT id FROM parent ORDER BY id", &[], |row| row.get(0))).unwrap()
}

/// Holds the writer inside a unit of work until the returned guard is dropped, so that a test decides what queues up.
struct Gate(Option<std::sync::mpsc::Sender<()>>);
impl Gate {
    fn close(store: &Store) -> Self {
        let (open, wait) = std::sync::mpsc::channel::<()>();
        let (entered, inside) = std::sync::mpsc::channel::<()>();
        let store = store.clone();
        std::thread::spawn(move || {
            store.write_blocking(move |_| {
                let _ = entered.send(());
                let _ = wait.recv();
                Ok::<_, StoreError>(())
            })
        });
        inside.recv().unwrap();
        Self(Some(open))
    }
    fn open(mut self) {
        self.0.take();
    }
}

/// The runtime of a test has one thread: once the test has given way often enough for every task to have had its turn, each
/// has put its unit into the queue.
async fn let_all_queue() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_write_is_read_back_and_logged() {
    let (_database, store) = open();
    let mut watch = store.revision_watch();
    assert_eq!(*watch.borrow_and_update(), 0);
    let revision = store.write(|tx| insert(tx, 1, "a")).await.unwrap();
    assert_eq!(revision, 1);
    assert!(watch.has_changed().unwrap());
    assert_eq!(*watch.borrow_and_update(), 1);
    let (name, seen): (String, u64) = store
        .read(|snap| {
            let name = snap.query_opt("SELECT name FROM parent WHERE id = ?1", params![1], |row| row.get(0))?;
            Ok::<_, StoreError>((name.unwrap(), snap.revision()?))
        })
        .await
        .unwrap();
    assert_eq!((name.as_str(), seen), ("a", 1));
}

#[tokio::test]
async fn concurrent_writers_share_commits_and_each_gets_its_own_answer() {
    let (_database, store) = open();
    let before = store.stats();
    let gate = Gate::close(&store);
    let writers: Vec<_> = (1..=50)
        .map(|id| {
            let store = store.clone();
            tokio::spawn(async move { store.write(move |tx| insert(tx, id, &format!("n{id}"))).await })
        })
        .collect();
    let_all_queue().await;
    gate.open();
    let mut revisions = Vec::new();
    for writer in writers {
        revisions.push(writer.await.unwrap().unwrap());
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=50).collect::<Vec<_>>());
    let after = store.stats();
    assert_eq!(after.units - before.units, 51);
    assert_eq!(after.commits - before.commits, 1, "the gate's unit and all fifty behind it share one COMMIT");
}

#[tokio::test]
async fn one_failing_unit_does_not_touch_its_neighbours() {
    let (_database, store) = open();
    let before = store.stats();
    let gate = Gate::close(&store);
    let units: Vec<_> = (1..=9)
        .map(|id| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write(move |tx| {
                        insert(tx, id, &format!("n{id}"))?;
                        match id % 3 {
                            0 => insert(tx, id + 100, "n1"),
                            1 => Ok(0),
                            _ => panic!("a bug in unit {id}"),
                        }
                    })
                    .await
            })
        })
        .collect();
    let_all_queue().await;
    gate.open();
    for (id, unit) in (1..=9).zip(units) {
        match (id % 3, unit.await.unwrap()) {
            (1, Ok(_)) => {}
            (0, Err(StoreError::UniqueViolation { columns })) => assert_eq!(columns, "parent.name"),
            (2, Err(StoreError::Panicked { message })) => assert_eq!(message, format!("a bug in unit {id}")),
            (_, other) => panic!("unit {id}: {other:?}"),
        }
    }
    assert_eq!(ids(&store), [1, 4, 7]);
    let Changes::Page(changes) = store.read_blocking(|snap| snap.changes_since(0, 100)).unwrap() else { panic!() };
    assert_eq!(changes.iter().map(|change| change.id.as_str()).collect::<Vec<_>>(), ["1", "4", "7"]);
    assert_eq!(store.stats().commits - before.commits, 1);
}

/// A reference that is checked at COMMIT makes the whole group fail; only the guilty unit may learn of it.
#[tokio::test]
async fn a_refused_commit_costs_only_the_unit_that_caused_it() {
    let (_database, store) = open();
    let gate = Gate::close(&store);
    let good = tokio::spawn({
        let store = store.clone();
        async move { store.write(|tx| insert(tx, 1, "good")).await }
    });
    let orphan = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .write(|tx| {
                    tx.execute("INSERT INTO child (id, parent) VALUES (1, 999)", &[])?;
                    tx.log_change("child", "1", Operation::Create, None)
                })
                .await
        }
    });
    let_all_queue().await;
    gate.open();
    good.await.unwrap().unwrap();
    assert!(matches!(orphan.await.unwrap(), Err(StoreError::ForeignKeyViolation)));
    assert_eq!(ids(&store), [1]);
    assert_eq!(*store.revision_watch().borrow(), 1);
}

#[test]
fn a_reader_sees_one_snapshot_whatever_is_committed_meanwhile() {
    let (_database, store) = open();
    store.write_blocking(|tx| insert(tx, 1, "a")).unwrap();
    let writer = store.clone();
    store
        .read_blocking(|snap| {
            assert_eq!(snap.count("SELECT count(*) FROM parent", &[])?, 1);
            writer.write_blocking(|tx| insert(tx, 2, "b"))?;
            assert_eq!(snap.count("SELECT count(*) FROM parent", &[])?, 1);
            assert_eq!(snap.revision()?, 1);
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(ids(&store), [1, 2]);
}

#[test]
fn readers_cannot_write() {
    let (_database, store) = open();
    let refused =
        store.read_blocking(|snap| snap.query("INSERT INTO parent VALUES (1, 'a') RETURNING id", &[], |_| Ok(())));
    assert!(matches!(refused, Err(StoreError::Statement { .. })), "{refused:?}");
    assert_eq!(ids(&store), Vec::<i64>::new());
}

#[test]
fn a_reader_that_panics_leaves_the_pool_usable() {
    let (_database, store) = open();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for _ in 0..20 {
        let outcome = runtime.block_on(store.read(|_| -> Result<(), StoreError> { panic!("a bug in a reader") }));
        assert!(matches!(outcome, Err(StoreError::Panicked { .. })));
    }
    store.write_blocking(|tx| insert(tx, 1, "a")).unwrap();
    assert_eq!(ids(&store), [1]);
}

#[test]
fn migrations_are_applied_once_and_their_text_is_held() {
    let (database, store) = open();
    store.write_blocking(|tx| insert(tx, 1, "kept")).unwrap();
    let second = Migration { name: "test/0002", sql: "ALTER TABLE parent ADD COLUMN note TEXT" };
    store.migrate(&[SCHEMA, second]).unwrap();
    store.migrate(&[SCHEMA, second]).unwrap();
    drop(store);
    let store = database.open();
    store.migrate(&[SCHEMA, second]).unwrap();
    assert_eq!(ids(&store), [1]);

    let changed = Migration { sql: "CREATE TABLE other (id TEXT)", ..second };
    assert!(matches!(store.migrate(&[changed]), Err(StoreError::MigrationChanged { name }) if name == "test/0002"));
    let broken = [
        Migration { name: "test/0003", sql: "CREATE TABLE half (id BIGINT)" },
        Migration { name: "test/0004", sql: "CREATE TABLE half (id BIGINT)" },
    ];
    assert!(matches!(store.migrate(&broken), Err(StoreError::Migrate { name, .. }) if name == "test/0004"));
    store.migrate(&broken[..1]).unwrap();
}

#[test]
fn a_full_disk_is_an_error_and_nothing_of_it_is_kept() {
    let (_database, store) = open_small(40);
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for id in 0..100 {
        match store.write_blocking(move |tx| insert(tx, id, &format!("{id}-{}", "x".repeat(3000)))) {
            Ok(_) => acknowledged.push(id),
            Err(StoreError::Full) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(refused > 0 && !acknowledged.is_empty());
    assert_eq!(ids(&store), acknowledged);
    // A unit that swallows the error gets no further: it is answered truthfully.
    let swallowed = store.write_blocking(|tx| {
        let _ = tx.execute("INSERT INTO parent (id, name) VALUES (1000, ?1)", params!["y".repeat(200_000)]);
        Ok::<_, StoreError>(())
    });
    drop(swallowed);
    assert_eq!(ids(&store), acknowledged);
    // Space again: the store works on.
    store.write_blocking(|tx| tx.execute("DELETE FROM parent", &[])).unwrap();
    store.write_blocking(|tx| insert(tx, 1, "again")).unwrap();
}

/// Some of a group do not fit: those that were answered with success are there, the others are not.
#[tokio::test]
async fn in_a_group_on_a_full_disk_only_what_is_kept_is_acknowledged() {
    let (_database, store) = open_small(60);
    let gate = Gate::close(&store);
    let writers: Vec<_> = (0..100)
        .map(|id| {
            let store = store.clone();
            tokio::spawn(
                async move { store.write(move |tx| insert(tx, id, &format!("{id}-{}", "x".repeat(3000)))).await },
            )
        })
        .collect();
    let_all_queue().await;
    gate.open();
    let mut acknowledged = Vec::new();
    for (id, writer) in (0..100).zip(writers) {
        match writer.await.unwrap() {
            Ok(_) => acknowledged.push(id),
            Err(StoreError::Full | StoreError::Transaction { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(acknowledged.len() < 100);
    assert_eq!(ids(&store), acknowledged);
}

#[test]
fn the_change_log_pages_and_trims() {
    let (_database, store) = open();
    for id in 1..=10 {
        store
            .write_blocking(move |tx| {
                let extra = serde_json::json!({"host": "compute1"});
                tx.log_change("port", &id.to_string(), Operation::Update, Some(&extra))
            })
            .unwrap();
    }
    let since = |revision, limit| store.read_blocking(move |snap| snap.changes_since(revision, limit)).unwrap();
    let Changes::Page(page) = since(7, 2) else { panic!() };
    let expected = |revision: u64| Change {
        revision,
        resource: "port".into(),
        id: revision.to_string(),
        op: Operation::Update,
        extra: Some(serde_json::json!({"host": "compute1"})),
    };
    assert_eq!(page, [expected(8), expected(9)]);
    assert_eq!(since(10, 5), Changes::Page(vec![]));

    assert_eq!(store.write_blocking(|tx| tx.trim_changes(4)).unwrap(), 6);
    assert_eq!(since(5, 5), Changes::Trimmed { up_to: 6 });
    assert!(matches!(since(6, 100), Changes::Page(page) if page.len() == 4));
    // Even when all is trimmed the revision stays and grows.
    store.write_blocking(|tx| tx.trim_changes(0)).unwrap();
    assert_eq!(store.read_blocking(|snap| snap.revision()).unwrap(), 10);
    assert_eq!(store.write_blocking(|tx| tx.log_change("port", "x", Operation::Delete, None)).unwrap(), 11);
}

#[test]
fn a_savepoint_undoes_only_its_part() {
    let (_database, store) = open();
    store
        .write_blocking(|tx| {
            insert(tx, 1, "a")?;
            let refused: Result<u64, StoreError> = tx.savepoint(|tx| {
                insert(tx, 2, "b")?;
                tx.savepoint(|tx| insert(tx, 3, "a"))
            });
            assert!(refused.unwrap_err().is_unique_violation());
            tx.savepoint(|tx| insert(tx, 4, "d"))?;
            assert_eq!(tx.revision()?, 2);
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(ids(&store), [1, 4]);
    assert_eq!(*store.revision_watch().borrow(), 2);
}

#[test]
fn constraints_are_told_apart() {
    let (_database, store) = open();
    let refused = |sql: &'static str| store.write_blocking(move |tx| tx.execute(sql, &[])).unwrap_err();
    assert!(matches!(refused("INSERT INTO parent VALUES (1, '')"), StoreError::CheckViolation { .. }));
    assert!(matches!(refused("INSERT INTO parent VALUES (1, NULL)"), StoreError::CheckViolation { .. }));
    assert!(matches!(refused("INSERT INTO child VALUES (1, 5)"), StoreError::ForeignKeyViolation));
    assert!(matches!(refused("INSERT INTO nowhere VALUES (1)"), StoreError::Statement { .. }));
}

#[test]
fn columns_are_checked_not_guessed() {
    let (_database, store) = open();
    let read = |sql: &'static str| store.read_blocking(move |snap| snap.query_opt(sql, &[], |row| row.get::<u8>(0)));
    assert_eq!(read("SELECT 255").unwrap(), Some(255));
    for sql in ["SELECT 256", "SELECT -1", "SELECT 'a'", "SELECT NULL", "SELECT x'00'"] {
        assert!(matches!(read(sql), Err(StoreError::Column { index: 0, expected: "a u8", .. })), "{sql}");
    }
    let past = store.read_blocking(|snap| snap.query_opt("SELECT 1", &[], |row| row.get::<u8>(7)));
    assert!(matches!(past, Err(StoreError::Column { index: 7, .. })));
    let found: Option<(Option<String>, Value<'static>, bool)> = store
        .read_blocking(|snap| {
            snap.query_opt("SELECT ?1, ?2, ?3", params![None::<&str>, vec![1_u8], true], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
        })
        .unwrap();
    assert_eq!(found, Some((None, Value::Blob(vec![1].into()), true)));
}

#[test]
fn a_unit_that_holds_the_last_handle_does_not_lock_up_the_end() {
    let (database, store) = open();
    let ran = Arc::new(AtomicBool::new(false));
    let inner = store.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let flag = Arc::clone(&ran);
    let unit = async move {
        inner
            .clone()
            .write(move |tx| {
                let _held = &inner;
                flag.store(true, Ordering::SeqCst);
                insert(tx, 1, "a")
            })
            .await
    };
    drop(store);
    runtime.block_on(unit).unwrap();
    assert!(ran.load(Ordering::SeqCst));
    assert_eq!(ids(&database.open()), [1]);
}

#[test]
fn a_unit_cannot_wait_for_another() {
    let (_database, store) = open();
    let inner = store.clone();
    let nested = store.write_blocking(move |tx| {
        insert(tx, 1, "outer")?;
        inner.write_blocking(|tx| insert(tx, 2, "inner"))
    });
    assert!(matches!(nested, Err(StoreError::Nested)));
    assert_eq!(ids(&store), Vec::<i64>::new());
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("junk.db");
    std::fs::write(&path, "this is not a database, and long enough to be looked at as one".repeat(20)).unwrap();
    let refused = Store::open(&path).unwrap_err();
    assert!(matches!(&refused, StoreError::Open { path, .. } if path.ends_with("junk.db")), "{refused:?}");
    assert!(Store::open(folder.path().join("absent/folder.db")).is_err());
}

#[test]
fn a_unit_is_counted_once_even_when_its_group_ran_twice() {
    let (_database, store) = open();
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let gate = Gate::close(&store);
    let (first, second) = (store.clone(), store.clone());
    let first = std::thread::spawn(move || {
        first.write_blocking(move |tx| {
            counted.fetch_add(1, Ordering::SeqCst);
            insert(tx, 1, "a")
        })
    });
    let second = std::thread::spawn(move || {
        second.write_blocking(|tx| tx.execute("INSERT INTO child (id, parent) VALUES (1, 2)", &[]))
    });
    gate.open();
    first.join().unwrap().unwrap();
    second.join().unwrap().unwrap_err();
    assert!(runs.load(Ordering::SeqCst) >= 1);
    assert_eq!(ids(&store), [1]);
    assert_eq!(*store.revision_watch().borrow(), 1);
}

fn open_that_may_wait() -> (TestDatabase, Store) {
    let database = TestDatabase::new();
    let options = Options { may_wait: Some(|| true), ..Options::default() };
    let store = Store::open_with(database.place(), &options).unwrap();
    store.migrate(&[SCHEMA]).unwrap();
    (database, store)
}

#[tokio::test]
async fn a_thread_that_may_wait_writes_itself_while_nobody_else_does() {
    let (_database, store) = open_that_may_wait();
    let this = std::thread::current().id();
    let thread = |tx: &Tx<'_>| {
        let id = i64::try_from(tx.revision()?).unwrap() + 1;
        insert(tx, id, &format!("n{id}")).map(|revision| (revision, std::thread::current().id()))
    };
    assert_eq!(store.write(thread).await.unwrap(), (1, this));
    let gate = Gate::close(&store);
    let [first, second] = [1, 2].map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.write(thread).await })
    });
    let_all_queue().await;
    gate.open();
    for queued in [first, second] {
        assert_ne!(queued.await.unwrap().unwrap().1, this, "somebody was writing");
    }
    assert_eq!(store.write(thread).await.unwrap(), (4, this));
    assert_eq!(ids(&store), [1, 2, 3, 4]);
    assert_eq!(*store.revision_watch().borrow(), 4);
}

#[test]
fn who_was_answered_finds_the_connection_free() {
    let (_database, store) = open_that_may_wait();
    let (sender, receiver) = std::sync::mpsc::channel();
    let again = store.clone();
    let reply = move |first: Result<u64, StoreError>| {
        let ran = Arc::new(AtomicBool::new(false));
        let running = Arc::clone(&ran);
        let second = move |_: &Tx<'_>| {
            running.store(true, Ordering::SeqCst);
            Ok::<_, StoreError>(())
        };
        again.submit(second, drop, true).unwrap();
        sender.send((first, ran.load(Ordering::SeqCst))).unwrap();
    };
    store.submit(|tx| insert(tx, 1, "a"), reply, false).unwrap();
    let (first, at_once) = receiver.recv().unwrap();
    assert_eq!(first.unwrap(), 1);
    assert!(at_once, "the writer's thread answered and went on writing");
}

#[tokio::test]
async fn what_goes_wrong_on_the_caller_s_thread_costs_nobody_else() {
    let (_database, store) = open_that_may_wait();
    let refused = store.write(|tx| insert(tx, 1, "")).await;
    assert!(matches!(refused, Err(StoreError::CheckViolation { .. })), "{refused:?}");
    let panicked = store
        .write(|tx| -> Result<(), StoreError> {
            insert(tx, 2, "b")?;
            panic!("a bug")
        })
        .await;
    assert!(matches!(panicked, Err(StoreError::Panicked { .. })), "{panicked:?}");
    let dangling = store.write(|tx| tx.execute("INSERT INTO child (id, parent) VALUES (1, 7)", &[])).await;
    assert!(matches!(dangling, Err(StoreError::ForeignKeyViolation)), "{dangling:?}");
    let nested = store.clone();
    let nested = store.write(move |_| nested.write_blocking(|tx| insert(tx, 3, "c"))).await;
    assert!(matches!(nested, Err(StoreError::Nested)), "{nested:?}");
    store.write(|tx| insert(tx, 4, "d")).await.unwrap();
    store.write_blocking(|tx| insert(tx, 5, "e")).unwrap();
    assert_eq!(ids(&store), [4, 5]);
}

#[test]
fn revisions_go_on_over_the_change_of_their_table_and_are_never_given_twice() {
    let database = TestDatabase::file();
    {
        let session = crate::sqlite::Sqlite::open_writer(database.place()).unwrap();
        session.script(crate::migration::BOOTSTRAP).unwrap();
        let tx = Tx::new(&session);
        let old = [crate::change_log::MIGRATION, crate::tally::MIGRATION];
        crate::migration::apply(&tx, &old, jiff::Timestamp::now()).unwrap();
        session
            .script("INSERT INTO change_log (resource, id, op, extra) VALUES ('parent', '1', 'create', '{\"a\":1}')")
            .unwrap();
    }
    let store = database.open();
    store.migrate(&[SCHEMA]).unwrap();
    let known = store.read_blocking(|snap| snap.changes_since(0, 10)).unwrap();
    let Changes::Page(page) = known else { panic!("{known:?}") };
    assert_eq!((page[0].revision, page[0].id.as_str(), &page[0].extra), (1, "1", &Some(serde_json::json!({ "a": 1 }))));
    let revisions = store
        .write_blocking(|tx| {
            let first = insert(tx, 2, "b")?;
            assert_eq!(tx.trim_changes(0)?, 1, "the newest stays");
            Ok::<_, StoreError>((first, insert(tx, 3, "c")?))
        })
        .unwrap();
    assert_eq!(revisions, (2, 3));
}
