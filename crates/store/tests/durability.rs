//! What was answered is there after `kill -9`, in whatever moment it strikes.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use store::{Migration, Operation, Options, Store, StoreError, Tx, params};

const PATH: &str = "NEUTRONIUM_STORE_TEST_PATH";
const SCHEMA: Migration =
    Migration { name: "test/0001", sql: "CREATE TABLE item (id BIGINT PRIMARY KEY, twin BIGINT NOT NULL)" };

/// The process to be killed: eight threads write for ever and say what was acknowledged; every other one commits itself when
/// nobody else does. Started by the test below.
#[test]
#[ignore = "a helper process of the next test"]
fn child_that_writes_until_killed() {
    let Some(path) = std::env::var_os(PATH) else { panic!("only for acknowledged_writes_survive_kill_9") };
    let store = Store::open_with(path, &Options { may_wait: Some(|| true), ..Options::default() }).unwrap();
    store.migrate(&[SCHEMA]).unwrap();
    let first: i64 =
        store.read_blocking(|snap| snap.count("SELECT count(*) FROM item", &[])).unwrap().try_into().unwrap();
    let out = Arc::new(Mutex::new(std::io::stderr()));
    let threads: Vec<_> = (0..8)
        .map(|lane: i64| {
            let (store, out) = (store.clone(), Arc::clone(&out));
            let itself = lane % 2 == 0;
            let runtime = itself.then(|| tokio::runtime::Builder::new_current_thread().build().unwrap());
            std::thread::spawn(move || {
                for n in 0_i64.. {
                    let id = (first + n) * 8 + lane;
                    let unit = move |tx: &Tx<'_>| -> Result<u64, StoreError> {
                        tx.execute("INSERT INTO item (id, twin) VALUES (?1, ?2)", params![id, -id])?;
                        tx.execute("INSERT INTO item (id, twin) VALUES (?1, ?2)", params![-id - 1, id])?;
                        tx.log_change("item", &id.to_string(), Operation::Create, None)
                    };
                    let written = match &runtime {
                        Some(runtime) => runtime.block_on(store.write(unit)),
                        None => store.write_blocking(unit),
                    };
                    if let Ok(revision) = written {
                        writeln!(out.lock().unwrap(), "ACK {id} {revision}").unwrap();
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn acknowledged_writes_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let mut acknowledged = BTreeSet::new();
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_killed", "--ignored", "--nocapture"])
            .env(PATH, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut take = |line: String| {
            if let Some(rest) = line.strip_prefix("ACK ") {
                let (id, revision) = rest.split_once(' ').unwrap();
                acknowledged.insert((revision.parse::<u64>().unwrap(), id.parse::<i64>().unwrap()));
            }
        };
        for line in lines.by_ref().take(150 * round) {
            take(line.unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died, a torn last line aside.
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        let whole = rest.len().saturating_sub(1);
        rest.into_iter().take(whole).for_each(take);
    }
    assert!(acknowledged.len() > 1000);

    let store = Store::open(&path).unwrap();
    let rows: BTreeSet<i64> = store
        .read_blocking(|snap| snap.query("SELECT id FROM item", &[], |row| row.get(0)))
        .unwrap()
        .into_iter()
        .collect();
    let logged: BTreeSet<(u64, i64)> = store
        .read_blocking(|snap| {
            snap.query("SELECT revision, id FROM change_log", &[], |row| Ok((row.get(0)?, row.parse(1)?)))
        })
        .unwrap()
        .into_iter()
        .collect();
    for (revision, id) in &acknowledged {
        assert!(rows.contains(id), "acknowledged row {id} is lost");
        assert!(logged.contains(&(*revision, *id)), "the change of row {id} is lost");
    }
    for id in &rows {
        assert!(rows.contains(&(-id - 1)), "row {id} without its twin: half a unit of work");
    }
    assert_eq!(rows.len(), logged.len() * 2);
}
