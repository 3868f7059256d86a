//! The smallest store that keeps jobs and the smallest host that knows nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::super::view::{ActivityView, FailFastView, HostState, HostStatus, PluginView};
use super::super::{ActivityRefusal, Checker, HostHandle};
use crate::job::{
    ActivityDraft, ActivityName, ActivitySpec, Code, Command, DeliveryId, FileSpec, FileStatus, Job, JobId,
    JobState, PluginName, Profile, Progress, Router, Timestamp, apply,
};
use crate::store::{
    ActivityRow, Change, Claim, ClaimDeliveries, ClaimJobs, Counts, DeliveryFilter, DeliveryRecord, HoldJobs,
    JobFilter, JobMatch, JobPage, Lanes, NewJob, RetentionRule, Run, RunId, SettleResult, Settlement, Store,
    StoreError, Submitted, Told,
};

pub(super) struct FakeStore {
    jobs: Mutex<BTreeMap<JobId, (Job, Vec<FileStatus>)>>,
    changes: broadcast::Sender<Change>,
}

impl FakeStore {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            jobs: Mutex::default(),
            changes: broadcast::channel(16).0,
        })
    }
}

fn missing(what: &'static str, id: impl ToString) -> StoreError {
    StoreError::NotFound {
        what,
        id: id.to_string(),
    }
}

fn job(new: NewJob) -> (Job, Vec<FileStatus>) {
    let files: Vec<FileStatus> = new
        .files
        .into_iter()
        .zip(0..)
        .map(|(file, index)| FileStatus::new(index, file))
        .collect();
    let job = Job {
        id: JobId::fresh(),
        owner: new.owner,
        kind: new.kind,
        state: JobState::Queued,
        intent: None,
        outcome: None,
        priority: new.priority,
        revision: 1,
        attempt: 0,
        error_count: 0,
        retries: 0,
        call: crate::job::CallState::default(),
        no_progress_since: None,
        reply: None,
        due: None,
        created: Timestamp::default(),
        modified: Timestamp::default(),
        transferred: None,
        progress: Progress {
            files_total: u32::try_from(files.len()).unwrap(),
            ..Progress::default()
        },
        error: None,
        spec: new.spec,
    };
    (job, files)
}

/// The job as it is accepted.
pub(in crate::api) fn queued(new: NewJob) -> Job {
    job(new).0
}

#[async_trait]
impl Store for FakeStore {
    async fn submit(&self, new: NewJob) -> Result<Submitted, StoreError> {
        let (job, files) = job(new);
        self.jobs.lock().unwrap().insert(job.id, (job.clone(), files));
        Ok(Submitted { job, created: true })
    }

    async fn submit_many(&self, new: Vec<NewJob>) -> Result<Vec<Submitted>, StoreError> {
        let mut all = Vec::new();
        for new in new {
            all.push(self.submit(new).await?);
        }
        Ok(all)
    }

    async fn set_lanes(&self, _: Arc<Lanes>) -> Result<(), StoreError> {
        unasked()
    }
    async fn keep_activity(&self, _: ActivityRow) -> Result<(), StoreError> {
        unasked()
    }
    async fn activities(&self) -> Result<(Vec<ActivityRow>, BTreeMap<String, u64>), StoreError> {
        unasked()
    }
    async fn command(&self, id: JobId, command: Command) -> Result<Job, StoreError> {
        let mut jobs = self.jobs.lock().unwrap();
        let (job, _) = jobs.get_mut(&id).ok_or_else(|| missing("job", id))?;
        let transition = apply(job, &command)?;
        transition.carry_out(job);
        let _ = self.changes.send(Change::Job {
            id,
            state: job.state,
            revision: job.revision,
            priority: job.priority,
            intent: job.intent.is_some(),
            due: job.due,
        });
        Ok(job.clone())
    }

    async fn job(&self, id: JobId) -> Result<Job, StoreError> {
        let jobs = self.jobs.lock().unwrap();
        jobs.get(&id)
            .map(|(job, _)| job.clone())
            .ok_or_else(|| missing("job", id))
    }

    async fn files(&self, id: JobId, offset: u32, limit: u32) -> Result<Vec<FileStatus>, StoreError> {
        let jobs = self.jobs.lock().unwrap();
        let (_, files) = jobs.get(&id).ok_or_else(|| missing("job", id))?;
        let page = files.iter().skip(offset as usize).take(limit as usize);
        Ok(page.cloned().collect())
    }

    async fn jobs(&self, filter: JobFilter) -> Result<Vec<Job>, StoreError> {
        let jobs = self.jobs.lock().unwrap();
        let all = jobs.values().rev().map(|(job, _)| job);
        let wanted = all.filter(|job| filter.states.is_empty() || filter.states.contains(&job.state));
        Ok(wanted.take(filter.limit).cloned().collect())
    }

    async fn jobs_matching(&self, filter: JobFilter, wanted: JobMatch) -> Result<JobPage, StoreError> {
        let mut jobs = self.jobs(filter).await?;
        jobs.retain(|job| wanted.fits(job));
        Ok(JobPage { jobs, next: None })
    }

