//! However often a guest misbehaves and a bad file is dropped, the host keeps its size: its resident
//! memory, its open files and its threads.

use rustix::process::Pid;
use sexton_tests::guests::{self, ASKER, MINIMAL, MOODY};
use sexton_tests::host::TestHost;
use sexton_tests::poll::until;
use sexton_tests::server::Behaviour;
use sexton_tests::web::Web;

use super::files::{BAD, Bad, oversized};
use super::full;
use super::moods::{MOODS, is_up};
use super::reach::asker;
use crate::host;

/// What growth is forgiven: an allocator's fragments and the store's page cache, nothing that a
/// thousand calls could add up to if each left 17 KiB behind.
const GROWTH_MAX: i64 = 16 << 20;

/// Rounds in which it may find its size.
const ROUNDS_MAX: usize = 6;

/// Jobs of one round: as many as one plugin may be called for at once.
const JOBS: usize = 4;

/// What a process holds.
#[derive(Clone, Copy, Debug)]
struct Size {
    resident: i64,
    files: usize,
    threads: usize,
}

impl Size {
    fn of(host: &TestHost) -> Self {
        let count = |what: &str| {
            let dir = format!("/proc/{}/{what}", host.pid().as_raw_nonzero());
            std::fs::read_dir(dir).unwrap().count()
        };
        Self {
            resident: i64::try_from(host.resident()).unwrap(),
            files: count("fd"),
            threads: count("task"),
        }
    }

    /// Whether it is what it was before, but for what is forgiven.
    fn is_that_of(self, before: Self) -> bool {
        // A connection or two may be closing, a pool may have one more thread awake.
        self.resident - before.resident < GROWTH_MAX
            && self.files <= before.files + 8
            && self.threads <= before.threads + 8
    }
}

/// Holds the host's size after a round against what it was before. A heap that has not found its
/// shape yet gets another round; what is left behind by each call grows in every one of them.
fn stays_flat(host: &TestHost, what: &str, mut round: impl FnMut()) {
    let mut sizes = vec![Size::of(host)];
    for _ in 0..ROUNDS_MAX {
        round();
        let (before, after) = (sizes[sizes.len() - 1], Size::of(host));
        let (resident, grown) = (after.resident >> 10, (after.resident - before.resident) >> 10);
        println!("{what}: {resident} KiB, {grown:+} KiB; {after:?}");
        if after.is_that_of(before) {
            return;
        }
        sizes.push(after);
    }
    panic!("{what}: it grows in every round: {sizes:?}");
}

/// One way to misbehave again and again: its plugin's name, its component, its tables.
struct Kind {
    name: &'static str,
    component: &'static str,
    config: Box<dyn Fn(usize) -> String>,
}

/// The ladder of a delivery that is made `attempts` times without a pause.
fn again(attempts: usize) -> String {
    let ladder = format!("{{ attempts = {attempts}, initial = \"1ms\", factor = 1.0, max = \"1ms\" }}");
    format!("on_failure = {ladder}\non = {{ error-permanent = {ladder} }}\n")
}

/// Every mood, and a request that is never answered.
fn kinds(web: &Web) -> Vec<Kind> {
    let moods = MOODS.iter().map(|mood| Kind {
        name: mood.name,
        component: MOODY,
        config: Box::new(|attempts| {
            let deadline = if mood.is_endless() { "20ms" } else { "30s" };
            let name = mood.name;
            let own = format!("config = {{ mood = \"{name}\", then = \"transient\", flood_mb = 1 }}\n");
            mood.config(deadline, &(again(attempts) + &own))
        }),
    });
    web.route("/hang", Behaviour::Hang);
    let origin = format!("http://{}", web.address());
    let hang = Kind {
        name: "hang",
        component: ASKER,
        config: Box::new(move |attempts| {
            let more = format!("limits = {{ deadline = \"20ms\" }}\ngrant = {{ http = [\"{origin}\"] }}\n");
            asker("hang", &origin, "/hang", &(again(attempts) + &more))
        }),
    };
    moods.chain([hang]).collect()
}

