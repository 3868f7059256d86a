//! SIGKILL at random moments under load: nothing accepted is lost, nothing is invented, and what
//! handlers decide happens once, however often the host dies.
//!
//! `SEXTON_KILLS` says how often it dies (50 if it says nothing), `SEXTON_SEED` makes the load and
//! the moments those of an earlier run. The seed is printed; a failing run names it.

pub(crate) mod books;
pub(crate) mod caller;
mod load;
pub(crate) mod patience;
pub(crate) mod plan;
mod verdict;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sexton::api::view::{Counts, JobState};
use sexton_tests::guests::{self, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::poll::{eventually, until};
use sexton_tests::receiver::Receiver;
use sexton_tests::web::Web;

use crate::host;
use books::Books;
use caller::Caller;
use load::Load;
use patience::Patience;
use plan::mix;

/// How often the host dies unless told otherwise: what a minute has room for.
const KILLS: u32 = 50;

/// Clients with many small jobs.
const CLIENTS: usize = 3;

/// Jobs that may be submitted per death.
const JOBS_PER_KILL: u64 = 12;

/// The longest that a host lives after it is ready.
const LIFE_MS: u64 = 450;

/// One death in so many is followed by another one while the next host starts.
const STARTS_KILLED: u64 = 5;

const PLUGINS: [&str; 6] = ["counter", "resumer", "striker", "completer", "slow", "fickle"];

fn config(receiver: &Receiver) -> String {
    let origin = receiver.origin();
    let mut config = format!(
        r#"
[log]
filter = "error"

[plugin.counter]
config = {{ mood = "ledger" }}
limits = {{ deadline = "30s" }}
[plugin.resumer]
config = {{ "mood.job-error" = "ledger", then = "resume" }}
limits = {{ deadline = "30s" }}
[plugin.striker]
config = {{ "mood.job-error" = "ledger", then = "strikes" }}
limits = {{ deadline = "30s" }}
[plugin.completer]
config = {{ "mood.job-error" = "ledger", "mood.job-transferred" = "ledger", then = "complete" }}
limits = {{ deadline = "30s" }}
[plugin.slow]
config = {{ mood = "slow", delay_ms = 20 }}
limits = {{ deadline = "30s" }}
[plugin.fickle]
config = {{ mood = "fail-then-ok", failures = 1 }}
on_failure = {{ attempts = 50, initial = "50ms" }}
limits = {{ deadline = "30s" }}
[plugin.webhook]
config = {{ url = "{origin}/ended" }}
grant = {{ http = ["{origin}"] }}
limits = {{ deadline = "30s" }}
"#
    );
    for (plugin, events, more) in [
        ("counter", r#""on-ended", "job-error""#, ""),
        ("webhook", r#""on-ended""#, ""),
        ("slow", r#""job-transferred""#, "decide = true\n"),
        ("fickle", r#""job-transferred""#, ""),
    ] {
        config += &format!("[[subscribe]]\nplugin = \"{plugin}\"\nevents = [{events}]\n{more}");
    }
    config
}

/// Ends the load, also when the test fails: the scope of its threads waits for them.
struct Ending<'a>(&'a Load<'a>, &'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.close();
        self.1.store(true, Ordering::SeqCst);
    }
}

/// All deaths, then peace until everything has ended.
fn die_under_load(host: &mut TestHost, load: &Load<'_>, kills: u32) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ending = Ending(load, &done);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| load.many()))
            .chain([scope.spawn(|| load.big())])
            .collect();
        scope.spawn(|| load.person(&done));
        die(host, load, kills);
        load.close();
        for client in clients {
            client.join().unwrap();
        }
        let caller = Caller::new(&load.dir);
        eventually("everything has ended and is settled", || {
            let counts = counts(&caller);
            let jobs =
                [JobState::Acknowledged, JobState::Cancelled].map(|state| counts.jobs.get(&state).copied());
            let ended: u64 = jobs.into_iter().flatten().sum();
            let open = counts.deliveries.iter().filter(|(state, _)| !state.is_over());
            ended == load.accepted_count() as u64 && open.map(|(_, count)| count).sum::<u64>() == 0
        });
    });
}

/// How many jobs and deliveries there are, in which states.
pub(crate) fn counts(caller: &Caller) -> Counts {
    until("the host tells how it is", || {
        caller.ask(async |client| client.status().await)
    })
    .counts
}

fn die(host: &mut TestHost, load: &Load<'_>, kills: u32) {
    let caller = Caller::new(&host.path(""));
    let mut patience = Patience::default();
    let mut start = Duration::from_millis(100);
    let (mut started, mut waited) = (Duration::ZERO, Duration::ZERO);
    while patience.kills < kills {
        load.allow(JOBS_PER_KILL);
        let random = mix(load.seed.rotate_left(32), u64::from(patience.kills));
        let twice = random.is_multiple_of(STARTS_KILLED);
        let looked = Instant::now();
        patience.wait(&caller, 1 + u32::from(twice));
        waited += looked.elapsed();
        // Not a wait: the moment of death is what the seed says.
        std::thread::sleep(Duration::from_millis((random >> 8) % LIFE_MS));
        let accepted = load.accepted_count() as u64;
        host.kill9();
        patience.kills += 1;
        if twice {
            host.spawn(&[]);
            std::thread::sleep(start.mul_f64((random >> 40) as f64 / f64::from(1 << 24)));
            host.kill9();
            patience.kills += 1;
        }
        let begun = Instant::now();
        host.start();
        start = begun.elapsed();
        started += start;
        // Cheap, so looked at after each death: nothing accepted is lost, nothing is invented.
        let jobs: u64 = counts(&caller).jobs.values().sum();
        assert!(
            (accepted..=load.begun()).contains(&jobs),
            "{accepted} accepted, {jobs} there, {} begun",
            load.begun()
        );
    }
    println!(
        "starts took {} s, waiting for patience {} s",
        started.as_secs(),
        waited.as_secs()
    );
}

/// The number in a variable of the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|why| panic!("{name}={text}: {why}")))
}

