use super::*;
use crate::testing::TestDatabase;
use proptest::prelude::*;

const THINGS: Tally = Tally { name: "thing", table: "things", owner: "project_id" };
const PARTS: Tally = Tally { name: "part", table: "parts", owner: "project_id" };

const SCHEMA: Migration = Migration {
    name: "test/0001",
    sql: "CREATE TABLE things (id BIGINT PRIMARY KEY, project_id TEXT NOT NULL);
          CREATE TABLE parts (thing BIGINT NOT NULL REFERENCES things (id) ON DELETE CASCADE, project_id TEXT NOT NULL);",
};

fn store() -> (Store, TestDatabase) {
    let database = TestDatabase::new();
    let store = database.open();
    store.migrate(&[SCHEMA]).unwrap();
    (store, database)
}

fn run(store: &Store, sql: &'static str, params: [u8; 2]) {
    let outcome = store.write_blocking(move |tx| tx.execute(sql, &[params[0].into(), params[1].into()]));
    // A statement that breaks a rule of the tables changes nothing, and no tally either.
    drop(outcome);
}

fn check(store: &Store) {
    store
        .read_blocking(|snapshot| {
            for tally in [THINGS, PARTS] {
                for owner in ["0", "1", "2"] {
                    let sql = format!("SELECT count(*) FROM {} WHERE {} = ?1", tally.table, tally.owner);
                    let counted = snapshot.count(&sql, params![owner])?;
                    assert_eq!(snapshot.tally(owner, tally.name)?, counted, "{} of {owner}", tally.name);
                }
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

const STATEMENTS: [&str; 7] = [
    "INSERT INTO things (id, project_id) VALUES (?1 % 5, ?2 % 3)",
    "INSERT INTO parts (thing, project_id) VALUES (?1 % 5, ?2 % 3)",
    "INSERT INTO parts (thing, project_id) SELECT id, ?2 % 3 FROM things WHERE id <> ?1",
    "DELETE FROM things WHERE id = ?1 % 5 AND ?2 = ?2",
    "DELETE FROM parts WHERE thing = ?1 % 5 AND ?2 = ?2",
    "UPDATE parts SET project_id = ?2 % 3 WHERE thing = ?1 % 5",
    "INSERT INTO things (id, project_id) VALUES (?1 % 5, ?2 % 3) ON CONFLICT (id) DO UPDATE SET project_id = excluded.project_id",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_tally_is_what_counting_gives(
        steps in proptest::collection::vec((0..STATEMENTS.len(), any::<[u8; 2]>()), 1..40),
        start in 0usize..40,
    ) {
        let (store, _database) = store();
        for (index, (statement, params)) in steps.into_iter().enumerate() {
            // From some moment on, with rows there already; and again later, as by a restart.
            if index == start || index == start + 5 {
                store.keep_tallies(&[THINGS, PARTS]).unwrap();
            }
            run(&store, STATEMENTS[statement], params);
            if index >= start {
                check(&store);
            }
        }
        store.keep_tallies(&[THINGS, PARTS]).unwrap();
        check(&store);
    }
}

#[test]
fn what_is_undone_is_not_counted() {
    let (store, _database) = store();
    store.keep_tallies(&[THINGS]).unwrap();
    let held = store.write_blocking(|tx| {
        tx.execute("INSERT INTO things (id, project_id) VALUES (1, 'a')", &[])?;
        let refused: Result<(), StoreError> = tx.savepoint(|tx| {
            tx.execute("INSERT INTO things (id, project_id) VALUES (2, 'a')", &[])?;
            assert_eq!(tx.tally("a", "thing")?, 2);
            Err(StoreError::Closed)
        });
        assert!(refused.is_err());
        assert_eq!(tx.tally("nobody", "thing")?, 0);
        tx.tally("a", "thing")
    });
    assert_eq!(held.unwrap(), 1);
    assert_eq!(store.read_blocking(|snapshot| snapshot.tally("a", "thing")).unwrap(), 1);
}

#[test]
fn a_wrong_tally_is_mended_at_the_next_start() {
    let (store, _database) = store();
    store.keep_tallies(&[THINGS]).unwrap();
    let write = |sql: &'static str| store.write_blocking(move |tx| tx.execute(sql, &[])).unwrap();
    write("INSERT INTO things (id, project_id) VALUES (1, 'a')");
    write("UPDATE tally SET amount = 7");
    write("INSERT INTO tally (owner, name, amount) VALUES ('gone', 'thing', 3)");
    store.keep_tallies(&[THINGS]).unwrap();
    let tally = |owner: &'static str| store.read_blocking(move |snapshot| snapshot.tally(owner, "thing")).unwrap();
    assert_eq!((tally("a"), tally("gone")), (1, 0));
}
