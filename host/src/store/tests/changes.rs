//! What people change about open jobs, as it is kept.

use super::*;
use crate::job::JobChange;

fn file(n: u32) -> FileSpec {
    FileSpec::new(format!("http://h/{n}"), format!("/tmp/{n}"))
}

fn set(change: JobChange) -> Command {
    Command::Change(Box::new(change))
}

async fn give_handler(bench: &Bench, id: crate::job::JobId, name: &str) {
    let handler = Some(name.to_owned());
    let command = set(JobChange {
        handler,
        ..JobChange::default()
    });
    bench.store().command(id, command).await.unwrap();
}

async fn reopen(bench: &mut Bench) {
    bench.store.take().unwrap().close().await;
    bench.store = Some(open(bench.dir.path(), &bench.clock).await.unwrap());
}

#[tokio::test]
async fn b02_a_new_job_is_suspended_normal_and_empty() {
    let bench = Bench::new(&[]).await;
    let empty = NewJob {
        files: Vec::new(),
        ..new_job()
    };
    let job = bench.store().submit(empty).await.unwrap().job;
    assert_eq!((job.state, job.priority), (JobState::Suspended, Priority::Normal));
    let progress = crate::job::Progress {
        bytes_total: Some(0),
        ..Default::default()
    };
    assert_eq!(job.progress, progress, "0 of 0 bytes, 0 of 0 files");
}

#[tokio::test]
async fn b20_a_job_without_files_is_suspended_until_it_has_one() {
    let bench = Bench::new(&[]).await;
    let empty = NewJob {
        files: Vec::new(),
        ..new_job()
    };
    let id = bench.store().submit(empty).await.unwrap().job.id;
    let refused = bench.store().command(id, resume()).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Refused(why) if why.code == Code::EMPTY),
        "{refused}"
    );
    bench
        .store()
        .command(id, Command::AddFiles(vec![file(0)]))
        .await
        .unwrap();
    assert_eq!(
        bench.store().command(id, resume()).await.unwrap().state,
        JobState::Queued
    );
    let run = bench.run().await;
    assert_eq!((run.job.id, run.files[0].remote.as_str()), (id, "http://h/0"));
}

#[tokio::test]
async fn b12_files_keep_the_order_in_which_they_were_added() {
    let mut bench = Bench::new(&[]).await;
    let id = bench.submit().await.id;
    let more = Command::AddFiles((1..40).map(file).collect());
    let job = bench.store().command(id, more).await.unwrap();
    assert_eq!((job.progress.files_total, job.progress.bytes_total), (40, None));
    bench
        .store()
        .command(id, Command::AddFiles(vec![file(40)]))
        .await
        .unwrap();
    reopen(&mut bench).await;
    let files = bench.store().files(id, 0, u32::MAX).await.unwrap();
    assert_eq!(files.len(), 41);
    for (n, file) in (0_u32..).zip(&files).skip(1) {
        assert_eq!(
            (file.index, file.remote.as_str()),
            (n, format!("http://h/{n}").as_str())
        );
    }
    assert_eq!(bench.store().job(id).await.unwrap().progress.files_total, 41);
}

#[tokio::test]
async fn b120_a_list_of_files_is_added_whole_or_not_at_all() {
    let bench = Bench::new(&[]).await;
    let mut bits = new_job();
    bits.spec = JobSpec::new("x", Profile::Bits);
    let job = bench.store().submit(bits).await.unwrap().job;
    let many = Command::AddFiles((1..=200).map(file).collect());
    let refused = bench.store().command(job.id, many).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Refused(why) if why.code == Code::TOO_MANY_FILES_IN_JOB));
    assert_eq!(bench.store().job(job.id).await.unwrap(), job);
    assert_eq!(bench.store().files(job.id, 0, 500).await.unwrap().len(), 1);
}

#[tokio::test]
async fn b42_what_a_run_has_reached_stays_and_the_next_fetches_what_was_added() {
    let bench = Bench::new(&[]).await;
    let id = bench.submit().await.id;
    let run = bench.run().await;
    bench
        .store()
        .command(id, Command::AddFiles(vec![file(1)]))
        .await
        .unwrap();
    let mut done = run.files[0].clone();
    (done.bytes_total, done.bytes_transferred, done.transferred) = (Some(7), 7, true);
    bench
        .store()
        .checkpoint(run.id(), FileCheckpoint::from(done))
        .await
        .unwrap();
    let at = bench.clock.now();
    let ended = bench
        .store()
        .report(run.id(), Command::Finished { at, files: 1 })
        .await
        .unwrap();
    assert_eq!(
        (ended.state, ended.progress.files_transferred),
        (JobState::Queued, 1)
    );
    let next = bench.run().await;
    assert_eq!(
        (
            next.files.len(),
            next.files[0].transferred,
            next.files[1].transferred
        ),
        (2, true, false)
    );
    let ended = bench
        .store()
        .report(next.id(), Command::Finished { at, files: 2 })
        .await
        .unwrap();
    assert_eq!(ended.intent, Some(Intent::Complete));
}