    async fn deliveries(&self, _: DeliveryFilter) -> Result<Vec<DeliveryRecord>, StoreError> {
        Ok(Vec::new())
    }
    async fn delivery(&self, id: DeliveryId) -> Result<DeliveryRecord, StoreError> {
        Err(missing("delivery", id))
    }
    async fn replay(&self, _: DeliveryFilter) -> Result<u64, StoreError> {
        Ok(0)
    }
    async fn purge(&self, _: DeliveryFilter) -> Result<u64, StoreError> {
        Ok(0)
    }
    async fn counts(&self) -> Result<Counts, StoreError> {
        Ok(Counts::default())
    }
    async fn waiting(&self) -> Result<BTreeMap<PluginName, u64>, StoreError> {
        Ok(BTreeMap::from([("pager".parse().unwrap(), 3)]))
    }
    fn damage(&self) -> Option<String> {
        None
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
    fn incarnation(&self) -> u64 {
        1
    }
    async fn close(&self) {}

    // What the control API has no business with.
    async fn claim_jobs(&self, _: ClaimJobs) -> Result<Vec<Run>, StoreError> {
        unasked()
    }
    async fn hold_jobs(&self, _: HoldJobs) -> Result<bool, StoreError> {
        unasked()
    }
    async fn tell(&self, _: RunId, _: Told) -> Result<Job, StoreError> {
        unasked()
    }
    async fn hand_over(
        &self,
        _: RunId,
        _: crate::store::SinkReport,
    ) -> Result<crate::store::HandedOver, StoreError> {
        unasked()
    }
    async fn watched(&self, _: RunId) -> Result<crate::store::Watched, StoreError> {
        unasked()
    }
    async fn objects(&self, _: JobId, _: u64, _: u64) -> Result<crate::store::ObjectsPage, StoreError> {
        unasked()
    }
    async fn intents(&self, _: usize) -> Result<Vec<Job>, StoreError> {
        unasked()
    }
    async fn files_completed(&self, _: JobId, _: Vec<u32>) -> Result<(), StoreError> {
        unasked()
    }
    async fn end_intent(&self, _: JobId, _: Vec<u32>, _: Command) -> Result<Job, StoreError> {
        unasked()
    }
    async fn tick(&self, _: RetentionRule) -> Result<Option<Timestamp>, StoreError> {
        unasked()
    }
    async fn set_router(
        &self,
        _: Arc<dyn Router>,
        _: BTreeMap<PluginName, Option<String>>,
    ) -> Result<(), StoreError> {
        unasked()
    }
    async fn claim_deliveries(&self, _: ClaimDeliveries) -> Result<Vec<Claim>, StoreError> {
        unasked()
    }
    async fn next_delivery(
        &self,
        _: BTreeSet<PluginName>,
        _: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        unasked()
    }
    async fn settle(&self, _: Settlement) -> Result<SettleResult, StoreError> {
        unasked()
    }
    async fn plugin_state(&self, _: &PluginName, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        unasked()
    }
    async fn plugin_state_bytes(&self, _: &PluginName) -> Result<u64, StoreError> {
        unasked()
    }
    async fn purge_plugin_state(&self, _: &PluginName) -> Result<u64, StoreError> {
        unasked()
    }
}

pub(super) struct FakeHost;

#[async_trait]
impl HostHandle for FakeHost {
    fn plugins(&self) -> Vec<PluginView> {
        Vec::new()
    }

    async fn rescan_plugins(&self) {}

    async fn reload_config(&self) -> Result<(), String> {
        Err("line 3: no".to_owned())
    }

    async fn status(&self) -> HostStatus {
        HostStatus {
            version: "0".to_owned(),
            pid: 1,
            started: Timestamp::default(),
            state: HostState::Running,
            degraded: Vec::new(),
            config_file: None,
            config_problem: None,
            fail_fast: FailFastView {
                mode: "abort".to_owned(),
                ignored: false,
                crash_limit: 2,
                report_dir: "reports".to_owned(),
                last_report: None,
            },
        }
    }

    fn is_draining(&self) -> bool {
        false
    }

    fn checker(&self) -> Checker<'_> {
        Box::new(|new| new.files.iter().try_for_each(|file| self.check_remotes(file)))
    }

    fn check_remotes(&self, file: &FileSpec) -> Result<(), (Code, String)> {
        match file.remote.starts_with("gopher:") {
            true => Err((Code::INVALIDARG, format!("`{}` cannot be fetched", file.remote))),
            false => Ok(()),
        }
    }

    fn check_reply(&self, local: &str) -> Result<(), (Code, String)> {
        match local.starts_with('/') {
            true => Ok(()),
            false => Err((Code::INVALIDARG, format!("`{local}` is not an absolute path"))),
        }
    }

    async fn reply_data(&self, _: &Job, _: Option<&FileStatus>) -> Result<Vec<u8>, (Code, String)> {
        Ok(b"a reply".to_vec())
    }

    async fn forget_plugin(&self, _: &PluginName) -> Result<bool, String> {
        Ok(false)
    }

    async fn purge_plugin(&self, _: &PluginName) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn activity(&self, name: &ActivityName) -> Option<Arc<ActivitySpec>> {
        (name.as_str() == "nightly").then(|| {
            let deadline = Some(std::time::Duration::from_secs(60));
            Arc::new(ActivitySpec {
                deadline,
                ..ActivitySpec::default()
            })
        })
    }

    async fn activities(&self) -> Result<Vec<ActivityView>, StoreError> {
        Ok(Vec::new())
    }

    async fn create_activity(
        &self,
        _: ActivityName,
        draft: &ActivityDraft,
    ) -> Result<ActivityView, ActivityRefusal> {
        draft.freeze()?;
        unasked()
    }

    async fn pause_activity(&self, _: &ActivityName, _: bool) -> Result<Option<ActivityView>, StoreError> {
        Ok(None)
    }

    fn default_profile(&self) -> Profile {
        Profile::Sexton
    }
}

/// Verbs that no route under test uses.
fn unasked() -> ! {
    panic!("no route asks the store for this")
}
