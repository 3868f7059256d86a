//! Every file that is dropped into the plugin folder is refused with a sentence or loaded.
//!
//! The file of the round under way lies in `fuzz-loader-PID.wasm` of the target's `tmp` folder, so that it is
//! there whatever happens to the process; `SEXTON_FUZZ_FILE=PATH` plays one file again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use arbitrary::Unstructured;
use sexton::config::PluginConfig;
use sexton::plugin::Vetter;

use super::Rounds;
use super::bytes::{Good, Origin, entropy, with_memory};

/// Longer than any of these small components takes on the slowest machine: it hangs.
const HANGS: Duration = Duration::from_secs(120);
/// The child that the host has components compiled in is asked about one file in so many.
const CHILD_EACH: u64 = 25;
/// A sentence: the longest text that is quoted in one, and the words around it.
const SENTENCE_MAX: usize = 5 << 10;
/// Rounds before memory is looked at: by then every linker and every slot has been used.
const WARM: u64 = 500;
/// What memory may grow by afterwards. A leak of one file a round would pass it within minutes.
const GROWTH_MAX: u64 = 96 << 20;

/// What became of a file: the first words of the sentence, or `loaded`.
type Verdicts = BTreeMap<(Origin, String), u64>;

#[test]
fn any_file_is_loaded_or_refused_with_a_sentence() {
    let mut bench = Bench::new();
    if let Some(path) = std::env::var_os("SEXTON_FUZZ_FILE") {
        let bytes = std::fs::read(&path).unwrap();
        println!("{}: {:?}", Path::new(&path).display(), bench.vet(0, &bytes));
        return;
    }
    let good = Good::read();
    let mut verdicts = Verdicts::new();
    let mut rounds = Rounds::new(60, 400);
    let mut warm = None;
    while let Some(seed) = rounds.next() {
        let entropy = entropy(seed);
        let Ok((origin, bytes)) = good.file(&mut Unstructured::new(&entropy)) else {
            // The generator wanted more bytes than there were.
            continue;
        };
        let verdict = bench.vet(seed, &bytes);
        if rounds.made.is_multiple_of(CHILD_EACH) {
            bench.child_agrees(seed, &verdict);
        }
        *verdicts.entry((origin, kind(&verdict))).or_default() += 1;
        if rounds.are_many() && rounds.made == WARM {
            warm = Some(resident());
        }
    }
    let _ = std::fs::remove_file(&bench.place);
    for ((origin, kind), count) in &verdicts {
        println!("{count:>8} {origin:?}: {kind}");
    }
    if let Some(warm) = warm {
        let now = resident();
        println!(
            "{} files; memory {} MiB, then {} MiB",
            rounds.made,
            warm >> 20,
            now >> 20
        );
        assert!(now < warm + GROWTH_MAX, "memory grows: {warm} to {now} bytes");
    }
    every_step_was_reached(&verdicts);
}

/// Found by the above: it compiles in the child, and only then is it known that no slot is large enough.
#[test]
fn a_memory_that_fits_into_no_slot_is_told_as_such() {
    let mut host = crate::host("");
    host.plugin("vast", with_memory(65_535));
    host.start();
    let vast = host.wait_plugin("vast", |plugin| plugin["problem"].is_string());
    let problem = vast["problem"].as_str().unwrap();
    assert!(
        problem.starts_with("it needs more than one instance may have: "),
        "{problem}"
    );
    assert!(problem.contains("memory"), "{problem}");
}

/// Files that are all refused at the first step would prove nothing of the others.
fn every_step_was_reached(verdicts: &Verdicts) {
    for step in [
        "the file ends in the middle",
        "it does not compile",
        "it needs more than one instance may have",
        "it exports no handler",
        "it exports `sexton",
        "it cannot be started",
        "its interface differs",
        "loaded",
    ] {
        let reached = verdicts.keys().any(|(_, kind)| kind.starts_with(step));
        assert!(reached, "no file got as far as `{step}`: {verdicts:#?}");
    }
}

fn kind(verdict: &Result<(), String>) -> String {
    match verdict {
        Ok(()) => "loaded".to_owned(),
        Err(sentence) => sentence
            .split([':', ';', '('])
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

/// A thread that looks at one file after the other, and another that notices when it does not end.
struct Bench {
    files: Sender<Vec<u8>>,
    verdicts: Receiver<Result<(), String>>,
    place: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let (files, inbox) = channel::<Vec<u8>>();
        let (outbox, verdicts) = channel();
        std::thread::spawn(move || {
            let mut config = PluginConfig::default();
            // A start function that loops is stopped; it need not take five seconds.
            config.limits.deadline = Duration::from_millis(50);
            let vetter = Vetter::new("fuzz".parse().unwrap(), &config).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            for bytes in inbox {
                let verdict = runtime.block_on(vetter.vet(&bytes)).map(drop);
                if outbox.send(verdict).is_err() {
                    return;
                }
            }
        });
        Self {
            files,
            verdicts,
            // Two runs side by side would read each other's.
            place: Path::new(env!("CARGO_TARGET_TMPDIR"))
                .join(format!("fuzz-loader-{}.wasm", std::process::id())),
        }
    }

    fn vet(&mut self, seed: u64, bytes: &[u8]) -> Result<(), String> {
        std::fs::write(&self.place, bytes).unwrap();
        self.files.send(bytes.to_vec()).unwrap();
        let verdict = match self.verdicts.recv_timeout(HANGS) {
            Ok(verdict) => verdict,
            Err(RecvTimeoutError::Timeout) => self.failed(seed, "loading it does not end"),
            Err(RecvTimeoutError::Disconnected) => self.failed(seed, "loading it panics"),
        };
        if let Err(sentence) = &verdict
            && (sentence.is_empty() || sentence.len() > SENTENCE_MAX || sentence.contains(char::is_control))
        {
            self.failed(seed, &format!("no sentence: {sentence:?}"));
        }
        verdict
    }

    /// The child compiles what this process compiles, and ends with a sentence where it does not.
    fn child_agrees(&self, seed: u64, verdict: &Result<(), String>) {
        // Some files are refused before there is anything to compile.
        let before = ["the file ", "this is "];
        if verdict
            .as_ref()
            .is_err_and(|why| before.iter().any(|start| why.starts_with(start)))
        {
            return;
        }
        let compiled = self.place.with_extension("cwasm");
        let mut child = Command::new(env!("CARGO_BIN_EXE_sexton-under-test"))
            .arg("compile-component")
            .args([&self.place, &compiled])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It ends when this end of the pipe does.
        let _alive = child.stdin.take();
        let child = child.wait_with_output().unwrap();
        let refused = verdict
            .as_ref()
            .is_err_and(|why| why.starts_with("it does not compile"));
        let said = String::from_utf8_lossy(&child.stderr);
        match child.status.code() {
            Some(0) if !refused => {}
            Some(1) if refused && said.starts_with("error: ") => {}
            _ => self.failed(
                seed,
                &format!("in process {verdict:?}, in a child {}: {said}", child.status),
            ),
        }
    }

    fn failed(&self, seed: u64, why: &str) -> ! {
        let kept = self.place.with_file_name(format!("fuzz-loader-seed-{seed}.wasm"));
        std::fs::copy(&self.place, &kept).unwrap();
        panic!("SEXTON_FUZZ_SEED={seed}: {why}; the file is {}", kept.display())
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib << 10
}
