//! `sexton:plugin@0.1` as the host binds it. Only this file and its child name generated types;
//! a further version becomes a sibling of [`v0_1`] (HV-04).

mod convert;
mod sink;
mod work;

use wasmtime::Store;
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, HasSelf, Instance, InstancePre, Lift, Linker, Lower,
};

use self::v0_1::sexton::plugin as wit;
use super::guest::Guest;
use super::services::{Denied, Severity, StateError};
use super::{Ask, Call, Function};
use crate::job::{Answer, Code, Command, EventKind, FetchFault, SinkEvent};

mod v0_1 {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "host",
        imports: {
            "sexton:plugin/state.get": async | trappable,
            "sexton:plugin/state.set": async | trappable,
            "sexton:plugin/job-control.set-remote": async | trappable,
            default: trappable,
        },
        exports: { default: async },
    });
}

/// A failure as the guest returned it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GuestFailure {
    /// Trying again is of no use.
    pub(super) permanent: bool,
    /// Its own HRESULT.
    pub(super) code: Code,
    /// Its own words, neither escaped nor cut yet.
    pub(super) message: String,
    /// The delay it would like.
    pub(super) retry_after_ms: Option<u32>,
    /// What a provider said beside.
    pub(super) fault: Option<Box<FetchFault>>,
}

/// What a function returned.
pub(super) type Returned = Result<Answer, GuestFailure>;

/// Why an instance could not be called.
#[derive(Debug)]
pub(super) enum CallError {
    /// The call lacks what the function takes: our fault.
    Incomplete(&'static str),
    /// wasmtime's error: trap, exit, limit.
    Wasm(wasmtime::Error),
}

impl From<wasmtime::Error> for CallError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Wasm(error)
    }
}

/// The store could not be read while the guest ran.
#[derive(Debug, thiserror::Error)]
#[error("the plugin's state could not be read: {0}")]
pub(super) struct StoreFault(pub(super) String);

/// Links the imports of `sexton:plugin`; `job-control` only where it is granted.
///
/// # Errors
/// wasmtime's, when a name is defined twice.
pub(super) fn link(linker: &mut Linker<Guest>, job_control: bool) -> wasmtime::Result<()> {
    wit::types::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    wit::state::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    wit::config::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    wit::log::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    if job_control {
        wit::job_control::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    }
    Ok(())
}

type Two = (wit::types::CallInfo, wit::types::JobSnapshot);
type WithError = (
    wit::types::CallInfo,
    wit::types::JobSnapshot,
    wit::types::ErrorInfo,
);
type WithFile = (
    wit::types::CallInfo,
    wit::types::JobSnapshot,
    wit::types::FileInfo,
);
type WithEnd = (
    wit::types::CallInfo,
    wit::types::JobSnapshot,
    wit::types::Outcome,
    Option<wit::types::ErrorInfo>,
);
type WithObjects = (
    wit::types::CallInfo,
    wit::types::JobSnapshot,
    wit::types::ObjectBatch,
);
type WithProgress = (
    wit::types::CallInfo,
    wit::types::JobSnapshot,
    wit::types::QueryProgress,
);
type WithPath = (wit::types::CallInfo, wit::types::JobSnapshot, String);
type WithCompletion = (
    wit::types::CallInfo,
    wit::types::JobSnapshot,
    wit::types::Completion,
);
type Told = (Result<(), wit::types::Failure>,);

/// Checks that `index` has the type this host calls `function` with (HW-03).
///
/// # Errors
/// wasmtime's sentence about where the types differ.
pub(super) fn typecheck(
    store: &mut Store<Guest>,
    instance: &Instance,
    index: &ComponentExportIndex,
    function: Function,
) -> wasmtime::Result<()> {
    match shape(function) {
        Shape::Two => drop(instance.get_typed_func::<Two, Told>(&mut *store, index)?),
        Shape::WithError => drop(instance.get_typed_func::<WithError, Told>(&mut *store, index)?),
        Shape::WithFile => drop(instance.get_typed_func::<WithFile, Told>(&mut *store, index)?),
        Shape::WithEnd => drop(instance.get_typed_func::<WithEnd, Told>(&mut *store, index)?),
        Shape::WithObjects => drop(instance.get_typed_func::<WithObjects, Told>(&mut *store, index)?),
        Shape::WithProgress => drop(instance.get_typed_func::<WithProgress, Told>(&mut *store, index)?),
        Shape::WithPath => drop(instance.get_typed_func::<WithPath, Told>(&mut *store, index)?),
        Shape::WithCompletion => drop(instance.get_typed_func::<WithCompletion, Told>(&mut *store, index)?),
        Shape::Work => drop(instance.get_typed_func::<WithPath, work::Output>(&mut *store, index)?),
        Shape::Ask => drop(instance.get_typed_func::<work::Ask, work::Page>(&mut *store, index)?),
    }
    Ok(())
}

