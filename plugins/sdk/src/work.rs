//! The interfaces of components that do a job's work.

use crate::bindings::{provider, service_call};
use crate::{CallInfo, Code, Failure, FailureKind, JobSnapshot, ProviderError, Result, Value};

/// Batch work: COM+ `IServiceCall`. It has the job's deadline, and no say over the job.
pub trait ServiceCall {
    /// Does the work. What it returns is kept as the job's output; what it wrote to
    /// [`state`](crate::state) commits with the end of the run.
    ///
    /// # Errors
    /// A [`Failure`]: a transient one is tried again as the job's ladder says.
    fn on_call(call: &CallInfo, job: &JobSnapshot, input: &str) -> Result<String>;
}

/// What a provider is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// As the submitter wrote it.
    pub text: String,
    /// No more objects are wanted than this.
    pub limit: Option<u64>,
    /// What the page before gave as `next`.
    pub cursor: Option<String>,
}

/// Some of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The same in every page.
    pub columns: Vec<String>,
    /// At most 1,000, each with a value for every column.
    pub rows: Vec<Vec<Value>>,
    /// What to ask with for the rest.
    pub next: Option<String>,
    /// Objects in all, where that is known.
    pub total: Option<u64>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryFailure {
    /// Whether asking again can help.
    pub kind: FailureKind,
    /// `WBEM_E_INVALID_QUERY` or another.
    pub code: Code,
    /// One sentence.
    pub message: String,
    /// Where in the text, in characters from 0.
    pub position: Option<u32>,
    /// What only this provider knows of it.
    pub error: Option<Box<ProviderError>>,
}

impl QueryFailure {
    /// The query cannot be understood.
    #[must_use]
    pub fn invalid(message: impl Into<String>, position: Option<u32>) -> Self {
        Self {
            kind: FailureKind::Permanent,
            code: crate::codes::WBEM_E_INVALID_QUERY,
            message: message.into(),
            position,
            error: None,
        }
    }
}

/// Answers queries: tables of your own. Nothing is kept between two calls but what the cursor says.
pub trait Provider {
    /// The next page.
    ///
    /// # Errors
    /// A [`QueryFailure`].
    fn fetch(call: &CallInfo, ask: &Query) -> core::result::Result<Page, QueryFailure>;
}

impl<T: ServiceCall> service_call::exports::sexton::plugin::service_call::Guest for T {
    fn on_call(call: CallInfo, job: JobSnapshot, input: String) -> core::result::Result<String, Failure> {
        <T as ServiceCall>::on_call(&call, &job, &input)
    }
}

impl<T: Provider> provider::exports::sexton::plugin::provider::Guest for T {
    fn fetch(
        call: CallInfo,
        ask: provider::exports::sexton::plugin::provider::Query,
    ) -> core::result::Result<
        provider::exports::sexton::plugin::provider::Page,
        provider::exports::sexton::plugin::provider::QueryFailure,
    > {
        use provider::exports::sexton::plugin::provider as wit;
        let ask = Query {
            text: ask.text,
            limit: ask.limit,
            cursor: ask.cursor,
        };
        match <T as Provider>::fetch(&call, &ask) {
            Ok(page) => Ok(wit::Page {
                columns: page.columns,
                rows: page.rows,
                next: page.next,
                total: page.total,
            }),
            Err(failure) => Err(wit::QueryFailure {
                kind: failure.kind,
                code: failure.code,
                message: failure.message,
                position: failure.position,
                error: failure.error.map(|error| *error),
            }),
        }
    }
}
