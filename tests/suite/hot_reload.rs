//! A plugin's file is replaced again and again while its callbacks run: no call fails, every record
//! names the component that did run, and what was replaced is given back.
//!
//! 150 swaps; `SEXTON_SWAPS=1000` makes it as many as one likes, and the numbers are printed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sexton::api::client::Client;
use sexton::api::request::{DeliveryQuery, SubmitRequest};
use sexton::api::view::{DeliveryRecord, DeliveryState, JobId};
use sexton_tests::guests;
use sexton_tests::host::TestHost;
use sexton_tests::poll::PATIENCE;
use sexton_tests::web::Web;
use tokio::runtime::Runtime;

use crate::host;

/// Versions that take turns. Each is also in the folder under a name of its own, so that the host
/// keeps its compiled code.
const VERSIONS: usize = 3;
/// Jobs of one burst of the load.
const BURST: usize = 8;
/// After so many swaps a call is made that nothing overlaps: exactly the newest version answers.
const PROBE_EVERY: usize = 5;

/// Calls take a moment, so that swaps fall into them.
const CONFIG: &str = "[plugin.moody]\nconfig = { mood = \"version\", delay_ms = 5 }\non_failure = \"dead-letter\"\n\
    [[subscribe]]\nplugin = \"moody\"\nevents = [\"job-error\"]\n";

/// One call, and which swaps it may have seen.
struct Made {
    delivery: DeliveryRecord,
    /// The newest swap that was over before the job was submitted.
    first: usize,
    /// The newest swap that was begun before the delivery was seen settled.
    last: usize,
}

/// What the swapping and the calling share.
struct Scene {
    client: Client,
    url: String,
    dir: std::path::PathBuf,
    begun: AtomicUsize,
    over: AtomicUsize,
    stop: AtomicBool,
}

impl Scene {
    /// Submits jobs that fail at once, and waits until `moody` has acknowledged each.
    async fn call(&self, jobs: usize) -> Vec<Made> {
        let first = self.over.load(Ordering::SeqCst);
        let local = self.dir.join("file.bin");
        let job = json!({"kind": "download", "files": [{"remote": self.url, "local": local}]});
        let job: SubmitRequest = serde_json::from_value(job).unwrap();
        let submitted = self.client.submit_many(&vec![job; jobs]).await.unwrap();
        let mut made = Vec::new();
        for one in submitted {
            let delivery = self.settled(one.job.id).await;
            let last = self.begun.load(Ordering::SeqCst);
            made.push(Made {
                delivery,
                first,
                last,
            });
        }
        made
    }

    async fn settled(&self, job: JobId) -> DeliveryRecord {
        let query = DeliveryQuery {
            job: Some(job),
            ..DeliveryQuery::default()
        };
        let started = Instant::now();
        loop {
            let found = self.client.deliveries(&query).await.unwrap().deliveries;
            if let Some(over) = found.into_iter().find(|one| is_over(one.state)) {
                return over;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "the delivery of {job} is never over"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn is_over(state: DeliveryState) -> bool {
    !matches!(state, DeliveryState::Pending | DeliveryState::Running)
}

/// Segments of compiled code that the host has mapped.
fn mapped(host: &TestHost) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", host.pid().as_raw_nonzero())).unwrap();
    maps.lines().filter(|line| line.contains(".cwasm")).count()
}

fn swaps() -> usize {
    std::env::var("SEXTON_SWAPS").map_or(150, |text| text.parse().expect("SEXTON_SWAPS is a number"))
}

#[test]
fn swaps_under_load_fail_no_call_and_leave_nothing_behind() {
    let versions: Vec<Vec<u8>> = (0..VERSIONS)
        .map(|one| guests::version(u32::try_from(one).unwrap()))
        .collect();
    let (web, mut host) = (Web::start(), host(CONFIG));
    for (number, bytes) in versions.iter().enumerate() {
        host.plugin(&format!("holder-{number}"), bytes);
    }
    host.plugin("moody", &versions[0]);
    host.start();
    let digests: Vec<String> = (0..VERSIONS)
        .map(|number| {
            host.wait_serving(&format!("holder-{number}"))["digest"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    host.wait_serving("moody");
    let pid = host.pid();
    let scene = Scene {
        client: Client::new(host.path("control.sock")),
        url: web.denied(),
        dir: host.path(""),
        begun: AtomicUsize::new(0),
        over: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    };
    let started = Instant::now();
    let made = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            Runtime::new().unwrap().block_on(async {
                let mut made = Vec::new();
                while !scene.stop.load(Ordering::SeqCst) {
                    made.extend(scene.call(BURST).await);
                }
                made
            })
        });
        let swapped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            swap_all(&host, &scene, &versions)
        }));
        scene.stop.store(true, Ordering::SeqCst);
        let mut made = load.join().unwrap();
        made.extend(swapped.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        made
    });
    let (swaps, took) = (swaps(), started.elapsed());
    println!("{swaps} swaps and {} calls in {took:?}", made.len());
    let last = &digests[swaps % VERSIONS];
    assert_eq!(host.wait_serving("moody")["digest"], last.as_str());
    check(&host, &made, &digests);
    assert_eq!(host.pid(), pid);
}