enum Shape {
    Two,
    WithError,
    WithFile,
    WithEnd,
    WithObjects,
    WithProgress,
    WithPath,
    WithCompletion,
    Work,
    Ask,
}

fn shape(function: Function) -> Shape {
    match function {
        Function::Event(EventKind::JobError | EventKind::OnError) => Shape::WithError,
        Function::Event(EventKind::FileTransferred) => Shape::WithFile,
        Function::Event(EventKind::OnEnded) => Shape::WithEnd,
        Function::Event(EventKind::OnObjectReady) => Shape::WithObjects,
        Function::Event(EventKind::OnProgress) => Shape::WithProgress,
        Function::Event(EventKind::OnObjectPut) => Shape::WithPath,
        Function::Event(EventKind::OnCompleted) => Shape::WithCompletion,
        Function::OnCall => Shape::Work,
        Function::Fetch => Shape::Ask,
        Function::Event(
            EventKind::JobTransferred
            | EventKind::JobModification
            | EventKind::FinalServerRetry
            | EventKind::FinalClientRetry,
        ) => Shape::Two,
    }
}

/// Makes an instance and calls the one function; the other exports are not even looked at (HB-03).
///
/// # Errors
/// [`CallError`] when there was no answer.
pub(super) async fn call(
    store: &mut Store<Guest>,
    pre: &InstancePre<Guest>,
    index: &ComponentExportIndex,
    call: &Call,
    deadline_ms: u32,
) -> Result<Returned, CallError> {
    let info = convert::call_info(call, deadline_ms);
    let job = convert::job_snapshot(call);
    let error = call.error.as_ref().map(|error| convert::error_info(error, call));
    match shape(call.function) {
        Shape::Two => run::<Two>(store, pre, index, (info, job)).await,
        Shape::WithError => {
            let error = error.ok_or(CallError::Incomplete("the event carries no error"))?;
            run::<WithError>(store, pre, index, (info, job, error)).await
        }
        Shape::WithFile => {
            let file = call.file.as_ref().map(convert::file_info);
            let file = file.ok_or(CallError::Incomplete("the event carries no file"))?;
            run::<WithFile>(store, pre, index, (info, job, file)).await
        }
        Shape::WithEnd => {
            let how = call.outcome.map(convert::outcome);
            let how = how.ok_or(CallError::Incomplete("the event carries no outcome"))?;
            run::<WithEnd>(store, pre, index, (info, job, how, error)).await
        }
        Shape::Work | Shape::Ask => {
            let task = call.task.as_ref();
            let task = task.ok_or(CallError::Incomplete("the call carries no work"))?;
            match &task.ask {
                Ask::Call(input) => {
                    let params = (info, job, input.clone());
                    let (answer,) = invoke::<_, work::Output>(store, pre, index, params).await?;
                    Ok(answer.map(Answer::Output).map_err(failure))
                }
                Ask::Fetch { text, limit, cursor } => {
                    let ask = work::query(text, *limit, cursor.as_deref());
                    let (answer,) = invoke::<_, work::Page>(store, pre, index, (info, ask)).await?;
                    Ok(work::page(answer))
                }
            }
        }
        Shape::WithObjects | Shape::WithProgress | Shape::WithPath | Shape::WithCompletion => {
            let told = call.sink.as_ref();
            match told.ok_or(CallError::Incomplete("the event carries nothing for a sink"))? {
                SinkEvent::Objects(batch) => {
                    let batch = sink::object_batch(batch);
                    run::<WithObjects>(store, pre, index, (info, job, batch)).await
                }
                SinkEvent::Progress(progress) => {
                    let progress = sink::query_progress(progress);
                    run::<WithProgress>(store, pre, index, (info, job, progress)).await
                }
                SinkEvent::Put(path) => run::<WithPath>(store, pre, index, (info, job, path.clone())).await,
                SinkEvent::Completed(how) => {
                    let how = sink::completion(how, call);
                    run::<WithCompletion>(store, pre, index, (info, job, how)).await
                }
            }
        }
    }
}

async fn run<P>(
    store: &mut Store<Guest>,
    pre: &InstancePre<Guest>,
    index: &ComponentExportIndex,
    params: P,
) -> Result<Returned, CallError>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
{
    let (answer,) = invoke::<P, Told>(store, pre, index, params).await?;
    Ok(answer.map(|()| Answer::Nothing).map_err(failure))
}