#[test]
fn nothing_is_lost_or_done_twice_at_any_moment_of_death() {
    let kills = number("SEXTON_KILLS").map_or(KILLS, |kills| kills.try_into().unwrap());
    let seed = number("SEXTON_SEED").unwrap_or_else(|| RandomState::new().hash_one(kills));
    println!("SEXTON_KILLS={kills} SEXTON_SEED={seed}");
    let started = Instant::now();
    let (web, receiver) = (Web::start(), Receiver::start(&[204]));
    let mut host = host(&config(&receiver));
    for name in PLUGINS {
        host.plugin(name, guests::bytes(MOODY));
    }
    host.cli(&["plugin", "add", "webhook"]).code(0);
    std::fs::create_dir(host.path("out")).unwrap();
    host.start();
    // A compilation that is killed begins anew: deliveries would wait for it through all deaths.
    for name in PLUGINS.into_iter().chain(["webhook"]) {
        host.wait_serving(name);
    }

    let dir = host.path("");
    let load = Load::new(seed, &web, dir.clone());
    die_under_load(&mut host, &load, kills);
    let accepted = load.accepted();
    let killed = started.elapsed();

    assert_eq!(host.term().code, Some(0));
    host.cli(&["db", "check"]).code(0);
    let books = Books::open(&dir);
    books.jobs_ended_as_planned(&accepted);
    books.every_event_was_told_once(&accepted);
    books.the_history_is_whole();
    books.the_ledgers_are_exact(&accepted);
    let posts = books.receivers_saw_stable_ids(&receiver);
    verdict::files_are_whole(&dir, &accepted);
    let refetched = verdict::refetched(&web, &accepted);
    let calls: u64 = books.deliveries.iter().map(|one| u64::from(one.attempt)).sum();
    println!(
        "{kills} kills in {} s (seed {seed}): {} jobs, {} deliveries by {calls} calls, {posts} posts, \
         {} requests for files, at most {} KiB fetched again after one death; checked in {} s",
        killed.as_secs(),
        accepted.len(),
        books.deliveries.len(),
        web.count(),
        refetched >> 10,
        (started.elapsed() - killed).as_secs(),
    );
}
