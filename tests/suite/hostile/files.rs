//! Files that are no plugins, from an empty one to a component that lies about its types: each is
//! refused with a sentence that says what was found and what to do, and takes nobody with it.

use std::fs;

use sexton_tests::guests::{self, ASKER, FUTURE, MINIMAL, NOTHING, START_TRAP};
use sexton_tests::host::TestHost;
use sexton_tests::poll::eventually;
use sexton_tests::web::Web;

use super::limits::start_forever;
use super::made::{self, Core, SPOKEN};
use super::moods::is_up;
use super::{full, problem};
use crate::host;

/// A file, and the words that its refusal must have: what was found, and what to do about it.
pub(super) struct Bad {
    pub(super) name: &'static str,
    pub(super) bytes: fn() -> Vec<u8>,
    words: [&'static str; 2],
    /// Each look at it costs a compiler of its own: what does not compile is not kept.
    pub(super) costly: bool,
}

const fn plain(name: &'static str, bytes: fn() -> Vec<u8>, words: [&'static str; 2]) -> Bad {
    Bad {
        name,
        bytes,
        words,
        costly: false,
    }
}

const fn costly(name: &'static str, bytes: fn() -> Vec<u8>, words: [&'static str; 2]) -> Bad {
    Bad {
        costly: true,
        ..plain(name, bytes, words)
    }
}

fn truncated() -> Vec<u8> {
    let mut bytes = guests::bytes(MINIMAL);
    bytes.truncate(bytes.len() - 100);
    bytes
}

fn of(export: &str) -> Vec<u8> {
    made::component(export, &Core::default(), 1)
}

/// Blocks in blocks: a compiler that follows them by recursion has a stack to lose, and one that
/// looks at each from all that are around it takes the square of the time.
pub(super) fn deep_code(depth: usize) -> Vec<u8> {
    let body = made::function(|code| {
        for _ in 0..depth {
            code.block(wasm_encoder::BlockType::Empty);
        }
        for _ in 0..depth {
            code.end();
        }
    });
    let core = Core {
        body: Some(body),
        ..Core::default()
    };
    made::component(SPOKEN, &core, 1)
}

/// The files that are refused for what they are.
pub(super) const BAD: [Bad; 20] = [
    plain(
        "text",
        || b"#!/bin/sh\necho hello\n".to_vec(),
        ["text, not WebAssembly", "compiled component"],
    ),
    plain(
        "binary",
        || vec![0x7f, b'E', b'L', b'F', 0, 0xff],
        ["not WebAssembly", "wasm32-wasip2"],
    ),
    plain("empty", Vec::new, ["is empty", "copy the component again"]),
    plain(
        "module",
        || b"\0asm\x01\0\0\0".to_vec(),
        ["core module, not a component", "wasm32-wasip2"],
    ),
    plain(
        "truncated",
        truncated,
        ["ends in the middle", "copy the component again"],
    ),
    plain("zeros", || vec![0; 1 << 20], ["not WebAssembly", "wasm32-wasip2"]),
    plain(
        "future",
        || guests::bytes(FUTURE),
        ["sexton:plugin/job-callback@0.9.0", "update the host"],
    ),
    plain(
        "past",
        || of("sexton:plugin/job-callback@0.0.9"),
        ["job-callback@0.0.9", "current SDK"],
    ),
    plain(
        "unnumbered",
        || of("sexton:plugin/job-callback"),
        ["`sexton:plugin/job-callback`", "rebuild"],
    ),
    plain(
        "other-types",
        || of(SPOKEN),
        ["interface differs", "rebuild it with this host's WIT"],
    ),
    plain(
        "stranger",
        || of("else:where/job-callback@0.1.0"),
        ["else:where/job-callback", "job-callback, job-end"],
    ),
    plain(
        "nothing",
        || guests::bytes(NOTHING),
        ["exports no handler", "job-callback"],
    ),
    plain(
        "start-trap",
        || guests::bytes(START_TRAP),
        ["cannot be started", "unreachable"],
    ),
    plain(
        "start-forever",
        start_forever,
        ["cannot be started", "did not return within its deadline"],
    ),
    plain("ungranted", || guests::bytes(ASKER), ["wasi:http", "grant.http"]),
    plain("deep-code", || deep_code(2_000), ["interface differs", ""]),
    costly(
        "deep-types",
        || made::nested_types(50_000),
        ["does not compile", "nest"],
    ),
    plain(
        "nested",
        || made::nested(2_000),
        ["exports no handler", "it exports nothing"],
    ),
    plain(
        "padding",
        || made::padded(8 << 20),
        ["exports no handler", "it exports nothing"],
    ),
    costly("broken", broken, ["does not compile", ""]),
];