async fn invoke<P, R>(
    store: &mut Store<Guest>,
    pre: &InstancePre<Guest>,
    index: &ComponentExportIndex,
    params: P,
) -> Result<R, CallError>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    let instance = pre.instantiate_async(&mut *store).await?;
    let function = instance.get_typed_func::<P, R>(&mut *store, index)?;
    Ok(function.call_async(&mut *store, params).await?)
}

fn failure(failure: wit::types::Failure) -> GuestFailure {
    GuestFailure {
        permanent: matches!(failure.kind, wit::types::FailureKind::Permanent),
        code: Code(failure.code),
        message: failure.message,
        retry_after_ms: failure.retry_after_ms,
        fault: None,
    }
}

fn refusal(denied: Denied) -> wit::job_control::Refusal {
    wit::job_control::Refusal {
        code: denied.code.0,
        message: denied.message,
    }
}

impl wit::types::Host for Guest {}

impl wit::job_control::Host for Guest {
    fn resume(&mut self, after_ms: Option<u32>) -> wasmtime::Result<Result<(), wit::job_control::Refusal>> {
        Ok(self.services.resume(after_ms).map_err(refusal))
    }

    fn cancel(&mut self) -> wasmtime::Result<Result<(), wit::job_control::Refusal>> {
        Ok(self.services.request(Command::Cancel).map_err(refusal))
    }

    fn complete(&mut self) -> wasmtime::Result<Result<(), wit::job_control::Refusal>> {
        Ok(self.services.request(Command::Complete).map_err(refusal))
    }

    fn suspend(&mut self) -> wasmtime::Result<Result<(), wit::job_control::Refusal>> {
        Ok(self.services.request(Command::Suspend).map_err(refusal))
    }

    fn set_priority(
        &mut self,
        level: wit::types::Priority,
    ) -> wasmtime::Result<Result<(), wit::job_control::Refusal>> {
        let command = Command::SetPriority(convert::priority_from(level));
        Ok(self.services.request(command).map_err(refusal))
    }

    fn set_retry_delay(&mut self, delay_ms: u32) -> wasmtime::Result<Result<(), wit::job_control::Refusal>> {
        Ok(self.services.set_retry_delay(delay_ms).map_err(refusal))
    }

    fn set_validation(&mut self, valid: bool) -> wasmtime::Result<Result<(), wit::job_control::Refusal>> {
        Ok(self.services.set_validation(valid).map_err(refusal))
    }

    async fn set_remote(
        &mut self,
        file: u32,
        remote: String,
    ) -> wasmtime::Result<Result<(), wit::job_control::Refusal>> {
        let asked = self.services.set_remote(file, remote).await;
        let asked = asked.map_err(|why| wasmtime::Error::from(StoreFault(why)))?;
        Ok(asked.map_err(refusal))
    }

    fn set_header(
        &mut self,
        name: String,
        value: Option<String>,
    ) -> wasmtime::Result<Result<(), wit::job_control::Refusal>> {
        Ok(self.services.set_header(&name, value).map_err(refusal))
    }

    fn current_state(&mut self) -> wasmtime::Result<wit::types::JobState> {
        Ok(convert::job_state(self.services.current_state()))
    }
}

fn state_error(error: StateError) -> wit::state::StateError {
    match error {
        StateError::BadKey => wit::state::StateError::BadKey,
        StateError::ValueTooLarge => wit::state::StateError::ValueTooLarge,
        StateError::TooManyWrites => wit::state::StateError::TooManyWrites,
        StateError::Full => wit::state::StateError::Full,
    }
}

impl wit::state::Host for Guest {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        let value = self.services.state(&key).await;
        value.map_err(|why| wasmtime::Error::from(StoreFault(why)))
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), wit::state::StateError>> {
        self.services
            .measure_state()
            .await
            .map_err(|why| wasmtime::Error::from(StoreFault(why)))?;
        Ok(self.services.write(key, Some(value)).map_err(state_error))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), wit::state::StateError>> {
        Ok(self.services.write(key, None).map_err(state_error))
    }
}

impl wit::config::Host for Guest {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.services.config().get(&key).cloned())
    }

    fn all(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let config = self.services.config();
        Ok(config
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }
}

impl wit::log::Host for Guest {
    fn write(&mut self, severity: wit::log::Level, message: String) -> wasmtime::Result<()> {
        let severity = match severity {
            wit::log::Level::Error => Severity::Error,
            wit::log::Level::Warn => Severity::Warn,
            wit::log::Level::Info => Severity::Info,
            wit::log::Level::Debug => Severity::Debug,
        };
        self.services.log(severity, &message);
        Ok(())
    }
}
