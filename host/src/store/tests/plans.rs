//! No verb looks at more than it deals with: every statement that a verb runs is explained, and its
//! steps are counted over a small store and one that is three times as large.

use super::bare::{Bare, Steps};
use super::*;
use crate::job::{HoldReason, JobChange, JobId};
use crate::store::writer::Work;
use crate::store::{list, read, tally};

/// Tables that may grow without end.
const BIG: [&str; 6] = ["jobs", "job_data", "files", "events", "deliveries", "attempts"];

/// Indexes that hold nothing but work to do, so that reading them from one end is no scan.
const SMALL: [&str; 7] = [
    "jobs_due",
    "jobs_resting",
    "jobs_intents",
    "deliveries_due",
    "deliveries_running",
    "deliveries_buried",
    "deliveries_suspect",
];

const ROUTES: [(EventKind, &str, Role); 4] = [
    (EventKind::JobError, "a", Role::Decider),
    (EventKind::JobModification, "a", Role::Observer),
    (EventKind::FileTransferred, "b", Role::Observer),
    (EventKind::OnEnded, "c", Role::Observer),
];

/// A store with `n` of everything, all of it in the way.
async fn world(n: usize) -> (Bench, Bare) {
    let bench = Bench::new(&[]).await;
    let mut bare = Bare::beside(&bench, &ROUTES);
    bare.write(|work| {
        for kind in [JobKind::Batch, JobKind::Query] {
            for _ in 0..n {
                work.submit(&of_kind(kind))?;
            }
        }
        // A lane that stands, with all of it behind its first call.
        let first = work.submit(&super::lanes::call("stands"))?;
        work.command(first.job.id, &Command::Suspend)?;
        for _ in 0..n {
            work.submit(&super::lanes::call("stands"))?;
            // And as many that wait for that.
            let mut waits = new_job();
            waits.spec.after = vec![crate::job::After {
                job: first.job.id,
                wants: crate::job::WantedEnd::Any,
                met: false,
            }];
            work.submit(&waits)?;
        }
        let ended = many(work, n, "http://ended:1/x")?;
        for id in &ended {
            work.command(*id, &Command::Cancel)?;
            let outcome = Outcome::Cancelled;
            work.command(*id, &Command::IntentDone { outcome })?;
        }
        let broken = many(work, n, "http://broken:1/x")?;
        let at = work.now;
        for run in all_runs(work, n)? {
            let error = error(403, run.job.attempt, at);
            work.hear(run.id(), &Told::end(Command::FatalError { error }))?;
        }
        assert_eq!(broken.len(), n);
        let waits = many(work, n, "http://waits:1/x")?;
        for run in all_runs(work, n)? {
            let error = error(503, run.job.attempt, at);
            let retry_after = Some(Duration::from_secs(3600));
            work.hear(
                run.id(),
                &Told::end(Command::TransientError { error, retry_after }),
            )?;
        }
        assert_eq!(waits.len(), n);
        // One job with a great many deliveries of one pair, each behind the one before.
        let busy = many(work, 1, "http://busy:1/x")?;
        let run = all_runs(work, 1)?.remove(0);
        let stored = crate::store::rows::load_job(work.db, busy[0])?;
        for _ in 0..n {
            work.raise_file(&stored, &run.files[0])?;
        }
        many(work, n, "http://h:1/x").map(drop)
    });
    (bench, bare)
}

fn many(work: &mut Work<'_>, n: usize, remote: &str) -> crate::store::writer::Done<Vec<JobId>> {
    let mut new = new_job();
    new.files[0].remote = remote.into();
    (0..n)
        .map(|_| work.submit(&new).map(|submitted| submitted.job.id))
        .collect()
}

fn all_runs(work: &mut Work<'_>, n: usize) -> crate::store::writer::Done<Vec<Run>> {
    work.claim_jobs(&ClaimJobs {
        background: n,
        per_host: n,
        batch: 0,
        queries: 0,
        ..ask_jobs()
    })
}

