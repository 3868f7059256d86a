//! What `complete` and `cancel` mean for uploads: the reply is put in place, the server's session ended.
//! Every step may be repeated after a crash.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};

use super::super::answer;
use super::super::classify::Wire;
use super::super::clients::Clients;
use super::super::fault::Fault;
use super::super::speak::Speaker;
use super::super::target::{Purpose, Target, Targets};
use super::super::{classify, place};
use super::bits::{is_lost, named, verb};
use super::send::spoken;
use super::session::{BitsWay, MultipartWay, Session, TusWay, Way};
use super::tus;
use crate::engine::IntentControl;
use crate::job::{ErrorContext, ErrorInfo, FileStatus, Job, JobSpec, Leg, Outcome};

/// Longest that a server is asked to forget an upload (B-46).
const CANCEL_PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// How long one such question may take.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// How long a cancel is tried again: 24 hours, or the no-progress time-out if that is less (B-46).
pub(in super::super) fn cancel_patience(job: &Job) -> Duration {
    patience_of(&job.spec)
}

fn patience_of(spec: &JobSpec) -> Duration {
    CANCEL_PATIENCE.min(spec.no_progress)
}

/// Puts the reply in its place (B-138); the file was sent long ago.
///
/// # Errors
/// That of the reply's file.
pub(in super::super) async fn complete(
    job: &Job,
    files: &[FileStatus],
    control: &IntentControl,
) -> Result<Outcome, ErrorInfo> {
    for file in files.iter().filter(|file| !file.completed) {
        let now = control.clock.now();
        if let Some(reply) = Session::of(file).and_then(|session| session.reply) {
            let placed = place::complete_one(job.id, reply.as_ref().clone()).await;
            placed.map_err(|fault| fault.into_info_of(Leg::Reply, &reply, job.attempt, now))?;
        }
        control.placed([file.index]);
    }
    Ok(Outcome::Succeeded)
}

/// Has the server forget what it has of the file, unless that is all of it, and deletes what is here of
/// the reply (B-46).
///
/// # Errors
/// When the server cannot be reached or is in trouble: worth another try.
pub(in super::super) async fn cancel(
    (clients, targets): (&Arc<Clients>, &Targets),
    job: &Job,
    files: &[FileStatus],
    control: &IntentControl,
) -> Result<(), ErrorInfo> {
    for file in files {
        let Some(session) = Session::of(file) else {
            continue;
        };
        let info = |leg, fault: Fault| fault.into_info_of(leg, file, job.attempt, control.clock.now());
        if let Some(reply) = &session.reply {
            let removed = place::cancel_one(job.id, reply.as_ref().clone()).await;
            removed.map_err(|fault| info(Leg::Reply, fault))?;
        }
        let Some(way) = session.way.filter(|_| !file.transferred) else {
            continue;
        };
        let forgotten = async {
            let Some(request) = goodbye(clients.shared(), targets, &file.remote, way).await? else {
                return Ok(());
            };
            let speaker = Speaker::new(clients, &job.spec.transfer().http, files).await?;
            forget(&speaker, request, control).await
        };
        forgotten.await.map_err(|fault| info(Leg::Upload, fault))?;
    }
    Ok(())
}

/// The request that ends what the server keeps, where it keeps something and can be asked.
async fn goodbye(
    client: &reqwest::Client,
    targets: &Targets,
    remote: &str,
    way: Way,
) -> Result<Option<RequestBuilder>, Fault> {
    Ok(match way {
        Way::Tus(TusWay {
            url: Some(url),
            terminates: true,
            ..
        }) => {
            let request = client.request(Method::DELETE, url);
            Some(request.header(tus::TUS_RESUMABLE, tus::VERSION))
        }
        Way::Bits(BitsWay { id: Some(id), .. }) => {
            Some(named(client.request(verb(), remote), "Cancel-Session", Some(&id)))
        }
        Way::Multipart(MultipartWay { id: Some(id), .. }) => {
            match targets.resolve(remote, Purpose::Abandon(id)).await? {
                Target::Object(url) => Some(client.request(Method::DELETE, url)),
                Target::Http(_) | Target::File(_) => None,
            }
        }
        Way::Put | Way::Post | Way::Tus(_) | Way::Bits(_) | Way::Multipart(_) => None,
    })
}

/// One try. Only a server in trouble is worth another: one that refuses will refuse again, and one that
/// knows nothing of the session has nothing to forget.
async fn forget(speaker: &Speaker, request: RequestBuilder, control: &IntentControl) -> Result<(), Fault> {
    let due = control.clock.now().after(ANSWER_WAIT);
    let answer = tokio::select! {
        answer = spoken(speaker, request) => answer?,
        () = control.clock.sleep_until(due) => {
            let (code, class) = classify::wire(Wire::TimedOut);
            let what = "the server does not answer".to_owned();
            return Err(Fault { code, class, context: ErrorContext::GeneralTransport, what, retry_after: None });
        }
    };
    if answer.status().is_server_error() && !is_lost(answer.headers()) {
        let status = answer.status().as_u16();
        return Err(answer::refusal(status, answer.headers(), control.clock.now()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Profile;

    #[test]
    fn b46_a_server_is_asked_to_forget_for_24_hours_or_the_no_progress_time_out() {
        for (no_progress, wanted) in [(14 * 24 * 3600, 24 * 3600), (60, 60), (0, 0)] {
            let mut spec = JobSpec::new("x", Profile::Sexton);
            spec.no_progress = Duration::from_secs(no_progress);
            assert_eq!(patience_of(&spec), Duration::from_secs(wanted));
        }
    }
}
