//! The runner over a real store, with a component that says what it likes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::provider::{Ask, ComponentProvider, Enough, QueryFault, RowSink};
use super::{Inventory, QueryRunner, check};
use crate::clock::Clock;
use crate::config::QueryConfig;
use crate::engine::throttle::LiveLevel;
use crate::engine::{Bandwidth, RunControl, RunEnd, Runner, Throttle};
use crate::job::{
    Code, ErrorInfo, JobKind, JobSpec, PluginName, Priority, Profile, ProviderRef, QuerySpec, Severity, Value,
};
use crate::store::{ClaimJobs, NewJob, Run, SqliteOptions, SqliteStore, Store};

/// Finds so many objects, then fails as told.
struct Scripted {
    rows: i64,
    fault: Option<QueryFault>,
}

#[async_trait]
impl ComponentProvider for Scripted {
    fn provides(&self, plugin: &PluginName) -> bool {
        plugin.as_str() == "scripted"
    }

    async fn ask(&self, _: &PluginName, _: Ask, mut rows: RowSink) -> Result<(), QueryFault> {
        rows.columns(vec!["n".to_owned()]);
        for n in 0..self.rows {
            match rows.row(vec![Value::Integer(n)]).await {
                Ok(()) => {}
                Err(Enough::Done) => break,
                Err(Enough::TooLarge(why)) => return Err(why),
            }
        }
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None => {
                rows.put("orders/1".to_owned()).await;
                rows.end().await;
                Ok(())
            }
        }
    }
}

struct Scene {
    dir: tempfile::TempDir,
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Scene {
    async fn new() -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::real());
        let options = SqliteOptions {
            state_dir: dir.path().to_owned(),
            clock: clock.clone(),
            force: false,
        };
        let store = Arc::new(SqliteStore::open(options).await.unwrap());
        Self { dir, store, clock }
    }

    async fn claim(&self, spec: QuerySpec) -> Run {
        let mut job = JobSpec::new("asked", Profile::Sexton);
        job.query = Some(Box::new(spec));
        let new = NewJob {
            owner: "uid-0".parse().unwrap(),
            kind: JobKind::Query,
            priority: Priority::Foreground,
            spec: job,
            files: Vec::new(),
            key: None,
            suspended: false,
        };
        self.store.submit(new).await.unwrap();
        let ask = ClaimJobs {
            queries: 1,
            lease: Duration::from_secs(30),
            ..ClaimJobs::default()
        };
        self.store.claim_jobs(ask).await.unwrap().pop().unwrap()
    }

    async fn run(&self, scripted: Scripted, spec: QuerySpec) -> RunEnd {
        let inventory: Inventory = Arc::new(Vec::new);
        let runner = QueryRunner::new(QueryConfig::default(), self.dir.path().to_owned(), inventory);
        let runner = runner.with_components(Arc::new(scripted));
        let run = self.claim(spec).await;
        let bandwidth = Arc::new(Bandwidth::new(self.clock.clone()));
        let control = RunControl::new(
            &run,
            Arc::clone(&self.store),
            self.clock.clone(),
            CancellationToken::new(),
            Throttle::new(None, LiveLevel::new(Priority::Foreground), bandwidth),
        );
        runner.run(run, control).await
    }
}

