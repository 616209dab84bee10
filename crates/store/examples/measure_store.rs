//! The figures of `docs/adr/0002-sql-layer.md` and `0003-group-commit.md`:
//! `cargo run --release -p store --example measure_store [folder]`; those of `0008-several-servers.md`:
//! `cargo build --release -p store --example measure_store`, then
//! `SYNC=on tools/with-postgres sh -c 'target/release/examples/measure_store "$NEUTRONIUM_TEST_POSTGRES"'`.
//!
//! CPU is user + system time of the whole process (getrusage), wall is elapsed time; both per operation.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use store::{Migration, Operation, Options, Store, StoreError, Tx, params};

const SCHEMA: Migration = Migration {
    name: "measure/0001",
    sql: "CREATE TABLE port (id TEXT PRIMARY KEY, name TEXT NOT NULL, network_id TEXT NOT NULL, mac TEXT NOT NULL,
              status TEXT NOT NULL, revision BIGINT NOT NULL, updated_at BIGINT NOT NULL);
          CREATE INDEX port_network ON port (network_id);",
};

fn cpu() -> Duration {
    getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Duration::from_micros(micros.try_into().unwrap_or(0))
    })
}

fn insert(tx: &Tx<'_>, id: &str) -> Result<usize, StoreError> {
    tx.execute(
        "INSERT INTO port (id, name, network_id, mac, status, revision, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![id, "a port", "5d9cd5d6-6b2e-4b8e-b9f5-6f6b7cb0a0a1", "fa:16:3e:00:00:01", "DOWN", 1, 1_700_000_000_000_000_i64],
    )
}

/// About what a port create does: some reads, some writes, one entry of the log.
fn port_create(tx: &Tx<'_>) -> Result<u64, StoreError> {
    let id = uuid::Uuid::new_v4().to_string();
    for _ in 0..12 {
        tx.exists("SELECT 1 FROM port WHERE id = ?1", params![&id])?;
    }
    insert(tx, &id)?;
    for revision in 2..=6 {
        tx.execute("UPDATE port SET revision = ?2 WHERE id = ?1", params![&id, revision])?;
    }
    tx.log_change("port", &id, Operation::Create, None)
}

struct Report(std::io::Stdout);
impl Report {
    fn line(&mut self, text: &str) -> Result<(), std::io::Error> {
        writeln!(self.0, "{text}")
    }
    fn measured(
        &mut self,
        what: &str,
        count: u32,
        work: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let (cpu_before, start) = (cpu(), Instant::now());
        work()?;
        let (wall, cpu) = (start.elapsed() / count, (cpu() - cpu_before) / count);
        self.line(&format!("{what:<58} {cpu:>10.1?} CPU {wall:>10.1?} wall"))?;
        Ok(())
    }
}

fn fresh(folder: &std::path::Path, name: &str, options: &Options) -> Result<Store, StoreError> {
    let is_url = folder.to_str().is_some_and(|text| text.starts_with("postgresql://"));
    let store = Store::open_with(if is_url { folder.to_owned() } else { folder.join(name) }, options)?;
    store.migrate(&[SCHEMA])?;
    Ok(store)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    if base.starts_with("postgresql:") {
        return measure(&base);
    }
    let folder = base.join(format!("neutronium-store-measure-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = measure(&folder);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn measure(folder: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut report = Report(std::io::stdout());
    report.line("-- statements")?;
    let store = fresh(folder, "statements.db", &Options::default())?;
    let ids: Vec<String> = (0..20_000).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    let inserted = ids.clone();
    report.measured("insert of 7 columns inside a unit of work", 20_000, || {
        store.write_blocking(move |tx| inserted.iter().try_for_each(|id| insert(tx, id).map(|_| ())))
    })?;
    report.measured("select one row by key", 20_000, || {
        store.read_blocking(|snap| {
            for id in &ids {
                snap.query_opt("SELECT name, mac, status FROM port WHERE id = ?1", params![id], |row| {
                    Ok((row.get::<String>(0)?, row.get::<String>(1)?, row.get::<String>(2)?))
                })?;
            }
            Ok(())
        })
    })?;
    report.measured("list 1,000 rows of 7 columns, owned texts", 100, || {
        store.read_blocking(|snap| {
            for _ in 0..100 {
                snap.query(
                    "SELECT id, name, network_id, mac, status, revision, updated_at FROM port LIMIT 1000",
                    &[],
                    |row| {
                        Ok((
                            (row.get::<String>(0)?, row.get::<String>(1)?, row.get::<String>(2)?),
                            (row.get::<String>(3)?, row.get::<String>(4)?, row.get::<u64>(5)?, row.get::<i64>(6)?),
                        ))
                    },
                )?;
            }
            Ok(())
        })
    })?;
    report.measured("snapshot: open, one row by key, close", 20_000, || {
        ids.iter().try_for_each(|id| {
            store.read_blocking(|snap| snap.exists("SELECT 1 FROM port WHERE id = ?1", params![id])).map(|_| ())
        })
    })?;
    report.measured("durable unit of work of one update, alone", 500, || {
        ids.iter().take(500).cloned().try_for_each(|id| {
            store.write_blocking(move |tx| {
                tx.execute("UPDATE port SET revision = revision + 1 WHERE id = ?1", params![&id]).map(|_| ())
            })
        })
    })?;
    drop(store);

    report.line("-- durable units of work of 19 statements (a port create), by concurrent callers")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    for callers in [1_u32, 8, 64, 256] {
        for (name, max_group) in [("each its own COMMIT", 1), ("group commit", 256)] {
            let each = if callers == 1 { 400 } else { 6400 / callers };
            let store = fresh(
                folder,
                &format!("group-{callers}-{max_group}.db"),
                &Options { max_group, ..Options::default() },
            )?;
            let before = store.stats();
            let (cpu_before, start) = (cpu(), Instant::now());
            runtime.block_on(async {
                let tasks: Vec<_> = (0..callers)
                    .map(|_| {
                        let store = store.clone();
                        tokio::spawn(async move {
                            for _ in 0..each {
                                store.write(port_create).await?;
                            }
                            Ok::<_, StoreError>(())
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await??;
                }
                Ok::<_, Box<dyn std::error::Error>>(())
            })?;
            let (wall, cpu) = (start.elapsed(), cpu() - cpu_before);
            let units = f64::from(callers * each);
            let commits = store.stats().commits - before.commits;
            report.line(&format!(
                "{callers:>4} callers, {name:<20} {:>7.0} units/s  {:>6.0} us CPU each  {commits:>5} COMMITs for {units:>5} units",
                units / wall.as_secs_f64(),
                cpu.as_secs_f64() * 1e6 / units,
            ))?;
        }
    }
    Ok(())
}