/// Swaps, and every now and then calls when nothing is in between. Holds what the host has in memory
/// after a tenth of the swaps against what it has at the end.
fn swap_all(host: &TestHost, scene: &Scene, versions: &[Vec<u8>]) -> Vec<Made> {
    let runtime = Runtime::new().unwrap();
    let mut made = Vec::new();
    let mut warm = None;
    for number in 1..=swaps() {
        scene.begun.store(number, Ordering::SeqCst);
        host.plugin("moody", &versions[number % VERSIONS]);
        runtime.block_on(scene.client.rescan_plugins()).unwrap();
        scene.over.store(number, Ordering::SeqCst);
        if number % PROBE_EVERY == 0 {
            made.extend(runtime.block_on(scene.call(1)));
        }
        if number == swaps().div_ceil(10).max(20) {
            warm = Some((host.resident(), mapped(host)));
        }
    }
    let (resident, segments) = warm.expect("there are at least twenty swaps");
    let (now, mapped) = (host.resident(), mapped(host));
    println!(
        "resident {} KiB, then {} KiB; {segments} mapped segments, then {mapped}",
        resident >> 10,
        now >> 10
    );
    assert!(now < resident + (16 << 20), "{resident} bytes became {now}");
    // A version may be held by a call that is not over, and another by the swap under way.
    assert!(
        mapped <= segments * 2,
        "{segments} mapped segments became {mapped}"
    );
    made
}

/// Every call was made once, by a version that was in the folder then, and the record says which.
fn check(host: &TestHost, made: &[Made], digests: &[String]) {
    let log = host.log();
    let mut truth: HashMap<&str, &str> = HashMap::new();
    for line in log.lines() {
        if let Some((before, delivery)) = line.split_once(" made ") {
            let version = before.rsplit(' ').next().unwrap_or_default();
            let twice = truth.insert(delivery.split(' ').next().unwrap_or_default(), version);
            assert_eq!(twice, None, "{line}");
        }
    }
    for Made {
        delivery,
        first,
        last,
    } in made
    {
        assert_eq!(
            (delivery.state, delivery.attempt),
            (DeliveryState::Settled, 1),
            "{delivery:#?}"
        );
        let possible: Vec<_> = (*first..=*last).map(|swap| &digests[swap % VERSIONS]).collect();
        assert!(
            possible.contains(&&delivery.digest),
            "{first}..={last}: {delivery:#?}"
        );
        let number = digests
            .iter()
            .position(|digest| *digest == delivery.digest)
            .unwrap();
        let mark = guests::version_mark(u32::try_from(number).unwrap());
        let id = delivery.id.to_string();
        assert_eq!(truth.get(id.as_str()), Some(&mark.as_str()), "{delivery:#?}");
    }
    assert_eq!(truth.len(), made.len());
}
