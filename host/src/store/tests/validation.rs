//! A file that is here is found good or bad (B-55, B-97).

use super::*;
use crate::job::FileRef;

const FILES: (EventKind, &str, Role) = (EventKind::FileTransferred, "a", Role::Decider);

fn says(run: &Run, valid: bool) -> Command {
    Command::Validate {
        file: Box::new(FileRef::of(&run.files[0])),
        valid,
        at: Timestamp::default(),
    }
}

#[tokio::test]
async fn b55_a_file_that_is_not_here_cannot_be_judged() {
    let bench = Bench::new(&[]).await;
    bench.submit().await;
    let run = bench.run().await;
    for valid in [true, false] {
        let said = bench.store().command(run.job.id, says(&run, valid)).await;
        let Err(StoreError::Refused(refusal)) = said else {
            panic!("{said:?}")
        };
        assert_eq!(refusal.code, Code(0x8000_000A));
    }
    bench.whole(&run).await;
    let said = bench.store().command(run.job.id, says(&run, true)).await.unwrap();
    assert_eq!(said.state, JobState::Connecting, "`true` says nothing new");
}

#[tokio::test]
async fn b97_a_bad_file_is_dropped_and_its_job_in_error_until_it_is_resumed() {
    let bench = Bench::new(&[FILES, DECIDES]).await;
    bench.submit().await;
    let run = bench.run().await;
    bench.whole(&run).await;
    let claim = bench.claims().await.remove(0);
    assert_eq!(claim.delivery.event, EventKind::FileTransferred);
    let verdict = acknowledged(vec![says(&run, false)]);
    bench.settle(&claim, verdict).await.unwrap();

    let job = bench.store().job(run.job.id).await.unwrap();
    let error = job.error.clone().unwrap();
    assert_eq!(
        (job.state, error.code),
        (JobState::Error, Code::VALIDATION_FAILED)
    );
    assert_eq!(error.file.map(|file| file.index), Some(0));
    assert_eq!((job.error_count, job.progress.bytes_transferred), (1, 0));
    assert_eq!(job.progress.files_transferred, 0);
    let file = bench.store().files(job.id, 0, 1).await.unwrap().remove(0);
    assert_eq!((file.bytes_transferred, file.transferred), (0, false));
    assert_eq!(file.validator, None, "nothing of it is gone on with");
    let late = bench.store().report(run.id(), Command::Yield).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "its run is over");
    let told = bench.claims().await.remove(0);
    assert_eq!(told.delivery.event, EventKind::JobError);
    bench.settle(&told, acknowledged(vec![resume()])).await.unwrap();

    let run = bench.run().await;
    assert_eq!(run.files[0].bytes_transferred, 0);
    bench.whole(&run).await;
    let anew = bench.claims().await.remove(0);
    assert_ne!(anew.delivery.id, claim.delivery.id, "B-108: it is told of anew");
    assert_eq!(anew.delivery.event, EventKind::FileTransferred);
    bench.settle(&anew, acknowledged(vec![])).await.unwrap();
}

#[tokio::test]
async fn b97_a_job_completes_only_when_its_files_have_been_judged() {
    let watches = (EventKind::FileTransferred, "b", Role::Observer);
    let watched = Bench::new(&[watches]).await;
    watched.submit().await;
    let run = watched.run().await;
    watched.whole(&run).await;
    let at = watched.clock.now();
    let job = watched
        .store()
        .report(run.id(), Command::Finished { at, files: 1 })
        .await;
    assert_eq!(
        job.unwrap().intent,
        Some(Intent::Complete),
        "who watches keeps nobody waiting"
    );

    let bench = Bench::new(&[FILES]).await;
    bench.submit().await;
    let run = bench.run().await;
    bench.store().report(run.id(), Command::Connected).await.unwrap();
    bench.whole(&run).await;
    let at = bench.clock.now();
    let job = bench
        .store()
        .report(run.id(), Command::Finished { at, files: 1 })
        .await
        .unwrap();
    assert_eq!((job.state, job.intent), (JobState::Transferred, None));
    let claim = bench.claims().await.remove(0);
    let verdict = acknowledged(vec![says(&run, false)]);
    bench.settle(&claim, verdict).await.unwrap();
    let job = bench.store().job(job.id).await.unwrap();
    assert_eq!((job.state, job.intent), (JobState::Error, None));
}

#[tokio::test]
async fn b97_a_second_bad_file_does_not_enter_the_error_again() {
    let bench = Bench::new(&[DECIDES]).await;
    let new = NewJob {
        files: ["x", "y"]
            .map(|name| FileSpec::new(format!("http://h:1/{name}"), format!("/tmp/{name}")))
            .into(),
        ..new_job()
    };
    bench.store().submit(new).await.unwrap();
    let run = bench.run().await;
    for file in &run.files {
        let file = FileStatus {
            bytes_total: Some(5),
            bytes_transferred: 5,
            transferred: true,
            ..file.clone()
        };
        bench
            .store()
            .checkpoint(run.id(), FileCheckpoint::from(file))
            .await
            .unwrap();
    }
    for file in &run.files {
        let bad = Command::Validate {
            file: Box::new(FileRef::of(file)),
            valid: false,
            at: bench.clock.now(),
        };
        bench.store().command(run.job.id, bad).await.unwrap();
    }
    let job = bench.store().job(run.job.id).await.unwrap();
    assert_eq!(job.error.unwrap().file.unwrap().index, 1, "the last one is shown");
    assert_eq!(job.progress.bytes_transferred, 0);
    assert_eq!(bench.claims().await.len(), 1, "B-99: one call for one entry");
}