/// Has every delivery of [`JOBS`] new jobs made `attempts` times, and fail each time.
fn round(host: &TestHost, web: &Web, kinds: &[Kind], attempts: usize) {
    // Few places, so that the warm-up has seen each of them.
    let config: String = kinds.iter().map(|kind| (kind.config)(attempts)).collect();
    host.configure(&format!("{FEW_PLACES}{config}"));
    let _ = host.object(&["reload"]);
    let jobs: Vec<_> = (0..JOBS).map(|_| host.download(&web.denied(), &[])).collect();
    for job in &jobs {
        let mut done = 0;
        while done < kinds.len() * attempts {
            // As long as it goes on it is waited for.
            done = until("one more call", || {
                let all = host.deliveries(&["--job", job, "--limit", "1000"]);
                let made = all.iter().filter_map(|one| one["charged"].as_u64()).sum::<u64>();
                let made = usize::try_from(made).unwrap();
                (made > done).then_some(made)
            });
        }
    }
}

const FEW_PLACES: &str = "calls = 8\n";

/// The growth of a host whose guests have done these things `times` times each.
fn repeat(web: &Web, kinds: &[Kind], times: usize, warm_up: usize) {
    let mut host = host(FEW_PLACES);
    for kind in kinds {
        host.plugin(kind.name, guests::bytes(kind.component));
    }
    let config: String = kinds.iter().map(|kind| (kind.config)(1)).collect();
    host.configure(&format!("{FEW_PLACES}{config}"));
    host.start();
    let pid: Pid = host.pid();
    for kind in kinds {
        host.wait_serving(kind.name);
    }
    round(&host, web, kinds, warm_up / JOBS);
    let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
    let what = match *names {
        [name] => format!("{name} {times} times"),
        _ => format!("{} kinds {times} times each", names.len()),
    };
    stays_flat(&host, &what, || round(&host, web, kinds, times / JOBS));
    is_up(&host, pid);
}

#[test]
fn no_call_leaves_anything_behind() {
    let web = Web::start();
    if full() {
        let only = std::env::var("SEXTON_HOSTILE_ONLY").ok();
        let wanted = |kind: &Kind| only.as_ref().is_none_or(|only| only == kind.name);
        for kind in kinds(&web).into_iter().filter(wanted) {
            repeat(&web, &[kind], 1_000, 200);
        }
    } else {
        // Eight megabytes a call in pieces leave a heap full of holes, which would hide the others.
        let (holes, others): (Vec<_>, Vec<_>) = kinds(&web)
            .into_iter()
            .partition(|kind| kind.name == "much-written");
        repeat(&web, &holes, 100, 40);
        repeat(&web, &others, 100, 40);
    }
}

/// Files of each kind in the folder at once, and how often each is replaced.
fn drops(costly: bool) -> (usize, usize) {
    match (full(), costly) {
        (true, _) => (100, 10),
        (false, true) => (1, 4),
        (false, false) => (25, 4),
    }
}

#[test]
fn no_refused_file_leaves_anything_behind() {
    let (many, rounds) = drops(false);
    let copies = |bad: &Bad| drops(bad.costly).0;
    let mut config = String::new();
    for copy in 0..many {
        config.push_str(&format!(
            "[plugin.start-forever-{copy}]\nlimits = {{ deadline = \"10ms\" }}\n"
        ));
    }
    let mut host = host(&config);
    host.plugin("good", guests::bytes(MINIMAL));
    host.start();
    let pid = host.pid();
    let drop_all = |host: &TestHost| {
        for bad in &BAD {
            let bytes = (bad.bytes)();
            for copy in 0..copies(bad) {
                host.plugin(&format!("{}-{copy}", bad.name), &bytes);
            }
        }
        for copy in 0..many {
            oversized(host, &format!("oversized-{copy}"));
        }
        let seen = host.list(&["plugin", "reload"]);
        let files: usize = BAD.iter().map(copies).sum::<usize>() + many;
        let refused = seen.iter().filter(|plugin| plugin["problem"].is_string()).count();
        assert_eq!(refused, files, "{seen:#?}");
    };
    drop_all(&host);
    stays_flat(&host, &format!("{} kinds of files", BAD.len() + 1), || {
        (0..rounds).for_each(|_| drop_all(&host));
    });
    assert_eq!(host.wait_serving("good")["problem"], serde_json::Value::Null);
    is_up(&host, pid);
}