/// The header of a component, and a section whose contents make no sense.
fn broken() -> Vec<u8> {
    b"\0asm\x0d\0\x01\0\x07\x03\xff\xff\xff".to_vec()
}

#[test]
fn hv03_every_refusal_is_a_sentence_that_says_what_to_do() {
    let mut host = host("[plugin.start-forever]\nlimits = { deadline = \"200ms\" }\n");
    host.plugin("good", guests::bytes(MINIMAL));
    host.start();
    let pid = host.pid();
    host.wait_serving("good");
    for bad in &BAD {
        host.plugin(bad.name, (bad.bytes)());
    }
    disguised(&host);
    oversized(&host, "oversized");
    for bad in &BAD {
        refused(&host, bad.name, bad.words);
    }
    refused(
        &host,
        "disguised",
        ["precompiled machine code", "copy the .wasm component itself"],
    );
    refused(&host, "oversized", ["100 MiB and at most 64 MiB", "strip"]);
    // The operator sees the same sentences without asking for JSON.
    let listed = host.cli(&["plugin", "list"]).code(0);
    assert!(
        listed.stdout.contains("refused") && listed.stderr.contains("core module"),
        "{listed:?}"
    );
    assert_eq!(host.wait_serving("good")["problem"], serde_json::Value::Null);
    is_up(&host, pid);
}

fn refused(host: &TestHost, name: &str, words: [&str; 2]) {
    let said = problem(host, name);
    assert!(words.iter().all(|word| said.contains(word)), "{name}: {said}");
    assert!(said.len() < 5_000 && !said.contains('\n'), "{name}: {said}");
    let plugin = host.plugin_view(name).unwrap();
    assert_eq!(
        (&plugin["serving"], &plugin["digest"]),
        (&false.into(), &"".into())
    );
}

/// What the host itself compiled, under a plugin's name.
fn disguised(host: &TestHost) {
    let code = fs::read_dir(host.path("state/aot")).unwrap();
    let code = code
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "cwasm"));
    host.plugin("disguised", fs::read(code.unwrap()).unwrap());
}

/// A hundred megabytes that take no room on the disk.
pub(super) fn oversized(host: &TestHost, name: &str) {
    let file = fs::File::create(host.path("beside.tmp")).unwrap();
    file.set_len(100 << 20).unwrap();
    fs::rename(host.path("beside.tmp"), host.path(format!("plugins/{name}.wasm"))).unwrap();
}

#[test]
fn no_file_takes_anothers_name() {
    let mut host = host("");
    host.start();
    host.plugin("pager", guests::bytes(MINIMAL));
    let digest = host.wait_serving("pager")["digest"].clone();
    for name in [
        "Pager.wasm",
        "pager.WASM",
        "pager .wasm",
        "pager.wasm.wasm",
        "..wasm",
        "pager\n.wasm",
        ".pager.wasm",
    ] {
        fs::write(host.path("plugins").join(name), guests::bytes(START_TRAP)).unwrap();
    }
    fs::create_dir(host.path("plugins/deeper")).unwrap();
    fs::write(host.path("plugins/deeper/pager.wasm"), guests::bytes(START_TRAP)).unwrap();
    let all = host.list(&["plugin", "reload"]);
    assert_eq!(all.len(), 1, "{all:#?}");
    assert_eq!(
        (&all[0]["name"], &all[0]["digest"], &all[0]["problem"]),
        (&"pager".into(), &digest, &serde_json::Value::Null)
    );
    host.wait_log("Pager.wasm");
    host.wait_log("pager.wasm.wasm");
    assert!(
        !host.log().contains("pager\n.wasm"),
        "a file's name broke a line of the log"
    );
}

