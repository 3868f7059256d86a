//! The handler interfaces as traits with default methods, and the macro that exports them.

use crate::bindings::{async_error_notify, final_retry, job_callback, job_end, object_sink};
use crate::{
    CallInfo, Completion, ErrorInfo, Failure, FileInfo, JobSnapshot, ObjectBatch, Outcome, QueryProgress,
    Result,
};

/// Transfers. A function that is not written acknowledges.
pub trait JobCallback {
    /// Every file is here. The job completes by itself once all handlers have acknowledged.
    #[expect(unused_variables, reason = "the default acknowledges")]
    fn job_transferred(call: &CallInfo, job: &JobSnapshot) -> Result {
        Ok(())
    }

    /// The job entered `error`. Cancel it, complete what is whole, or resume it.
    #[expect(unused_variables, reason = "the default acknowledges")]
    fn job_error(call: &CallInfo, job: &JobSnapshot, error: &ErrorInfo) -> Result {
        Ok(())
    }

    /// Something changed. The latest change wins; it may be dropped and is never repeated.
    #[expect(unused_variables, reason = "the default acknowledges")]
    fn job_modification(call: &CallInfo, job: &JobSnapshot) -> Result {
        Ok(())
    }

    /// One file is here.
    #[expect(unused_variables, reason = "the default acknowledges")]
    fn file_transferred(call: &CallInfo, job: &JobSnapshot, file: &FileInfo) -> Result {
        Ok(())
    }
}

/// Called exactly once for every accepted job, whoever ended it.
pub trait JobEnd {
    /// The job is `acknowledged` or `cancelled`; `last_error` is the last one it had.
    #[expect(unused_variables, reason = "the default acknowledges")]
    fn on_ended(call: &CallInfo, job: &JobSnapshot, how: Outcome, last_error: Option<&ErrorInfo>) -> Result {
        Ok(())
    }
}

/// Batch work. Unless the operator says otherwise, a failure here ends the host's process.
pub trait AsyncErrorNotify {
    /// The call failed. Resume it to run it again.
    #[expect(unused_variables, reason = "the default acknowledges")]
    fn on_error(call: &CallInfo, job: &JobSnapshot, error: &ErrorInfo) -> Result {
        Ok(())
    }
}

/// Queries. What is returned changes nothing about the query.
pub trait ObjectSink {
    /// Objects are here.
    #[expect(unused_variables, reason = "the default acknowledges")]
    fn on_object_ready(call: &CallInfo, job: &JobSnapshot, batch: &ObjectBatch) -> Result {
        Ok(())
    }

    /// How far the query is; only if it asked for that.
    #[expect(unused_variables, reason = "the default acknowledges")]
    fn on_progress(call: &CallInfo, job: &JobSnapshot, progress: &QueryProgress) -> Result {
        Ok(())
    }

    /// The provider stored something at this path.
    #[expect(unused_variables, reason = "the default acknowledges")]
    fn on_object_put(call: &CallInfo, job: &JobSnapshot, path: &str) -> Result {
        Ok(())
    }

    /// The query ended, however it ended: exactly once, after everything else.
    #[expect(unused_variables, reason = "the default acknowledges")]
    fn on_completed(call: &CallInfo, job: &JobSnapshot, how: &Completion) -> Result {
        Ok(())
    }
}

/// The last call before a delivery is buried.
pub trait FinalRetry {
    /// The work was never started: expired, target gone, denied.
    #[expect(unused_variables, reason = "the default acknowledges")]
    fn final_client_retry(call: &CallInfo, job: &JobSnapshot) -> Result {
        Ok(())
    }

    /// The handler failed on every rung of its ladder.
    #[expect(unused_variables, reason = "the default acknowledges")]
    fn final_server_retry(call: &CallInfo, job: &JobSnapshot) -> Result {
        Ok(())
    }
}

impl<T: JobCallback> job_callback::exports::sexton::plugin::job_callback::Guest for T {
    fn job_transferred(call: CallInfo, job: JobSnapshot) -> core::result::Result<(), Failure> {
        <T as JobCallback>::job_transferred(&call, &job)
    }

    fn job_error(call: CallInfo, job: JobSnapshot, error: ErrorInfo) -> core::result::Result<(), Failure> {
        <T as JobCallback>::job_error(&call, &job, &error)
    }

