//! `system`: processes, mounts, disks, network interfaces, users, load and memory as tables, in the way of
//! osquery. Only tables that the query names are filled.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use sysinfo::{Disks, Networks, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind, Users};

use super::provider::{Ask, Provider, QueryFault, RowSink};
use super::sql::on_thread;
use crate::job::{Code, Severity};

const TABLES: &str = "
CREATE TABLE processes (pid INTEGER, parent INTEGER, name TEXT, state TEXT, command TEXT, uid INTEGER, started INTEGER,
    run_seconds INTEGER, memory INTEGER, virtual_memory INTEGER, cpu_ms INTEGER) STRICT;
CREATE TABLE mounts (device TEXT, path TEXT, type TEXT, options TEXT) STRICT;
CREATE TABLE disks (device TEXT, path TEXT, type TEXT, total INTEGER, available INTEGER, read_only INTEGER) STRICT;
CREATE TABLE interfaces (name TEXT, mac TEXT, mtu INTEGER, received INTEGER, transmitted INTEGER, errors INTEGER) STRICT;
CREATE TABLE addresses (interface TEXT, address TEXT, prefix INTEGER) STRICT;
CREATE TABLE users (uid INTEGER, gid INTEGER, name TEXT) STRICT;
CREATE TABLE load (one REAL, five REAL, fifteen REAL, uptime INTEGER, cpus INTEGER) STRICT;
CREATE TABLE memory (total INTEGER, available INTEGER, used INTEGER, swap_total INTEGER, swap_used INTEGER) STRICT;
";

type Fill = fn(&Connection) -> Filled;
type Filled = Result<(), QueryFault>;

/// Who fills which table.
const FILLS: [(&str, Fill); 8] = [
    ("processes", processes),
    ("mounts", mounts),
    ("disks", disks),
    ("interfaces", interfaces),
    ("addresses", addresses),
    ("users", users),
    ("load", load),
    ("memory", memory),
];

/// This machine.
pub(super) struct Machine;

#[async_trait]
impl Provider for Machine {
    fn name(&self) -> String {
        "system".to_owned()
    }

    async fn ask(&self, ask: Ask, rows: RowSink) -> Result<(), QueryFault> {
        on_thread(|ask| open(&ask.text), ask, rows).await
    }
}

fn open(text: &str) -> Result<Connection, QueryFault> {
    let db = Connection::open_in_memory()?;
    db.set_limit(rusqlite::limits::Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    db.execute_batch(TABLES)?;
    let text = text.to_ascii_lowercase();
    for (table, fill) in FILLS {
        if text.contains(table) {
            fill(&db)?;
        }
    }
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

impl From<sysinfo::Error> for QueryFault {
    fn from(why: sysinfo::Error) -> Self {
        Self::new(Code::WBEM_PROVIDER_FAILURE, why.to_string()).of("sysinfo", Severity::Functional)
    }
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn processes(db: &Connection) -> Filled {
    let mut system = System::new()?;
    let kind = ProcessRefreshKind::nothing()
        .with_memory()
        .with_cpu()
        .with_user(UpdateKind::Always)
        .with_cmd(UpdateKind::Always)
        .without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
    let mut insert =
        db.prepare("INSERT INTO processes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?;
    for (pid, process) in system.processes() {
        let command: Vec<_> = process.cmd().iter().map(|part| part.to_string_lossy()).collect();
        insert.execute(params![
            pid.as_u32(),
            process.parent().map(sysinfo::Pid::as_u32),
            process.name().to_string_lossy(),
            process.status().to_string(),
            command.join(" "),
            process.user_id().map(|uid| **uid),
            int(process.start_time()),
            int(process.run_time()),
            int(process.memory()),
            int(process.virtual_memory()),
            int(process.accumulated_cpu_time()),
        ])?;
    }
    Ok(())
}

/// As the kernel tells them: the library has only those with a disk behind them.
fn mounts(db: &Connection) -> Filled {
    let mut insert = db.prepare("INSERT INTO mounts VALUES (?1, ?2, ?3, ?4)")?;
    let mounted = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for line in mounted.lines() {
        let mut parts = line.split(' ').map(|part| part.replace("\\040", " "));
        let mut next = || parts.next().unwrap_or_default();
        insert.execute([next(), next(), next(), next()])?;
    }
    Ok(())
}

fn disks(db: &Connection) -> Filled {
    let mut insert = db.prepare("INSERT INTO disks VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for disk in &Disks::new_with_refreshed_list()? {
        insert.execute(params![
            disk.name().to_string_lossy(),
            disk.mount_point().to_string_lossy(),
            disk.file_system().to_string_lossy(),
            int(disk.total_space()),
            int(disk.available_space()),
            disk.is_read_only(),
        ])?;
    }
    Ok(())
}

fn interfaces(db: &Connection) -> Filled {
    let mut insert = db.prepare("INSERT INTO interfaces VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (name, network) in &Networks::new_with_refreshed_list()? {
        insert.execute(params![
            name.to_string_lossy(),
            network.mac_address().to_string(),
            int(network.mtu()),
            int(network.total_received()),
            int(network.total_transmitted()),
            int(network.total_errors_on_received() + network.total_errors_on_transmitted()),
        ])?;
    }
    Ok(())
}

fn addresses(db: &Connection) -> Filled {
    let mut insert = db.prepare("INSERT INTO addresses VALUES (?1, ?2, ?3)")?;
    for (name, network) in &Networks::new_with_refreshed_list()? {
        for address in network.ip_networks() {
            insert.execute(params![
                name.to_string_lossy(),
                address.addr.to_string(),
                address.prefix
            ])?;
        }
    }
    Ok(())
}

fn users(db: &Connection) -> Filled {
    let mut insert = db.prepare("INSERT INTO users VALUES (?1, ?2, ?3)")?;
    for user in &Users::new_with_refreshed_list()? {
        insert.execute(params![**user.id(), *user.group_id(), user.name()])?;
    }
    Ok(())
}

fn load(db: &Connection) -> Filled {
    let load = System::load_average()?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    db.execute(
        "INSERT INTO load VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            load.one,
            load.five,
            load.fifteen,
            int(System::uptime()?),
            int(cpus as u64)
        ],
    )?;
    Ok(())
}

fn memory(db: &Connection) -> Filled {
    let mut system = System::new()?;
    system.refresh_memory();
    db.execute(
        "INSERT INTO memory VALUES (?1, ?2, ?3, ?4, ?5)",
        [
            system.total_memory(),
            system.available_memory(),
            system.used_memory(),
            system.total_swap(),
            system.used_swap(),
        ]
        .map(int),
    )?;
    Ok(())
}
