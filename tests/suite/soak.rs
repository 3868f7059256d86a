//! Transfers of all kinds, over a server that fails in every way we know, by a host that is killed
//! again and again: in the end nothing is lost, nothing is there twice, nothing is left behind, and
//! every byte is the right one.
//!
//! `SEXTON_SOAK_SECONDS` says how long (90 if it says nothing, to leave room for the tests beside it;
//! 180 in the checks of a change; 3600 for an hour), `SEXTON_SEED` which jobs, faults and deaths those
//! are. The seed is printed; what threads and clocks make of it is not the same twice.
//!
//! | kinds | faults |
//! |---|---|
//! | one file, many files, ranges, mirrors, checksums, four connections, local files that are replaced, redirects, passwords, nodes that name a file differently, files that change; `PUT`, `POST`, tus, the protocol of BITS, whatever is offered; replies of three protocols; jobs that are given up; one by one and in sets | those of `fate`: refusals with and without `Retry-After`, for now and for good, cuts, resets, stalls and silence at any byte, lengths and ranges that lie, other versions, damaged bytes, redirects to nowhere, answers before the question was heard, deeds without an answer, sessions forgotten, a closed door |
//!
//! A fault that is for good ends in the hands of a handler, which has the job tried again.

mod fate;
mod load;
mod plan;
mod site;
mod tus;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use sexton::api::view::{EventKind, JobId};
use sexton_tests::guests::{self, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::poll::eventually;
use sexton_tests::web::Web;

use crate::host;
use crate::kills::books::Books;
use crate::kills::caller::Caller;
use crate::kills::patience::Patience;
use crate::kills::plan::mix;
use crate::kills::{counts, number};
use load::Load;
use site::Site;

/// How long it lasts unless told otherwise.
const SECONDS: u64 = 90;
/// Clients that submit and follow.
const CLIENTS: usize = 12;
/// Requests that the server mostly sees in a life, at most: what a life achieves shall not depend on the
/// speed of the machine.
const LIFE_REQUESTS: u64 = 180;
/// The longest life, whatever it achieves.
const LIFE_MAX: Duration = Duration::from_secs(20);
/// One life in so many is longer by so much: what grows shows.
const LONG_LIVES: (u64, u64) = (8, 6);
/// How long the server's door is closed.
const DOOR_CLOSED: Duration = Duration::from_millis(700);
/// One death in so many is followed by another one while the next host starts.
const STARTS_KILLED: u64 = 5;
/// One life in so many has the server's door closed for a while.
const DOORS_CLOSED: u64 = 4;

const PLUGINS: [&str; 2] = ["counter", "resumer"];

const CONFIG: &str = r#"
[log]
filter = "error"
[transfer]
slots = 16
slots_per_host = 16
idle_timeout = "1s"

[plugin.counter]
config = { mood = "ledger" }
limits = { deadline = "30s" }
[plugin.resumer]
config = { mood = "ledger", then = "resume", delay_ms = 100 }
limits = { deadline = "30s" }
[[subscribe]]
plugin = "counter"
events = ["on-ended"]
[[subscribe]]
plugin = "resumer"
events = ["job-error"]
kind = "transfer"
decide = true
"#;

/// What was seen of the host's memory, in bytes: at each death, with its time of life before it.
#[derive(Default)]
struct Memory(Vec<u64>);

impl Memory {
    fn look(&mut self, host: &TestHost) {
        self.0.push(host.resident());
    }

    /// The means of the first and the last quarter, and the most, in KiB.
    fn words(&self) -> String {
        let quarter = self.0.len().div_ceil(4);
        let mean = |part: &[u64]| (part.iter().sum::<u64>() / part.len().max(1) as u64) >> 10;
        let (first, last) = (&self.0[..quarter], &self.0[self.0.len() - quarter..]);
        let most = self.0.iter().max().copied().unwrap_or_default() >> 10;
        format!(
            "memory of the host {} KiB at first, {} KiB at last, at most {most} KiB",
            mean(first),
            mean(last)
        )
    }
}

/// Ends the load, also when the test fails: the scope of its threads waits for them.
struct Ending<'a>(&'a Load);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Has the host die until the time is over. Says how often it did.
fn die(host: &mut TestHost, load: &Load, web: &Web, seconds: u64, memory: &mut Memory) -> u32 {
    let caller = Caller::new(&host.path(""));
    let mut patience = Patience::default();
    let (begun, time) = (Instant::now(), Duration::from_secs(seconds));
    let mut start = Duration::from_millis(100);
    while begun.elapsed() < time {
        let random = mix(load.seed.rotate_left(32), u64::from(patience.kills));
        let longer = if random.is_multiple_of(LONG_LIVES.0) {
            LONG_LIVES.1
        } else {
            1
        };
        let twice = (random >> 24).is_multiple_of(STARTS_KILLED);
        // Not waits: the moments of death, and of the closed door, are what the seed says.
        if (random >> 20).is_multiple_of(DOORS_CLOSED) {
            web.set_open(false);
            std::thread::sleep(DOOR_CLOSED);
            web.set_open(true);
        }
        let (ready, last) = (
            Instant::now(),
            load.site.requests() + (random >> 8) % LIFE_REQUESTS * longer,
        );
        while load.site.requests() < last && ready.elapsed() < LIFE_MAX && begun.elapsed() < time {
            std::thread::sleep(Duration::from_millis(2));
        }
        patience.wait(&caller, 1 + u32::from(twice));
        memory.look(host);
        host.kill9();
        patience.kills += 1;
        if twice {
            host.spawn(&[]);
            std::thread::sleep(start.mul_f64((random >> 40) as f64 / f64::from(1 << 24)));
            host.kill9();
            patience.kills += 1;
        }
        let started = Instant::now();
        host.start();
        start = started.elapsed();
    }
    patience.kills
}