    fn job_modification(call: CallInfo, job: JobSnapshot) -> core::result::Result<(), Failure> {
        <T as JobCallback>::job_modification(&call, &job)
    }

    fn file_transferred(
        call: CallInfo,
        job: JobSnapshot,
        file: FileInfo,
    ) -> core::result::Result<(), Failure> {
        <T as JobCallback>::file_transferred(&call, &job, &file)
    }
}

impl<T: JobEnd> job_end::exports::sexton::plugin::job_end::Guest for T {
    fn on_ended(
        call: CallInfo,
        job: JobSnapshot,
        how: Outcome,
        last_error: Option<ErrorInfo>,
    ) -> core::result::Result<(), Failure> {
        <T as JobEnd>::on_ended(&call, &job, how, last_error.as_ref())
    }
}

impl<T: AsyncErrorNotify> async_error_notify::exports::sexton::plugin::async_error_notify::Guest for T {
    fn on_error(call: CallInfo, job: JobSnapshot, error: ErrorInfo) -> core::result::Result<(), Failure> {
        <T as AsyncErrorNotify>::on_error(&call, &job, &error)
    }
}

impl<T: ObjectSink> object_sink::exports::sexton::plugin::object_sink::Guest for T {
    fn on_object_ready(
        call: CallInfo,
        job: JobSnapshot,
        batch: ObjectBatch,
    ) -> core::result::Result<(), Failure> {
        <T as ObjectSink>::on_object_ready(&call, &job, &batch)
    }

    fn on_progress(
        call: CallInfo,
        job: JobSnapshot,
        progress: QueryProgress,
    ) -> core::result::Result<(), Failure> {
        <T as ObjectSink>::on_progress(&call, &job, &progress)
    }

    fn on_object_put(call: CallInfo, job: JobSnapshot, path: String) -> core::result::Result<(), Failure> {
        <T as ObjectSink>::on_object_put(&call, &job, &path)
    }

    fn on_completed(call: CallInfo, job: JobSnapshot, how: Completion) -> core::result::Result<(), Failure> {
        <T as ObjectSink>::on_completed(&call, &job, &how)
    }
}

impl<T: FinalRetry> final_retry::exports::sexton::plugin::final_retry::Guest for T {
    fn final_client_retry(call: CallInfo, job: JobSnapshot) -> core::result::Result<(), Failure> {
        <T as FinalRetry>::final_client_retry(&call, &job)
    }

    fn final_server_retry(call: CallInfo, job: JobSnapshot) -> core::result::Result<(), Failure> {
        <T as FinalRetry>::final_server_retry(&call, &job)
    }
}

/// Exports the named handler interfaces of a type: `export!(Pager: JobCallback, JobEnd);`
///
/// The component exports exactly these. Off WebAssembly the macro only checks that the type
/// implements them, so that the crate's tests build and run natively.
#[macro_export]
macro_rules! export {
    ($handler:ident: $($interface:ident),+ $(,)?) => {
        $($crate::__export_one!($interface, $handler);)+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_one {
    (JobCallback, $handler:ident) => {
        $crate::__export_as!(JobCallback, job_callback, $handler);
    };
    (JobEnd, $handler:ident) => {
        $crate::__export_as!(JobEnd, job_end, $handler);
    };
    (AsyncErrorNotify, $handler:ident) => {
        $crate::__export_as!(AsyncErrorNotify, async_error_notify, $handler);
    };
    (ObjectSink, $handler:ident) => {
        $crate::__export_as!(ObjectSink, object_sink, $handler);
    };
    (ServiceCall, $handler:ident) => {
        $crate::__export_as!(ServiceCall, service_call, $handler);
    };
    (Provider, $handler:ident) => {
        $crate::__export_as!(Provider, provider, $handler);
    };
    (FinalRetry, $handler:ident) => {
        $crate::__export_as!(FinalRetry, final_retry, $handler);
    };
    ($other:ident, $handler:ident) => {
        compile_error!(concat!(
            "`",
            stringify!($other),
            "` is no handler interface; there are JobCallback, JobEnd, AsyncErrorNotify, ObjectSink, FinalRetry, \
             ServiceCall and Provider"
        ));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_as {
    ($trait:ident, $world:ident, $handler:ident) => {
        const _: () = {
            const fn implements<T: $crate::$trait>() {}
            implements::<$handler>();
        };
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::$world::export!($handler with_types_in $crate::bindings::$world);
    };
}