#[tokio::test]
async fn b52_a_prefix_is_replaced_by_case_and_what_is_here_already_is_left() {
    let bench = Bench::new(&[]).await;
    let mut new = new_job();
    let remotes = ["http://h/a", "http://h/b", "HTTP://h/c", "http://other/d"];
    new.files = remotes.map(|remote| FileSpec::new(remote, "/tmp/x")).to_vec();
    let id = bench.store().submit(new).await.unwrap().job.id;
    let run = bench.run().await;
    let mut done = run.files[0].clone();
    (done.bytes_total, done.transferred) = (Some(0), true);
    bench
        .store()
        .checkpoint(run.id(), FileCheckpoint::from(done))
        .await
        .unwrap();
    let prefix = |from: &str| Command::ReplacePrefix {
        from: from.to_owned(),
        to: "https://mirror/%_/".to_owned(),
    };
    let before = bench.store().job(id).await.unwrap();
    let same = bench.store().command(id, prefix("http://H/")).await.unwrap();
    assert_eq!(
        same, before,
        "S_FALSE: nothing matched, nothing changed, the run goes on"
    );
    let after = bench.store().command(id, prefix("http://h/")).await.unwrap();
    assert_eq!(
        (after.state, after.revision),
        (JobState::Queued, before.revision + 1)
    );
    let files = bench.store().files(id, 0, 9).await.unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.remote.as_str()).collect();
    assert_eq!(
        names,
        [
            "http://h/a",
            "https://mirror/%_/b",
            "HTTP://h/c",
            "http://other/d"
        ]
    );
}

#[tokio::test]
async fn b130_a_new_name_is_durable_at_once_and_keeps_what_is_here() {
    let mut bench = Bench::new(&[]).await;
    let id = bench.submit().await.id;
    let run = bench.run().await;
    let mut half = run.files[0].clone();
    (half.bytes_transferred, half.validator) = (5, Some("\"v\"".to_owned()));
    bench
        .store()
        .checkpoint(run.id(), FileCheckpoint::from(half.clone()))
        .await
        .unwrap();
    let command = |file| Command::SetRemote {
        file,
        remote: "http://elsewhere:81/f".to_owned(),
    };
    assert!(matches!(
        bench.store().command(id, command(1)).await,
        Err(StoreError::NotFound { what: "file", .. })
    ));
    bench.store().command(id, Command::Suspend).await.unwrap();
    bench.store().command(id, command(0)).await.unwrap();
    reopen(&mut bench).await;
    bench.store().command(id, resume()).await.unwrap();
    let file = bench.run().await.files[0].clone();
    assert_eq!(file.remote, "http://elsewhere:81/f");
    assert_eq!((file.bytes_transferred, file.validator), (5, half.validator));
    let saturated = ClaimJobs {
        busy_hosts: BTreeMap::from([("elsewhere:81".to_owned(), 6)]),
        ..ask_jobs()
    };
    bench.store().command(id, Command::Suspend).await.unwrap();
    bench.store().command(id, resume()).await.unwrap();
    assert!(
        bench.store().claim_jobs(saturated).await.unwrap().is_empty(),
        "slots follow the name"
    );
}

#[tokio::test]
async fn b130_a_file_that_is_here_keeps_its_name() {
    let bench = Bench::new(&[]).await;
    let id = bench.submit().await.id;
    let run = bench.run().await;
    let mut done = run.files[0].clone();
    (done.bytes_total, done.transferred) = (Some(0), true);
    bench
        .store()
        .checkpoint(run.id(), FileCheckpoint::from(done))
        .await
        .unwrap();
    let before = bench.store().job(id).await.unwrap();
    let remote = "http://elsewhere/f".to_owned();
    let after = bench
        .store()
        .command(id, Command::SetRemote { file: 0, remote })
        .await
        .unwrap();
    assert_eq!(after, before);
}

#[tokio::test]
async fn b03_properties_survive_a_restart() {
    let mut bench = Bench::new(&[]).await;
    let id = bench.submit().await.id;
    let change = JobChange {
        name: Some("new".to_owned()),
        notify_command: Some(vec!["/bin/true".to_owned()]),
        no_progress_ms: Some(9),
        priority: Some(Priority::High),
        ..JobChange::default()
    };
    let before = bench.store().command(id, set(change)).await.unwrap();
    assert_eq!((before.spec.name.as_str(), before.revision), ("new", 2));
    reopen(&mut bench).await;
    assert_eq!(bench.store().job(id).await.unwrap(), before);
}

