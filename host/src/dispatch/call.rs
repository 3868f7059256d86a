//! One call into the plugin room: from a claim to a reply.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::job::{Answer, Code, EventKind, FileSpec, Job, PluginName, Reply, StateRead};
use crate::plugin::{Call, CallView, Function, RemoteChecked};
use crate::store::{Claim, Stage, Store};

use super::Handlers;

/// Whether this host can fetch a file from where it says.
pub type CheckRemotes = Arc<dyn Fn(&FileSpec) -> RemoteChecked + Send + Sync>;

/// Makes one call into the plugin room; tells also what it read of the plugin's state.
pub(super) async fn call(
    claim: &Claim,
    handlers: Arc<dyn Handlers>,
    store: Arc<dyn Store>,
    check_remotes: CheckRemotes,
) -> (Reply, Vec<StateRead>) {
    let delivery = &claim.delivery;
    let event = match delivery.stage {
        Stage::Final => EventKind::FinalServerRetry,
        Stage::Handler | Stage::Command => delivery.event,
    };
    // A subscription may have been written before the component was there; a function that it does not
    // export counts as S_OK (B-158). The last step of a policy is only taken where there is one.
    let missing = handlers
        .exports()
        .get(&delivery.plugin)
        .is_some_and(|known| !known.functions.contains(&event));
    if missing && delivery.stage != Stage::Final {
        return (nothing_to_say(), Vec::new());
    }
    let call = Call {
        function: Function::Event(event),
        delivery: delivery.id,
        event_id: delivery.event_id.clone(),
        seq: delivery.seq,
        attempt: delivery.attempt,
        stale: claim.stale,
        role: delivery.role,
        job: claim.job.clone(),
        files: claim.files.clone(),
        error: claim.error.clone(),
        file: claim.file.clone(),
        outcome: claim.outcome,
        sink: claim.sink.clone(),
        task: None,
    };
    let view = Arc::new(StoreView {
        store,
        check_remotes,
        plugin: delivery.plugin.clone(),
        reads: Mutex::new(BTreeMap::new()),
    });
    let seen = Arc::clone(&view);
    let reply = handlers.call(&delivery.plugin, call, view).await;
    let reads = std::mem::take(&mut *seen.reads.lock().unwrap_or_else(PoisonError::into_inner));
    (reply, reads.into_values().collect())
}

/// Acknowledged, and nothing decided.
pub(super) fn nothing_to_say() -> Reply {
    Reply {
        verdict: Ok(()),
        requests: Vec::new(),
        state_writes: Vec::new(),
        digest: String::new(),
        duration: Duration::ZERO,
        peak_memory: 0,
        answer: Answer::Nothing,
    }
}

/// What a call sees of the store: its own plugin's state, and whether its job has a file.
struct StoreView {
    store: Arc<dyn Store>,
    check_remotes: CheckRemotes,
    plugin: PluginName,
    /// The first look at each key: what the call goes by.
    reads: Mutex<BTreeMap<String, StateRead>>,
}

/// Keys one call may read. Each is compared again at its settlement.
const READS_MAX: usize = 10_000;

#[async_trait]
impl CallView for StoreView {
    async fn state(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        let value = self
            .store
            .plugin_state(&self.plugin, key)
            .await
            .map_err(|why| why.to_string())?;
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        if reads.len() >= READS_MAX && !reads.contains_key(key) {
            return Err(format!("a call may read at most {READS_MAX} keys of its state"));
        }
        reads
            .entry(key.to_owned())
            .or_insert_with(|| StateRead::of(key.to_owned(), value.as_deref()));
        Ok(value)
    }

    async fn state_bytes(&self) -> Result<u64, String> {
        self.store
            .plugin_state_bytes(&self.plugin)
            .await
            .map_err(|why| why.to_string())
    }

    async fn check_remote(&self, job: &Job, file: u32, remote: &str) -> Result<RemoteChecked, String> {
        let files = self.store.files(job.id, file, 1).await;
        let files = files.map_err(|why| why.to_string())?;
        let Some(known) = files.into_iter().find(|known| known.index == file) else {
            let why = format!("the job has no file {file}");
            return Ok(Err((Code::NOT_FOUND, why)));
        };
        let http = &job.spec.transfer().http;
        let allowed = known.may_be_led(http, remote);
        Ok(allowed.and_then(|()| (self.check_remotes)(&known.renamed(remote))))
    }
}