/// Where the sections of a component end: what ends there looks whole.
fn section_ends(bytes: &[u8]) -> Vec<usize> {
    let mut ends = vec![8];
    let mut at = 8;
    while at < bytes.len() {
        let (mut size, mut shift) = (0_usize, 0);
        at += 1;
        loop {
            let byte = bytes[at];
            at += 1;
            size |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        at += size;
        ends.push(at);
    }
    assert_eq!(ends.pop(), Some(bytes.len()));
    ends
}

#[test]
fn no_prefix_of_a_good_component_is_taken_for_one() {
    let mut host = host("");
    host.start();
    let pid = host.pid();
    let bytes = guests::bytes(MINIMAL);
    // Custom sections at the end may be missing: then it is whole as far as anybody can tell.
    let ends = section_ends(&bytes);
    let code: Vec<_> = ends
        .iter()
        .copied()
        .filter(|end| bytes[*end..].first() != Some(&0))
        .collect();
    let step = if full() { 1 } else { code.len().div_ceil(12) };
    let looks_whole = code.iter().copied().step_by(step);
    let cut = (0..bytes.len())
        .step_by(bytes.len() / 40)
        .filter(|cut| !ends.contains(cut));
    let all: Vec<_> = looks_whole.chain(cut).collect();
    for length in &all {
        host.plugin(&format!("prefix-{length}"), &bytes[..*length]);
    }
    let _ = host.list(&["plugin", "reload"]);
    for length in &all {
        let view = host.plugin_view(&format!("prefix-{length}")).unwrap();
        let said = view["problem"].as_str().unwrap_or_default();
        let fits = match (*length, ends.contains(length)) {
            (0, _) => said.contains("is empty"),
            (_, false) => said.contains("ends in the middle"),
            (_, true) => said.contains("does not compile") || said.contains("exports no handler"),
        };
        assert!(fits && view["serving"] == false, "{length}: {view:#}");
    }
    is_up(&host, pid);
}

#[test]
fn flipped_bits_are_refused_or_harmless() {
    const NAMES: usize = 12;
    let rounds = if full() { 84 } else { 1 };
    let mut config = String::new();
    for name in 0..NAMES {
        config.push_str(&format!(
            "[plugin.flipped-{name}]\non_failure = \"dead-letter\"\nlimits = {{ deadline = \"200ms\" }}\n\
             [[subscribe]]\nplugin = \"flipped-{name}\"\nevents = [\"job-error\"]\n"
        ));
    }
    let (web, mut host) = (Web::start(), host(&config));
    host.start();
    let pid = host.pid();
    let good = guests::bytes(MINIMAL);
    let mut called = 0;
    for round in 0..rounds {
        for name in 0..NAMES {
            let turn = round * NAMES + name;
            // Spread over the file without a pattern, and the same every time.
            let at = turn.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (good.len() * 8);
            let mut bytes = good.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            host.plugin(&format!("flipped-{name}"), bytes);
        }
        let seen = host.list(&["plugin", "reload"]);
        let job = host.download(&web.denied(), &[]);
        host.wait_state(&job, "error");
        for plugin in &seen {
            let name = plugin["name"].as_str().unwrap();
            if plugin["serving"] == false {
                assert!(plugin["problem"].is_string(), "{plugin:#}");
                continue;
            }
            called += 1;
            eventually("it was called", || {
                let deliveries = host.deliveries(&["--job", &job, "--plugin", name]);
                deliveries
                    .iter()
                    .all(|one| one["state"] == "dead" || one["state"] == "settled")
            });
        }
    }
    // Some flips hit a name or a constant that nobody looks at.
    assert!(called > 0);
    is_up(&host, pid);
}
