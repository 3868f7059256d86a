//! The limits that only a crafted component reaches, each at its instantiation: the refusal says
//! which one it was. Those that a compiled guest reaches are moods.

use std::path::Path;
use std::time::Duration;

use sexton::clock::Clock;
use sexton::plugin::{PluginRoom, RoomOptions};
use sexton_tests::guests::{self, MOODY};
use tokio::runtime::Runtime;
use wasm_encoder::{BlockType, HeapType};

use super::files::deep_code;
use super::made::{self, Core, SPOKEN, function};
use super::moods::is_up;
use super::problem;
use crate::host;

/// Its start function never returns.
pub(super) fn start_forever() -> Vec<u8> {
    let start = function(|code| {
        code.loop_(BlockType::Empty).br(0).end();
    });
    started(Core {
        start: Some(start),
        ..Core::default()
    })
}

/// It asks for one more resource than it may hold handles.
fn handles() -> Vec<u8> {
    let start = function(|code| {
        for _ in 0..=1_000 {
            code.i32_const(7).call(0).drop();
        }
    });
    started(Core {
        new: true,
        start: Some(start),
        ..Core::default()
    })
}

/// It grows a table beyond its limit and does not take the no for an answer.
fn table_growth() -> Vec<u8> {
    let start = function(|code| {
        code.ref_null(HeapType::FUNC).i32_const(20_001).table_grow(0);
        code.i32_const(-1)
            .i32_eq()
            .if_(BlockType::Empty)
            .unreachable()
            .end();
    });
    started(Core {
        tables: vec![0],
        start: Some(start),
        ..Core::default()
    })
}

/// It grows its memory page by page until the no, and does not take it.
fn memory_growth() -> Vec<u8> {
    let start = function(|code| {
        code.loop_(BlockType::Empty).i32_const(1).memory_grow(0);
        code.i32_const(-1).i32_ne().br_if(0).end().unreachable();
    });
    started(Core {
        memories: vec![0],
        start: Some(start),
        ..Core::default()
    })
}

fn started(core: Core) -> Vec<u8> {
    made::component(SPOKEN, &core, 1)
}

fn sized(memories: &[u64], tables: &[u64], instances: u32) -> Vec<u8> {
    let core = Core {
        memories: memories.to_vec(),
        tables: tables.to_vec(),
        ..Core::default()
    };
    made::component(SPOKEN, &core, instances)
}

#[test]
fn hn10_every_limit_of_an_instance_is_named_by_the_refusal() {
    let mut host = host("[plugin.memory-growth]\nlimits = { memory = \"16MiB\" }\n");
    host.start();
    let pid = host.pid();
    let all = [
        ("handles", handles(), "held more than its handles 1000"),
        (
            "table-growth",
            table_growth(),
            "more than its table 20000 elements",
        ),
        ("memory-growth", memory_growth(), "more than its memory 16 MiB"),
        ("table-size", sized(&[], &[20_001], 1), "20000"),
        (
            "memory-size",
            sized(&[1_025], &[], 1),
            "exceeds the limit of 0x4000000 bytes",
        ),
        ("memories-size", sized(&[600], &[], 2), "memory 64 MiB"),
        ("memories", sized(&[1; 5], &[], 1), "4"),
        ("instances-with-memory", sized(&[1], &[], 5), "4"),
        ("tables", sized(&[], &[1; 5], 1), "4"),
        ("instances-with-tables", sized(&[], &[1; 4], 5), "16"),
        ("instances", sized(&[], &[], 65), "64"),
    ];
    for (name, bytes, _) in &all {
        host.plugin(name, bytes);
    }
    for (name, _, words) in &all {
        let said = problem(&host, name);
        assert!(said.contains(words), "{name}: {said}");
    }
    is_up(&host, pid);
}

/// What a room with these limits on its compiler says of a file.
fn compiled(wasm: &[u8], compile_timeout: Duration, compile_memory: u64) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("plugins")).unwrap();
    std::fs::write(dir.path().join("plugins/bomb.wasm"), wasm).unwrap();
    let room = PluginRoom::new(RoomOptions {
        plugin_dir: dir.path().join("plugins"),
        state_dir: dir.path().join("state"),
        compiler: Path::new(env!("CARGO_BIN_EXE_sexton-under-test")).to_owned(),
        children: Default::default(),
        compile_timeout,
        compile_memory,
        calls: 1,
        workers: 1,
        clock: Clock::real(),
        plugins: Default::default(),
    })
    .unwrap();
    Runtime::new().unwrap().block_on(room.rescan());
    let all = room.list();
    assert!(all.len() == 1 && !all[0].serving, "{all:?}");
    all[0].problem.clone().unwrap()
}

#[test]
fn hn10_a_component_that_exhausts_its_compiler_is_refused() {
    const ENOUGH: u64 = 1 << 30;
    // A quarter of a megabyte that keeps a compiler busy for the better part of an hour.
    let said = compiled(&deep_code(100_000), Duration::from_millis(500), ENOUGH);
    assert!(said.contains("the compiler did not end within 500ms"), "{said}");
    let said = compiled(&guests::bytes(MOODY), Duration::from_secs(60), 8 << 20);
    assert!(
        said.contains("does not compile") && said.contains("memory"),
        "{said}"
    );
}