/// Load and deaths, then peace until everything has ended.
fn soak(host: &mut TestHost, load: &Load, web: &Web, seconds: u64, memory: &mut Memory) -> u32 {
    std::thread::scope(|scope| {
        let _ending = Ending(load);
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| load.client())).collect();
        let kills = die(host, load, web, seconds, memory);
        load.close();
        for client in clients {
            client.join().unwrap();
        }
        memory.look(host);
        let caller = Caller::new(&load.dir);
        eventually("every delivery is settled", || {
            let counts = counts(&caller);
            let open = counts.deliveries.iter().filter(|(state, _)| !state.is_over());
            open.map(|(_, count)| count).sum::<u64>() == 0
        });
        kills
    })
}

/// No job lost, invented or ended otherwise than it must; one end of each told once.
fn look_at_books(books: &Books, load: &Load) -> (usize, usize) {
    let accepted = load.accepted();
    books.has_just(&accepted.keys().copied().collect());
    for job in &books.jobs {
        assert_eq!(job.outcome, accepted.get(&job.id).copied(), "{job:#?}");
    }
    books.all_is_settled();
    books.the_history_is_whole();
    let ends = books.the_ledger_is_exact("counter", &[EventKind::OnEnded]);
    let of: BTreeSet<JobId> = books
        .deliveries
        .iter()
        .filter(|delivery| delivery.event == EventKind::OnEnded)
        .map(|delivery| delivery.job)
        .collect();
    assert_eq!((ends, of.len()), (accepted.len(), accepted.len()), "one end each");
    (
        accepted.len(),
        books.the_ledger_is_exact("resumer", &[EventKind::JobError]),
    )
}

#[test]
fn every_kind_of_transfer_ends_as_it_must_however_server_and_host_fail() {
    let seconds = number("SEXTON_SOAK_SECONDS").unwrap_or(SECONDS);
    let seed = number("SEXTON_SEED").unwrap_or_else(|| RandomState::new().hash_one(seconds));
    println!("SEXTON_SOAK_SECONDS={seconds} SEXTON_SEED={seed}");
    let web = Web::start();
    let mut host = host(CONFIG);
    for name in PLUGINS {
        host.plugin(name, guests::bytes(MOODY));
    }
    for folder in ["out", "src"] {
        std::fs::create_dir(host.path(folder)).unwrap();
    }
    std::fs::write(host.path("password"), "secret\n").unwrap();
    host.start();
    for name in PLUGINS {
        host.wait_serving(name);
    }
    let (dir, site) = (host.path(""), Site::open(seed, &web));
    let load = Load::new(seed, site.clone(), web.url(""), dir.clone());
    let mut memory = Memory::default();
    let kills = soak(&mut host, &load, &web, seconds, &mut memory);
    assert_eq!(host.term().code, Some(0));
    host.cli(&["db", "check"]).code(0);
    let (jobs, errors) = look_at_books(&Books::open(&dir), &load);
    for folder in ["out", "src"] {
        let left = std::fs::read_dir(host.path(folder)).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
    assert_eq!(site.open_jobs(), 0);
    let (requests, faults, [bytes, tried, runs]) = (site.requests(), site.tally(), load.sums());
    println!(
        "{jobs} jobs and {kills} kills in {seconds} s (seed {seed}): {requests} requests, {} faults, {} MiB, {runs} \
         runs, {tried} errors of which {errors} were for good; {}",
        faults.values().sum::<u64>(),
        bytes >> 20,
        memory.words()
    );
    println!("{faults:?}");
}