#[tokio::test]
async fn b06_every_change_moves_the_time_of_modification() {
    let bench = Bench::new(&[]).await;
    let job = bench.submit().await;
    bench.clock.advance(Duration::from_secs(5));
    let low = set(JobChange {
        priority: Some(Priority::Low),
        ..JobChange::default()
    });
    let after = bench.store().command(job.id, low.clone()).await.unwrap();
    assert_eq!((after.created, after.modified), (job.created, bench.clock.now()));
    bench.clock.advance(Duration::from_secs(5));
    let same = bench.store().command(job.id, low).await.unwrap();
    assert_eq!(same.modified, after.modified, "what changes nothing is no change");
}

#[tokio::test]
async fn b106_a_change_is_told_as_a_modification_also_of_a_job_that_rests() {
    let bench = Bench::new(&[(EventKind::JobModification, "a", Role::Observer)]).await;
    let job = bench.failed().await;
    let filter = DeliveryFilter::default();
    let settle = async |bench: &Bench| {
        let claims = bench
            .store()
            .claim_deliveries(ask_deliveries(&["a"]))
            .await
            .unwrap();
        for claim in &claims {
            bench
                .store()
                .settle(settlement(claim, acknowledged(vec![])))
                .await
                .unwrap();
        }
        claims.len()
    };
    settle(&bench).await;
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(settle(&bench).await, 0);
    bench
        .store()
        .command(job.id, Command::AddFiles(vec![file(1)]))
        .await
        .unwrap();
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(settle(&bench).await, 1);
    assert_eq!(
        bench.store().deliveries(filter).await.unwrap().len(),
        1,
        "one row for them all"
    );
}

/// Routes to the job's own handler.
struct Own;

impl Router for Own {
    fn routes(&self, job: &Job, event: EventKind) -> Vec<Route> {
        let own = job.spec.handler.clone().filter(|_| event == EventKind::JobError);
        own.map(|plugin| Route {
            plugin,
            role: Role::Decider,
        })
        .into_iter()
        .collect()
    }
}

#[tokio::test]
async fn b103_a_handler_given_after_the_error_is_told_of_it_once() {
    let bench = Bench::new(&[]).await;
    bench
        .store()
        .set_router(Arc::new(Own), BTreeMap::new())
        .await
        .unwrap();
    let job = bench.failed().await;
    assert!(
        bench
            .store()
            .deliveries(DeliveryFilter::default())
            .await
            .unwrap()
            .is_empty()
    );
    for _ in 0..2 {
        give_handler(&bench, job.id, "late").await;
    }
    let told = bench.store().deliveries(DeliveryFilter::default()).await.unwrap();
    assert_eq!((told.len(), told[0].event), (1, EventKind::JobError));
    give_handler(&bench, job.id, "later").await;
    let told = bench.store().deliveries(DeliveryFilter::default()).await.unwrap();
    let waits: Vec<_> = told.iter().map(|one| (one.plugin.as_str(), one.state)).collect();
    assert_eq!(
        waits,
        [
            ("later", DeliveryState::Pending),
            ("late", DeliveryState::Settled)
        ],
        "B-111: only the last one is told"
    );
}

#[tokio::test]
async fn b04_a_job_that_is_no_longer_held_completes_by_itself() {
    let bench = Bench::new(&[]).await;
    let mut held = new_job();
    held.spec.hold = true;
    let id = bench.store().submit(held).await.unwrap().job.id;
    let run = bench.run().await;
    let at = bench.clock.now();
    let job = bench
        .store()
        .report(run.id(), Command::Finished { at, files: 1 })
        .await
        .unwrap();
    assert_eq!(
        (job.state, job.intent),
        (JobState::Transferred, None),
        "it stays until it is finished by hand"
    );
    let free = JobChange {
        hold: Some(false),
        ..JobChange::default()
    };
    let job = bench.store().command(id, set(free)).await.unwrap();
    assert_eq!(job.intent, Some(Intent::Complete));
}

#[tokio::test]
async fn b15_a_job_that_changed_hands_counts_for_its_new_owner() {
    let bench = Bench::new(&[]).await;
    let mut bits = new_job();
    bits.spec = JobSpec::new("x", Profile::Bits);
    bits.spec.notify_command = vec!["/bin/mail".to_owned()];
    let all = bench.store().submit_many(vec![bits.clone(); 60]).await.unwrap();
    let id = all[0].job.id;
    let taken = Command::TakeOwnership("uid-7".parse().unwrap());
    let job = bench.store().command(id, taken).await.unwrap();
    assert!(job.spec.notify_command.is_empty());
    assert_eq!(bench.store().job(id).await.unwrap(), job);
    bench
        .store()
        .submit(bits.clone())
        .await
        .expect("one place is free");
    let theirs = NewJob {
        owner: "uid-7".parse().unwrap(),
        ..bits
    };
    bench.store().submit_many(vec![theirs.clone(); 59]).await.unwrap();
    assert!(matches!(
        bench.store().submit(theirs).await,
        Err(StoreError::Limit { .. })
    ));
    let filter = JobFilter {
        owner: Some("uid-7".parse().unwrap()),
        ..JobFilter::default()
    };
    assert_eq!(bench.store().jobs(filter).await.unwrap().len(), 60);
}
