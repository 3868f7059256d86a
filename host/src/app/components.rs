//! Components that do the work of jobs, as the engine's runners call them: the engine knows nothing of
//! plugins, and the plugin room nothing of jobs that run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::engine::batch::{CallEnd, ComponentCall, ComponentRunner};
use crate::engine::query::{self, ComponentProvider, Enough, QueryFault, RowSink};
use crate::job::{Answer, Code, FailureClass, FailureRecord, Interface, Job, PluginName, Reply};
use crate::plugin::{Ask, Call, CallView, PluginRoom, RemoteChecked};
use crate::store::Store;

/// What a call may take whose job has no deadline: the room wants one, to have a limit on everything.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// Where the next page begins travels in memory between two calls.
const CURSOR_MAX: usize = 64 << 10;

/// The plugin room and the state of its plugins.
pub(super) struct Components {
    /// Where they are called.
    pub(super) room: PluginRoom,
    /// Where their state is.
    pub(super) store: Arc<dyn Store>,
    /// What time it is.
    pub(super) clock: Clock,
}

impl Components {
    fn does(&self, plugin: &PluginName, work: Interface) -> bool {
        let exports = self.room.exports();
        exports
            .get(plugin)
            .is_some_and(|known| known.work.contains(&work))
    }

    /// Calls it; `None` when it was told to stop.
    async fn work(
        &self,
        plugin: &PluginName,
        job: Job,
        ask: Ask,
        left: Duration,
        stop: &CancellationToken,
    ) -> Option<Reply> {
        let view = Arc::new(OwnState {
            store: Arc::clone(&self.store),
            plugin: plugin.clone(),
        });
        tokio::select! {
            reply = self.room.call(plugin, Call::of_work(job, ask, left), view) => Some(reply),
            () = stop.cancelled() => None,
        }
    }
}

#[async_trait]
impl ComponentRunner for Components {
    async fn call(&self, call: ComponentCall<'_>) -> Result<CallEnd, String> {
        let plugin = &call.call.component;
        if !self.does(plugin, Interface::ServiceCall) {
            return Err(format!(
                "there is no component `{plugin}` that exports service-call; `sexton plugin list` shows those there are"
            ));
        }
        let now = self.clock.now();
        let left = call.deadline.map_or(LONGEST, |at| at.since(now));
        let ask = Ask::Call(call.call.input.clone());
        let reply = self.work(plugin, call.job.clone(), ask, left, &call.stop).await;
        let Some(reply) = reply else {
            return Err("it was told to stop".to_owned());
        };
        Ok(match (reply.verdict, reply.answer) {
            (Ok(()), Answer::Output(output)) => CallEnd::Returned {
                output,
                writes: reply.state_writes,
            },
            (Ok(()), _) => CallEnd::Trapped {
                code: Code::SX_HOST_FAULT,
                message: "it returned nothing".to_owned(),
            },
            (Err(record), _) => failed(*record),
        })
    }
}

/// C-35: what it returned is kept apart from how it died.
fn failed(record: FailureRecord) -> CallEnd {
    match record.class {
        FailureClass::ErrorTransient | FailureClass::ErrorPermanent => CallEnd::Failed {
            code: record.code,
            message: record.message,
            permanent: record.class == FailureClass::ErrorPermanent,
        },
        _ => CallEnd::Trapped {
            code: record.code,
            message: record.message,
        },
    }
}

#[async_trait]
impl ComponentProvider for Components {
    fn provides(&self, plugin: &PluginName) -> bool {
        self.does(plugin, Interface::Provider)
    }

    async fn ask(&self, plugin: &PluginName, ask: query::Ask, mut rows: RowSink) -> Result<(), QueryFault> {
        let ends = self.clock.now().after(ask.deadline);
        // W-60: the context is its submitter's and the handlers', never the provider's.
        let mut job = ask.job;
        job.spec.context.clear();
        let limit = job.spec.query.as_ref().and_then(|query| query.limit);
        let mut cursor = None;
        let mut columns: Option<Vec<String>> = None;
        loop {
            let fetch = Ask::Fetch {
                text: ask.text.clone(),
                limit,
                cursor: cursor.take(),
            };
            let left = ends.since(self.clock.now());
            let Some(reply) = self.work(plugin, job.clone(), fetch, left, &ask.stop).await else {
                return Ok(());
            };
            let page = match (reply.verdict, reply.answer) {
                (Ok(()), Answer::Page(page)) => page,
                (Ok(()), _) => return Err(broken("it returned no page")),
                (Err(record), answer) => return Err(fault(*record, answer)),
            };
            match &columns {
                None => rows.columns(columns.insert(page.columns).clone()),
                Some(known) if *known != page.columns => {
                    return Err(broken("its columns changed between pages"));
                }
                Some(_) => {}
            }
            let width = columns.as_ref().map_or(0, Vec::len);
            for row in page.rows {
                if row.len() != width {
                    return Err(broken("an object has not a value for every column"));
                }
                match rows.row(row).await {
                    Ok(()) => {}
                    Err(Enough::Done) => {
                        rows.end().await;
                        return Ok(());
                    }
                    Err(Enough::TooLarge(fault)) => return Err(fault),
                }
            }
            match page.next {
                None => break,
                Some(next) if next.len() > CURSOR_MAX => return Err(broken("its cursor is over 64 KiB")),
                Some(next) => cursor = Some(next),
            }
        }
        rows.end().await;
        Ok(())
    }
}

fn broken(why: &str) -> QueryFault {
    QueryFault::new(Code::WBEM_PROVIDER_FAILURE, why)
}

/// What it says of its failure; what it dies of is told as its failure.
fn fault(record: FailureRecord, answer: Answer) -> QueryFault {
    let returned = matches!(
        record.class,
        FailureClass::ErrorTransient | FailureClass::ErrorPermanent
    );
    let code = match record.class {
        _ if returned => record.code,
        FailureClass::Timeout => Code::WBEM_PROVIDER_TIMED_OUT,
        _ => Code::WBEM_PROVIDER_FAILURE,
    };
    let mut fault = QueryFault::new(code, record.message);
    if let Answer::Fault(said) = answer {
        fault.position = said.position;
        fault.provider = said.error.map(Box::new);
    }
    fault
}

/// What a component that works sees of the store. It decides about no job.
struct OwnState {
    store: Arc<dyn Store>,
    plugin: PluginName,
}

#[async_trait]
impl CallView for OwnState {
    async fn state(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        let value = self.store.plugin_state(&self.plugin, key).await;
        value.map_err(|why| why.to_string())
    }

    async fn state_bytes(&self) -> Result<u64, String> {
        let bytes = self.store.plugin_state_bytes(&self.plugin).await;
        bytes.map_err(|why| why.to_string())
    }

    async fn check_remote(&self, _: &Job, _: u32, _: &str) -> Result<RemoteChecked, String> {
        Ok(Err((Code::ACCESSDENIED, "what works decides nothing".to_owned())))
    }
}
