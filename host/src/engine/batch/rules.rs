//! What a call goes by where its job says nothing. It is frozen when the job is accepted (C-01): the
//! law and the recovery after a crash know the job alone.

use crate::config::BatchConfig;
use crate::job::BatchSpec;

/// The rules of one host.
#[derive(Clone, Copy, Debug)]
pub struct BatchRules<'a>(&'a BatchConfig);

impl<'a> BatchRules<'a> {
    /// Those of `[batch]`.
    #[must_use]
    pub const fn new(config: &'a BatchConfig) -> Self {
        Self(config)
    }

    /// What holds for a job that says this: its own word, then the host's.
    #[must_use]
    pub fn of(&self, said: &BatchSpec) -> BatchSpec {
        let rules = self.0;
        let mut spec = said.clone();
        spec.deadline = spec.deadline.or(rules.deadline);
        spec.on_host_crash.get_or_insert(rules.on_host_crash);
        spec.crash_limit.get_or_insert(rules.crash_limit);
        spec.retry = spec.retry.or(rules.retry);
        // Who waits for it decides himself whether it is worth another try (C-04).
        if spec.sync {
            spec.retry = None;
        }
        spec
    }
}