/// What each verb cost, in steps of SQLite's machine.
struct Costs {
    of: Vec<(&'static str, i64)>,
    last: i64,
}

impl Costs {
    fn note(&mut self, bare: &Bare, verb: &'static str) {
        let now = total(&bare.steps());
        self.of.push((verb, now - self.last));
        self.last = now;
    }
}

/// Every verb once, each with its steps.
fn verbs(bench: &Bench, bare: &mut Bare) -> Vec<(&'static str, i64)> {
    let mut costs = Costs {
        of: Vec::new(),
        last: total(&bare.steps()),
    };
    let id = jobs(bare, &mut costs);
    calls(bench, bare, &mut costs);
    chores(bench, bare, &mut costs);
    bare.read(tally::counts);
    bare.read(tally::waiting);
    costs.note(bare, "counts");
    lists(bare, id);
    costs.note(bare, "lists");
    costs.of
}

fn jobs(bare: &mut Bare, costs: &mut Costs) -> JobId {
    let id = bare.write(|work| work.submit(&new_job())).job.id;
    costs.note(bare, "submit");
    let ask = ClaimJobs {
        busy_hosts: BTreeMap::from([("h:1".to_owned(), 6)]),
        batch: 0,
        queries: 0,
        ..ask_jobs()
    };
    assert!(bare.write(|work| work.claim_jobs(&ask)).is_empty());
    costs.note(bare, "claim of jobs past a saturated host");
    let run = bare.write(|work| work.claim_jobs(&ask_jobs())).remove(0);
    costs.note(bare, "claim of jobs");
    for kind in [JobKind::Batch, JobKind::Query] {
        let ask = ClaimJobs {
            batch: usize::from(kind == JobKind::Batch),
            queries: usize::from(kind == JobKind::Query),
            ..ClaimJobs::default()
        };
        let runs = bare.write(|work| work.claim_jobs(&ask));
        assert!(
            runs.len() == 1 && runs[0].job.kind == kind,
            "one, past all transfers"
        );
        costs.note(bare, "claim of another pool");
    }
    set(bare, id);
    costs.note(bare, "what is set");
    let file = run.files[0].clone();
    bare.write(|work| {
        let files = vec![file.clone().into()];
        let told = Told {
            files,
            ..Told::default()
        };
        work.hear(run.id(), &told).map(drop)
    });
    costs.note(bare, "checkpoint");
    id
}

/// Every way to change a job that goes on running.
fn set(bare: &mut Bare, id: JobId) {
    let name = JobChange {
        name: Some("new".to_owned()),
        ..JobChange::default()
    };
    let handler = JobChange {
        handler: Some("a".to_owned()),
        ..JobChange::default()
    };
    let last = bare.read(|db| list::jobs(db, &JobFilter::default()))[0].id;
    for command in [
        Command::AddFiles(vec![FileSpec::new("http://h:1/x", "/tmp/x")]),
        Command::Change(Box::new(name)),
        Command::Change(Box::new(handler)),
    ] {
        bare.write(|work| work.command(id, &command));
    }
    for command in [
        Command::SetRemote {
            file: 0,
            remote: "http://h:1/y".to_owned(),
        },
        Command::ReplacePrefix {
            from: "http://h:1/y".to_owned(),
            to: "http://h:1/x".to_owned(),
        },
        Command::TakeOwnership("uid-0".parse().unwrap()),
        Command::TakeOwnership("uid-9".parse().unwrap()),
    ] {
        bare.write(|work| work.command(last, &command));
    }
}

fn calls(bench: &Bench, bare: &mut Bare, costs: &mut Costs) {
    let saturated = ClaimDeliveries {
        busy: busy("a", 4),
        ..ask_deliveries(&["a"])
    };
    assert!(bare.write(|work| work.claim_deliveries(&saturated)).is_empty());
    costs.note(bare, "claim of deliveries of a saturated owner");
    let claims = bare.write(|work| work.claim_deliveries(&ask_deliveries(&["a", "b", "c"])));
    assert_eq!(
        claims.len(),
        9,
        "four, four, and one of the pair whose others wait"
    );
    costs.note(bare, "claim of deliveries");
    for claim in &claims {
        let dead = failed(FailureClass::Trap, claim, AfterFailure::Dead { why: "no".into() });
        let first = settlement(claim, acknowledged(vec![]));
        let verdict = match claim.delivery.plugin.as_str() {
            "a" => settlement(claim, dead),
            _ => first,
        };
        bare.write(|work| work.settle(&verdict));
    }
    costs.note(bare, "settle");
    let again = bare.write(|work| work.claim_deliveries(&ask_deliveries(&["b"])));
    assert_eq!(again.len(), 1, "the next of the pair");
    costs.note(bare, "claim of the next of a pair");
    let at = bench.clock.now();
    bare.write(|work| work.next_delivery(&["a".parse().unwrap()].into(), at));
    costs.note(bare, "next delivery");
    bare.write(|work| work.replay(&DeliveryFilter::default(), 0, 2));
    costs.note(bare, "replay");
    bare.write(|work| work.purge(&DeliveryFilter::default(), 0, 2));
    costs.note(bare, "purge");
}

fn chores(bench: &Bench, bare: &mut Bare, costs: &mut Costs) {
    let a: PluginName = "a".parse().unwrap();
    bare.write(|work| work.renew(&a, None, None));
    costs.note(bare, "a piece of a renewal");
    bare.write(|work| work.follow_routing(0));
    costs.note(bare, "a piece of new roles");
    bare.write(|work| work.backfill(JobState::Transferred, 0));
    costs.note(bare, "a piece of a backfill");
    bare.write(|work| work.recover());
    costs.note(bare, "recovery");
    let keep = RetentionRule {
        finished: None,
        failed: None,
        dead: None,
    };
    bare.write(|work| work.tick(keep));
    costs.note(bare, "tick");
    let hold = |reason| crate::store::Hold {
        reason,
        levels: vec![crate::job::Priority::High],
        description: String::new(),
    };
    let ask = crate::store::HoldJobs {
        holds: vec![hold(HoldReason::Network), hold(HoldReason::Bandwidth)],
        network_returned: false,
    };
    bare.write(|work| work.hold_jobs(&ask));
    costs.note(bare, "holds");
    let soon = RetentionRule {
        finished: Some(Duration::ZERO),
        failed: Some(Duration::ZERO),
        dead: Some(Duration::ZERO),
    };
    bench.clock.advance(Duration::from_secs(60));
    bare.write(|work| work.sweep(soon));
    costs.note(bare, "a piece of a sweep");
}

fn lists(bare: &Bare, id: JobId) {
    let owner = Some("uid-0".parse().unwrap());
    let states = vec![JobState::Error, JobState::Queued, JobState::Connecting];
    for (owner, before, states) in [
        (None, None, vec![]),
        (None, Some(id), vec![JobState::Cancelled]),
        (None, Some(id), states.clone()),
        (owner.clone(), Some(id), vec![]),
        (owner, None, states),
    ] {
        let filter = JobFilter {
            states,
            owner,
            before,
            limit: 5,
        };
        assert!(!bare.read(|db| list::jobs(db, &filter)).is_empty());
        let wanted = crate::store::JobMatch {
            host: Some("h:1".to_owned()),
            remote: Some("http".to_owned()),
            ..Default::default()
        };
        bare.read(|db| list::jobs_matching(db, &filter, &Default::default()));
        bare.read(|db| list::jobs_matching(db, &filter, &wanted));
    }
    for (plugin, states) in [
        (None, vec![]),
        (None, vec![DeliveryState::Pending, DeliveryState::Dead]),
        (Some("b".parse().unwrap()), vec![]),
    ] {
        let filter = DeliveryFilter {
            plugin,
            states,
            limit: 5,
            ..DeliveryFilter::default()
        };
        let found = bare.read(|db| list::deliveries(db, &filter));
        assert_eq!(found.len(), 5);
        bare.read(|db| read::delivery(db, found[0].id));
    }
    bare.read(|db| read::intents(db, 10));
}

fn total(steps: &Steps) -> i64 {
    steps.values().sum()
}

#[tokio::test]
async fn no_verb_scans_or_sorts_what_may_grow() {
    let (bench, _) = world(10).await;
    let mut bare = Bare::beside(&bench, &ROUTES);
    verbs(&bench, &mut bare);
    let statements = bare.steps();
    assert!(statements.len() > 40, "every statement is seen");
    for sql in statements.keys() {
        if ["BEGIN", "COMMIT", "ROLLBACK", "PRAGMA"]
            .iter()
            .any(|word| sql.starts_with(word))
        {
            continue;
        }
        for step in bare.plan(sql) {
            let scans = step
                .strip_prefix("SCAN ")
                .map(|rest| rest.split(' ').next().unwrap());
            let aliases = ["j", "d", "e"];
            let big = scans.is_some_and(|table| BIG.contains(&table) || aliases.contains(&table));
            let small = SMALL
                .iter()
                .any(|index| step.ends_with(&format!("INDEX {index}")));
            assert!(!big || small, "{step}: {sql}");
            assert!(!step.contains("TEMP B-TREE"), "{step}: {sql}");
        }
    }
}

#[tokio::test]
async fn no_verb_costs_more_in_a_larger_store() {
    // Both larger than what a piece or a claim looks through at most.
    let (small, _) = world(550).await;
    let (large, _) = world(1_650).await;
    let costs = |bench: &Bench| verbs(bench, &mut Bare::beside(bench, &ROUTES));
    for ((verb, cost), (_, at_scale)) in costs(&small).into_iter().zip(costs(&large)) {
        let allowed = cost * 3 / 2;
        assert!(at_scale <= allowed, "{verb}: {cost} steps, {at_scale} at scale");
    }
}
