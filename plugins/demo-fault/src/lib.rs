//! A handler that fails on purpose: `sexton demo` shows with it what the host does about such.
//! Not for use: `sexton plugin add` does not offer it.
//!
//! `mode` in its `config` says how: `trap` (as shipped), `fail`, `refuse`, or `ok`.

#![expect(clippy::panic, reason = "failing is what it is for")]

use sexton_sdk::{CallInfo, ErrorInfo, Failure, JobCallback, JobSnapshot, Result, config};

struct DemoFault;

sexton_sdk::export!(DemoFault: JobCallback);

impl JobCallback for DemoFault {
    fn job_transferred(_: &CallInfo, job: &JobSnapshot) -> Result {
        misbehave(&job.name)
    }

    fn job_error(_: &CallInfo, job: &JobSnapshot, _: &ErrorInfo) -> Result {
        misbehave(&job.name)
    }
}

fn misbehave(job: &str) -> Result {
    match config::get_or("mode", "trap").as_str() {
        "trap" => panic!("the ledger has no page for `{job}`, and nobody thought of that"),
        "fail" => Err(Failure::transient("the pager does not answer")),
        "refuse" => Err(Failure::permanent("this handler will never take that job")),
        "ok" => Ok(()),
        other => Err(Failure::permanent(format!(
            "config `mode` = `{other}` is not trap, fail, refuse or ok"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use sexton_sdk::{FailureKind, testing};

    use super::*;

    #[test]
    fn the_mode_says_how_it_fails() {
        testing::reset();
        testing::set_config([("mode", "fail")]);
        assert_eq!(misbehave("a").unwrap_err().kind, FailureKind::Transient);
        testing::set_config([("mode", "refuse")]);
        assert_eq!(misbehave("a").unwrap_err().kind, FailureKind::Permanent);
        testing::set_config([("mode", "ok")]);
        misbehave("a").unwrap();
    }

    #[test]
    #[should_panic(expected = "no page for `a`")]
    fn it_traps_unless_told_otherwise() {
        testing::reset();
        let _ = misbehave("a");
    }
}
