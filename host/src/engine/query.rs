//! The runner of queries: asks a provider, hands over what it finds, and says how it ended. Its end never
//! depends on a handler (CX-01).

mod postgres;
mod provider;
mod resolve;
mod sexton;
mod sql;
mod sqlite;
mod system;
mod tell;
#[cfg(test)]
mod tests;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use crate::config::QueryConfig;
use crate::job::{
    Code, ErrorContext, ErrorInfo, ExtendedStatus, FileStatus, Job, Outcome, QuerySpec, Timestamp, Value,
};
use crate::store::Run;

use super::runner::{IntentControl, RunControl, RunEnd, Runner, Stopped};
use provider::Found;
pub use provider::{Ask, ComponentProvider, Enough, Provider, QueryFault, RowSink};
pub use resolve::check;
pub use sexton::Inventory;
use tell::Teller;
use watch::Comparison;

/// Asks providers.
pub struct QueryRunner {
    config: QueryConfig,
    state_dir: PathBuf,
    inventory: Inventory,
    components: Option<Arc<dyn ComponentProvider>>,
}

/// Why a run ended before its provider did.
enum Cut {
    Stopped,
    Fault(QueryFault),
}

impl From<Stopped> for Cut {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<QueryFault> for Cut {
    fn from(fault: QueryFault) -> Self {
        Self::Fault(fault)
    }
}

impl QueryRunner {
    /// A runner over the store in `state_dir`.
    #[must_use]
    pub fn new(config: QueryConfig, state_dir: PathBuf, inventory: Inventory) -> Self {
        Self {
            config,
            state_dir,
            inventory,
            components: None,
        }
    }

    /// The same with components that export `provider`.
    #[must_use]
    pub fn with_components(mut self, components: Arc<dyn ComponentProvider>) -> Self {
        self.components = Some(components);
        self
    }

    /// Asks the provider, and hands over what it finds until it has ended.
    async fn ask(
        &self,
        run: &Run,
        spec: &QuerySpec,
        provider: Arc<dyn Provider>,
        control: &RunControl,
    ) -> Result<(), Cut> {
        let deadline = spec.deadline.unwrap_or(self.config.deadline);
        let stop = CancellationToken::new();
        // Whatever ends this run ends the asking.
        let _ends = stop.clone().drop_guard();
        let ask = Ask {
            text: spec.text.clone(),
            job: run.job.clone(),
            deadline,
            stop,
        };
        let (rows, found) = RowSink::new(spec.limit);
        let asking = tokio::spawn(async move { provider.ask(ask, rows).await });
        let over = control.clock.now().after(deadline);
        let telling = async {
            self.hand_over(run, spec, found, control).await?;
            let said = asking.await;
            said.unwrap_or_else(|_| Err(QueryFault::new(Code::WBEM_PROVIDER_FAILURE, "the provider died")))?;
            Ok(())
        };
        let said = tokio::select! {
            said = telling => said,
            () = control.stop.cancelled() => Err(Cut::Stopped),
            () = control.clock.sleep_until(over) => {
                let limit = humantime::format_duration(deadline);
                Err(Cut::Fault(QueryFault::new(Code::SX_DEADLINE, format!("it was not done within {limit}"))))
            }
        };
        if said.is_ok() {
            control.connected().await?;
        }
        said
    }

    async fn hand_over(
        &self,
        run: &Run,
        spec: &QuerySpec,
        mut found: Receiver<Found>,
        control: &RunControl,
    ) -> Result<(), Cut> {
        let config = &self.config;
        let attempt = run.job.attempt;
        let mut teller = Teller::new(control, attempt, config.keep, config.drop_after, spec.progress);
        if spec.every.is_some() {
            return self.compare(attempt, spec, found, control, teller).await;
        }
        let mut first = true;
        while let Some(one) = found.recv().await {
            if std::mem::take(&mut first) {
                control.connected().await?;
            }
            match one {
                Found::Rows(columns, rows) => teller.objects(columns, rows).await?,
                Found::Partial => teller.partial().await?,
                Found::Progress(progress) => teller.progress(progress).await?,
                Found::Put(path) => teller.put(path).await?,
                Found::End => {}
            }
        }
        Ok(())
    }