fn fatal(end: RunEnd) -> ErrorInfo {
    match end {
        RunEnd::Fatal { error } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn t16_a_provider_cannot_say_who_failed_at_what() {
    let scene = Scene::new().await;
    let fault = QueryFault::new(Code::WBEM_FAILED, "Operation = Format; ProviderName = root")
        .of("E-7", Severity::Major);
    let scripted = Scripted {
        rows: 0,
        fault: Some(fault),
    };
    let error = fatal(
        scene
            .run(scripted, QuerySpec::new("scripted", "SELECT a FROM b"))
            .await,
    );
    let status = error.extended.unwrap();
    assert_eq!(status.operation, "ExecQuery");
    assert_eq!(status.parameter_info, "SELECT a FROM b");
    assert_eq!(status.provider_name, "scripted");
    assert_eq!(
        (error.code, status.status_code),
        (Code::WBEM_FAILED, Code::WBEM_FAILED)
    );
    let provider = status.provider.unwrap();
    assert_eq!(
        (provider.error_code.as_str(), provider.severity),
        ("E-7", Severity::Major)
    );
}

#[tokio::test]
async fn w43_an_error_of_the_platform_has_no_part_of_a_provider() {
    let scene = Scene::new().await;
    let scripted = || Scripted { rows: 0, fault: None };
    let error = fatal(scene.run(scripted(), QuerySpec::new("absent", "x")).await);
    assert_eq!(error.code, Code::WBEM_PROVIDER_LOAD_FAILURE);
    let status = error.extended.unwrap();
    assert_eq!((status.provider_name.as_str(), status.provider), ("absent", None));
    let end = scene
        .run(Scripted { rows: 3, fault: None }, QuerySpec::new("scripted", "x"))
        .await;
    assert_eq!(end, RunEnd::Finished);
}

#[tokio::test]
async fn a_watch_that_fails_halfway_forgets_nothing() {
    let scene = Scene::new().await;
    let watch = || QuerySpec {
        every: Some(Duration::from_secs(60)),
        keep: true,
        ..QuerySpec::new("scripted", "x")
    };
    let fault = QueryFault::new(Code::WBEM_FAILED, "no more");
    let half = Scripted {
        rows: 1_500,
        fault: Some(fault),
    };
    fatal(scene.run(half, watch()).await);
    let whole = Scripted { rows: 5, fault: None };
    assert_eq!(scene.run(whole, watch()).await, RunEnd::Finished);
}

#[test]
fn a_provider_is_known_before_a_job_is_accepted() {
    let good = |provider: &str| check(&QueryConfig::default(), &ProviderRef(provider.to_owned())).is_ok();
    for provider in [
        "sexton",
        "system",
        "sqlite:/a.db",
        "postgres://u@h/d",
        "postgres:postgres://u@h/d",
        "component",
    ] {
        assert!(good(provider), "{provider}");
    }
    for provider in [
        "",
        "sqlite:",
        "sqlite:a.db",
        "system:x",
        "postgres://u:p@h/d",
        "mysql://h/d",
        "A B",
    ] {
        assert!(!good(provider), "{provider}");
    }
}

/// What SQLite says to a text, and the database it is put to.
async fn asked(path: &str, text: &str) -> ErrorInfo {
    let scene = Scene::new().await;
    let scripted = Scripted { rows: 0, fault: None };
    match scene.run(scripted, QuerySpec::new(path, text)).await {
        RunEnd::Fatal { error } | RunEnd::Transient { error, .. } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn w46_the_code_of_the_provider_is_precise_where_the_other_is_general() {
    let error = asked("system", "SELECT * FROM not_there").await;
    let provider = error.extended.unwrap().provider.unwrap();
    assert_eq!(error.code, Code::WBEM_INVALID_QUERY);
    assert_eq!(provider.error_code, "SQLITE_ERROR");
    assert_eq!(provider.cause_info, "result code 1");
    assert_eq!(provider.object_info, "not_there");
    assert_eq!((provider.file.as_str(), provider.line), ("", 0), "not known");
}

#[tokio::test]
async fn w47_the_severity_says_how_far_an_error_reaches() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("broken.db");
    std::fs::write(&file, "x".repeat(4096)).unwrap();
    let file = format!("sqlite:{}", file.display());
    for (provider, severity) in [
        ("system", Severity::Functional),
        ("sqlite:/no/such.db", Severity::Minor),
        (file.as_str(), Severity::Major),
    ] {
        let error = asked(provider, "SELECT * FROM not_there").await;
        let said = error.extended.unwrap().provider.unwrap();
        assert_eq!(said.severity, severity, "{provider}: {said:?}");
    }
}

#[tokio::test]
async fn w49_a_lost_connection_is_a_class_of_its_own() {
    let scene = Scene::new().await;
    let scripted = Scripted { rows: 0, fault: None };
    let nobody = QuerySpec::new("postgres://u@/d?host=/no/such/folder", "SELECT 1");
    match scene.run(scripted, nobody).await {
        RunEnd::Transient { error, .. } => {
            assert_eq!(error.code, Code::WBEM_TRANSPORT_FAILURE);
            assert_eq!(error.context, crate::job::ErrorContext::GeneralTransport);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn w48_the_kind_of_an_error_is_told_by_whether_the_provider_has_a_part() {
    let of_provider = asked("system", "SELECT").await;
    assert!(of_provider.extended.unwrap().provider.is_some());
    let of_platform = asked("absent", "SELECT").await;
    assert!(of_platform.extended.unwrap().provider.is_none());
}
