//! The model's law and the host's say the same of every job and command that the model knows.

use std::time::Duration;

use sexton::job::{
    self, Code, ErrorContext, ErrorInfo, Intent, JobId, JobKind, JobSpec, JobState, Outcome, Priority,
    Profile, Progress, Timestamp,
};

use super::law::{Command, Job};

const COMMANDS: [Command; 10] = [
    Command::Prioritise,
    Command::Resume,
    Command::Cancel,
    Command::Complete,
    Command::Start,
    Command::Yield,
    Command::FatalError,
    Command::Finished,
    Command::IntentDone,
    Command::Release,
];

/// `command` as the host's law knows it.
pub(super) fn real(command: Command, job: &job::Job) -> job::Command {
    let at = Timestamp::default();
    match command {
        Command::Prioritise if job.priority == Priority::High => job::Command::SetPriority(Priority::Low),
        Command::Prioritise => job::Command::SetPriority(Priority::High),
        Command::Resume => job::Command::Resume {
            after: Duration::ZERO,
            at,
        },
        Command::Cancel => job::Command::Cancel,
        Command::Complete => job::Command::Complete,
        Command::Start => job::Command::Start,
        Command::Yield => job::Command::Yield,
        Command::FatalError => job::Command::FatalError { error: error() },
        Command::Finished => job::Command::Finished { at, files: 1 },
        Command::IntentDone => job::Command::IntentDone {
            outcome: Outcome::Succeeded,
        },
        Command::Release => job::Command::Release,
    }
}

pub(super) fn error() -> ErrorInfo {
    ErrorInfo {
        code: Code::http(403),
        context: ErrorContext::RemoteFile,
        description: "no".to_owned(),
        file: None,
        protocol: None,
        leg: None,
        attempt: 1,
        at: Timestamp::default(),
        extended: None,
    }
}

fn host_job(job: &Job) -> job::Job {
    let mut spec = JobSpec::new("x", Profile::Sexton);
    spec.hold = job.hold;
    job::Job {
        id: JobId::fresh(),
        owner: "uid-0".parse().expect("a name"),
        kind: if job.batch {
            JobKind::Batch
        } else {
            JobKind::Download
        },
        state: job.state,
        intent: job.intent,
        outcome: job.outcome,
        priority: Priority::Normal,
        revision: u64::from(job.revision),
        attempt: 1,
        error_count: 0,
        retries: 0,
        call: sexton::job::CallState::default(),
        no_progress_since: None,
        reply: None,
        due: None,
        created: Timestamp::default(),
        modified: Timestamp::default(),
        transferred: (job.state == JobState::Transferred).then(Timestamp::default),
        progress: Progress {
            files_total: 1,
            ..Progress::default()
        },
        error: Some(error()),
        spec,
    }
}

#[test]
fn the_models_law_is_the_hosts() {
    let mut compared = 0;
    for state in JobState::ALL {
        for intent in [None, Some(Intent::Complete), Some(Intent::Cancel)] {
            for (batch, hold) in [(false, false), (false, true), (true, false), (true, true)] {
                let job = Job {
                    state: *state,
                    intent,
                    ..Job::new(batch, hold)
                };
                for command in COMMANDS {
                    compared += 1;
                    agree(&job, command);
                }
            }
        }
    }
    println!("{compared} pairs of job and command");
}

fn agree(job: &Job, command: Command) {
    let subject = host_job(job);
    let host = job::apply(&subject, &real(command, &subject)).ok();
    let host = host.map(|transition| {
        let event = transition.events.first().copied();
        let revision = job.revision + u8::from(transition.revises);
        (
            transition.to,
            transition.intent,
            transition.outcome,
            revision,
            event,
        )
    });
    let model = job.apply(command);
    let model = model.map(|(job, event)| (job.state, job.intent, job.outcome, job.revision, event));
    assert_eq!(model, host, "{command:?} on {job:?}");
}