    /// A watch tells what is new, once all is found: what is missing is known only then.
    async fn compare(
        &self,
        attempt: u32,
        spec: &QuerySpec,
        mut found: Receiver<Found>,
        control: &RunControl,
        mut teller: Teller,
    ) -> Result<(), Cut> {
        let (mut names, mut all): (Vec<String>, Vec<Vec<Value>>) = (Vec::new(), Vec::new());
        let mut ended = false;
        while let Some(one) = found.recv().await {
            match one {
                Found::End => ended = true,
                Found::Rows(columns, mut rows) => {
                    names = columns;
                    all.append(&mut rows);
                }
                Found::Put(path) => teller.put(path).await?,
                Found::Progress(progress) => teller.progress(progress).await?,
                Found::Partial => {}
            }
            if all.len() > self.config.watch_rows {
                let most = self.config.watch_rows;
                let why = format!(
                    "a watch remembers at most {most} objects (`[query] watch_rows`), and there are more"
                );
                return Err(QueryFault::new(Code::WBEM_QUOTA_VIOLATION, why).into());
            }
        }
        if !ended {
            // It failed, and says so itself: what is not there has not disappeared.
            return Ok(());
        }
        let before = control.watched().await?;
        let mut comparison = Comparison::new(&before, names, &spec.by, attempt)?;
        all.into_iter().for_each(|row| comparison.now(row));
        tracing::debug!(objects = comparison.count(), "watched");
        for news in comparison.end() {
            teller.batch(news.batch, Some(news.watch)).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Runner for QueryRunner {
    async fn run(&self, run: Run, control: RunControl) -> RunEnd {
        let Some(spec) = run.job.spec.query.clone() else {
            let fault = QueryFault::new(Code::INVALIDARG, "the job says nothing of what is asked");
            let spec = QuerySpec::new("", "");
            return end(fault, &spec, String::new(), run.job.attempt, control.clock.now());
        };
        let provider = match self.resolve(&spec.provider) {
            Ok(provider) => provider,
            Err(fault) => {
                let name = spec.provider.scheme().to_owned();
                return end(fault, &spec, name, run.job.attempt, control.clock.now());
            }
        };
        let name = provider.name();
        match self.ask(&run, &spec, provider, &control).await {
            Ok(()) => RunEnd::Finished,
            Err(Cut::Stopped) => RunEnd::Stopped,
            Err(Cut::Fault(fault)) => end(fault, &spec, name, run.job.attempt, control.clock.now()),
        }
    }

    /// There are no files: what was found is durable already.
    async fn complete(&self, _: &Job, _: &[FileStatus], _: &IntentControl) -> Result<Outcome, ErrorInfo> {
        Ok(Outcome::Succeeded)
    }

    async fn cancel(&self, _: &Job, _: &[FileStatus], _: &IntentControl) -> Result<(), ErrorInfo> {
        Ok(())
    }
}

/// The end of a run that failed. Operation, argument and name are put here: no provider can say them
/// (W-42).
fn end(fault: QueryFault, spec: &QuerySpec, provider_name: String, attempt: u32, at: Timestamp) -> RunEnd {
    let may_pass = fault.may_pass();
    let context = match fault.code {
        Code::WBEM_TRANSPORT_FAILURE | Code::WBEM_NOT_AVAILABLE => ErrorContext::GeneralTransport,
        _ if fault.provider.is_some() => ErrorContext::RemoteApplication,
        _ => ErrorContext::GeneralQueueManager,
    };
    let operation = if spec.every.is_some() {
        "ExecNotificationQuery"
    } else {
        "ExecQuery"
    };
    let error = ErrorInfo {
        code: fault.code,
        context,
        description: fault.description.clone(),
        file: None,
        protocol: Some(spec.provider.scheme().to_owned()),
        leg: None,
        attempt,
        at,
        extended: Some(Box::new(ExtendedStatus {
            operation: operation.to_owned(),
            parameter_info: spec.text.clone(),
            provider_name,
            description: fault.description,
            status_code: fault.code,
            position: fault.position,
            provider: fault.provider.map(|provider| *provider),
        })),
    };
    if may_pass {
        RunEnd::Transient {
            error,
            retry_after: None,
        }
    } else {
        RunEnd::Fatal { error }
    }
}
