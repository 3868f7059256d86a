//! A plugin room full of deciders, and calls for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sexton::clock::Clock;
use sexton::config::PluginConfig;
use sexton::fail_fast::Children;
use sexton::job::{
    Code, DeliveryId, ErrorContext, ErrorInfo, EventKind, Job, JobId, JobKind, JobSpec, JobState, PluginName,
    Priority, Profile, Progress, Role, Timestamp,
};
use sexton::plugin::{Call, CallView, Function, PluginRoom, RemoteChecked, RoomOptions};
use sexton_tests::guests;

use crate::bench;

/// The names of `count` plugins.
pub fn names(count: usize) -> Vec<PluginName> {
    (0..count)
        .map(|number| format!("decider-{number:03}").parse().expect("a legal name"))
        .collect()
}

/// Who misbehaves beside them.
pub fn neighbour() -> PluginName {
    "neighbour".parse().expect("a legal name")
}

/// A room below `dir` with `workers` guest threads and slots for `calls`, in which all of `names` serve. Each is a
/// component of its own: no two share their code.
pub async fn open(dir: &Path, names: &[PluginName], workers: usize, calls: usize) -> PluginRoom {
    open_beside(dir, names, workers, calls, None).await
}

/// The same with a [`neighbour`] that behaves as `mood` says, with a short deadline.
pub async fn open_beside(
    dir: &Path,
    names: &[PluginName],
    workers: usize,
    calls: usize,
    mood: Option<&str>,
) -> PluginRoom {
    let plugin_dir = dir.join("plugins");
    std::fs::create_dir_all(&plugin_dir).expect("a folder can be made");
    let mut plugins = BTreeMap::new();
    for name in names {
        let bytes = guests::marked(guests::DECIDER, name.as_str());
        std::fs::write(plugin_dir.join(format!("{name}.wasm")), bytes).expect("a file can be written");
        let config = PluginConfig {
            config: [("action".to_owned(), "cancel".to_owned())].into(),
            ..PluginConfig::default()
        };
        plugins.insert(name.clone(), config);
    }
    if let Some(mood) = mood {
        let name = neighbour();
        let file = plugin_dir.join(format!("{name}.wasm"));
        std::fs::write(file, guests::bytes(guests::MOODY)).expect("a file can be written");
        let mut config = PluginConfig {
            config: [("mood".to_owned(), mood.to_owned())].into(),
            ..PluginConfig::default()
        };
        config.limits.deadline = Duration::from_millis(50);
        plugins.insert(name, config);
    }
    let options = RoomOptions {
        plugin_dir,
        state_dir: dir.join("state"),
        compiler: bench::program(),
        compile_timeout: Duration::from_secs(120),
        compile_memory: 4 << 30,
        children: Children::default(),
        calls,
        workers,
        clock: Clock::real(),
        plugins,
    };
    let room = PluginRoom::new(options).expect("a room can be opened");
    room.rescan().await;
    for name in names {
        assert!(room.is_serving(name), "{:?}", room.list());
    }
    room
}

/// A plugin without state: the bench's deciders keep none.
pub struct Stateless;

#[async_trait]
impl CallView for Stateless {
    async fn state(&self, _key: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    async fn state_bytes(&self) -> Result<u64, String> {
        Ok(0)
    }

    async fn check_remote(&self, _job: &Job, _file: u32, _remote: &str) -> Result<RemoteChecked, String> {
        Ok(Ok(()))
    }
}

/// The error of a download that the server refused.
pub fn error(at: Timestamp) -> ErrorInfo {
    ErrorInfo {
        code: Code::http(403),
        context: ErrorContext::RemoteFile,
        description: "the server answered 403 Forbidden".to_owned(),
        file: None,
        protocol: Some("https".to_owned()),
        leg: None,
        attempt: 1,
        at,
        extended: None,
    }
}

/// A call of `job-error` about a download.
pub fn call() -> Call {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let job = Job {
        id: JobId::fresh(),
        owner: "uid-0".parse().expect("a legal name"),
        kind: JobKind::Download,
        state: JobState::Error,
        intent: None,
        outcome: None,
        priority: Priority::Normal,
        revision: 4,
        attempt: 1,
        error_count: 1,
        retries: 0,
        call: sexton::job::CallState::default(),
        no_progress_since: None,
        reply: None,
        due: None,
        created: now,
        modified: now,
        transferred: None,
        progress: Progress {
            files_total: 1,
            ..Progress::default()
        },
        error: Some(error(now)),
        spec: JobSpec::new("nightly.tar.zst", Profile::Sexton),
    };
    Call {
        function: Function::Event(EventKind::JobError),
        delivery: DeliveryId::fresh(),
        event_id: "ev-7".to_owned(),
        seq: 7,
        attempt: 1,
        stale: false,
        role: Role::Decider,
        error: job.error.clone(),
        job,
        files: Vec::new(),
        file: None,
        outcome: None,
        sink: None,
        task: None,
    }
}
