//! Does batch work as its input says: `echo TEXT`, `count`, `fail CODE`, `later`, `trap`, `spin`.

use sexton_sdk::{CallInfo, Failure, JobSnapshot, Result, ServiceCall, state};

struct Worker;

impl ServiceCall for Worker {
    fn on_call(_: &CallInfo, job: &JobSnapshot, input: &str) -> Result<String> {
        let (verb, rest) = input.split_once(' ').unwrap_or((input, ""));
        match verb {
            "echo" => Ok(rest.to_owned()),
            "count" => {
                // What is written by a call that then fails is not kept.
                let calls = state::increment("calls")?;
                match rest {
                    "" => Ok(calls.to_string()),
                    _ => Err(Failure::permanent(rest)),
                }
            }
            "fail" => Err(Failure::permanent(format!("{} failed: {rest}", job.name))),
            "later" => Err(Failure::transient("not yet")),
            "spin" => loop {
                std::hint::black_box(());
            },
            _ => panic!("{input}"),
        }
    }
}

sexton_sdk::export!(Worker: ServiceCall);
