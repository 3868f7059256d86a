//! The reply of an upload-reply (B-138): fetched into a temporary file beside its destination, in place
//! only once the job is completed, and readable before that while it is small (B-49).

use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Response;

use super::super::answer::{self, Answer, Asked};
use super::super::fault::Fault;
use super::super::fetch::Fetch;
use super::super::pour::{End, Expect, Pour};
use super::super::sink::Sink;
use super::super::speak::Speaker;
use super::super::{Progress, disk};
use super::session::Session;
use super::{Break, Upload, UploadProgress, Work};
use crate::engine::{RunEnd, Stopped};
use crate::job::{
    Code, Existing, FileSpec, FileStatus, Job, JobKind, JobState, Leg, ReplyProgress, reply_path,
};
use crate::store::FileCheckpoint;

/// Largest reply that is handed out before the job is completed (B-49).
const DATA_BYTES_MAX: u64 = 1 << 20;
/// The reply counts as the file behind the one that is sent.
const INDEX: u32 = 1;

impl<P: UploadProgress> Upload<'_, P> {
    /// The reply is the body of the answer to the upload itself.
    pub(super) async fn reply_of(&self, work: &mut Work, response: Response) -> Result<(), Break> {
        let remote = work.file.remote.clone();
        let mut reply = self.reply_begins(work, &remote).await?;
        let broken = |fault: Fault| Break::Fault(Leg::Reply, fault);
        // 201 and 202 come with replies as 200 does.
        let judged = answer::judge(&Asked::default(), 200, response.headers(), self.clock.now());
        let total = match judged.map_err(broken)? {
            Answer::Whole { total } => total,
            _ => None,
        };
        reply.bytes_total = total;
        self.reply_is(work, reply.clone()).await?;
        let path = disk::temporary_path(self.job.id, &reply);
        reply.temporary = Some(path.to_string_lossy().into_owned());
        let temp = disk::blocking(move || disk::create(&path))
            .await
            .map_err(broken)?;
        let expect = Expect {
            total,
            end: total,
            seal: true,
            last: false,
        };
        let silent = Silent;
        let pour = Pour::new(
            &silent,
            self.clock,
            self.stop,
            Arc::new(Sink::new(temp, None)),
            expect,
            self.idle,
            reply,
        );
        match pour.run(response).await {
            Ok((End::Whole, reply)) => self.reply_is(work, reply).await,
            Ok((End::Part, reply)) => {
                let total = reply.bytes_total.unwrap_or_default();
                Err(broken(Fault::cut(reply.bytes_transferred, total)))
            }
            Ok((End::Broken(fault), _)) => Err(broken(fault)),
            Ok((End::Stopped, _)) => Err(Break::Stopped),
            Err(halt) => Err(match Break::from(halt) {
                Break::Fault(_, fault) => broken(fault),
                other => other,
            }),
        }
    }

    /// The reply has an address of its own: fetched as any download, and resumed like one.
    pub(super) async fn reply_from(&self, work: &mut Work, url: &str) -> Result<(), Break> {
        if url.is_empty() {
            return Err(Fault::answer("it has the file but says no address of the reply").into());
        }
        let reply = match &work.session.reply {
            Some(reply) => reply.as_ref().clone(),
            None => self.reply_begins(work, url).await?,
        };
        if reply.transferred {
            return Ok(());
        }
        let told = Told {
            progress: self.progress,
            file: work.file.clone(),
            session: work.session.clone(),
            last: Mutex::new(reply.clone()),
        };
        let files = std::slice::from_ref(&work.file);
        let end = match Speaker::of(self.fetching, self.job, files, self.clock.now()).await {
            Err(end) => end,
            Ok(speaker) => {
                let fetch = Fetch {
                    speaker: &speaker,
                    progress: &told,
                    clock: self.clock,
                    stop: self.stop,
                    job: self.job.id,
                    attempt: self.job.attempt,
                    idle: self.idle,
                    start_overs: self.start_overs,
                    targets: self.targets,
                    placing: &self.job.spec.transfer().placing,
                    existing: Existing::Overwrite,
                };
                fetch.run(vec![reply]).await
            }
        };
        let last = told.last.into_inner().unwrap_or_else(PoisonError::into_inner);
        match end {
            RunEnd::Finished => {
                // It was told of with the checkpoint that made it whole.
                work.session.reply = Some(Box::new(last.clone()));
                self.reply_is(work, last).await
            }
            RunEnd::Stopped | RunEnd::Interrupted { .. } => Err(Break::Stopped),
            RunEnd::Transient {
                mut error,
                retry_after,
            } => {
                error.leg = Some(Leg::Reply);
                Err(Break::Ended(Box::new(RunEnd::Transient { error, retry_after })))
            }
            RunEnd::Fatal { mut error } => {
                error.leg = Some(Leg::Reply);
                Err(Break::Ended(Box::new(RunEnd::Fatal { error })))
            }
        }
    }

    /// From here on the law lets nobody name the reply anew (B-48), so its name is read after that.
    async fn reply_begins(&self, work: &mut Work, remote: &str) -> Result<FileStatus, Break> {
        work.reply = Some(ReplyProgress::default());
        self.save(work).await?;
        let job = self.progress.job().await?;
        let spec = FileSpec::new(remote, reply_path(&job, &work.file.local));
        Ok(FileStatus::new(INDEX, spec))
    }

    async fn reply_is(&self, work: &mut Work, reply: FileStatus) -> Result<(), Break> {
        let arrived = arrives(work.session.reply.as_deref(), &reply);
        work.reply = Some(progress_of(&reply));
        work.session.reply = Some(Box::new(reply));
        self.save_with(work, arrived).await
    }
}

/// The reply, when it is whole now and was not before: it is told of once (B-159).
fn arrives(before: Option<&FileStatus>, now: &FileStatus) -> Option<FileStatus> {
    let told = before.is_some_and(|before| before.transferred);
    (now.transferred && !told).then(|| now.clone())
}

fn progress_of(reply: &FileStatus) -> ReplyProgress {
    ReplyProgress {
        bytes_total: reply.bytes_total,
        bytes_transferred: reply.bytes_transferred,
    }
}

/// Records what is here of the reply within the record of the file that was sent.
struct Told<'a, P> {
    progress: &'a P,
    file: FileStatus,
    session: Session,
    last: Mutex<FileStatus>,
}

impl<P: UploadProgress> Progress for Told<'_, P> {
    async fn connected(&self) -> Result<(), Stopped> {
        self.progress.connected().await
    }

    async fn checkpoint(&self, reply: FileStatus) -> Result<(), Stopped> {
        let mut session = self.session.clone();
        let mut file = self.file.clone();
        let progress = progress_of(&reply);
        let arrived = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let arrived = arrives(Some(&last), &reply);
            *last = reply.clone();
            arrived.map(Box::new)
        };
        session.reply = Some(Box::new(reply));
        file.session = session.words();
        let checkpoint = FileCheckpoint {
            file,
            reply: Some(progress),
            arrived,
        };
        self.progress.checkpoint_all(checkpoint).await
    }
}

/// A reply that cannot be gone on with is told of once it is whole: what is begun anew with every try
/// must not pass for progress (B-59).
struct Silent;

impl Progress for Silent {
    async fn connected(&self) -> Result<(), Stopped> {
        Ok(())
    }

    async fn checkpoint(&self, _: FileStatus) -> Result<(), Stopped> {
        Ok(())
    }
}

/// The reply of a job that is transferred, whole and in memory (B-49).
///
/// # Errors
/// The code, and a sentence that says why not and what to do.
pub async fn reply_data(job: &Job, file: Option<&FileStatus>) -> Result<Vec<u8>, (Code, String)> {
    if job.kind != JobKind::UploadReply {
        let why = format!("a job of kind {} has no reply", job.kind);
        return Err((Code::NOTIMPL, why));
    }
    let reply = file.and_then(Session::of).and_then(|session| session.reply);
    let reply = match reply {
        Some(reply) if job.state == JobState::Transferred && job.intent.is_none() => reply,
        _ => {
            let why = format!(
                "the reply can be read while the job is transferred, it is {}; once completed it is a file",
                job.state
            );
            return Err((Code::INVALID_STATE, why));
        }
    };
    let bytes = reply.bytes_transferred;
    if bytes > DATA_BYTES_MAX {
        let why = format!(
            "the reply has {bytes} bytes, at most {DATA_BYTES_MAX} are handed out; complete the job and read {}",
            reply.local
        );
        return Err((Code::TOO_LARGE, why));
    }
    let path: PathBuf = disk::temporary_path(job.id, &reply);
    let read = disk::blocking(move || {
        let mut data = Vec::new();
        let file = std::fs::File::open(path)?;
        file.take(DATA_BYTES_MAX).read_to_end(&mut data)?;
        Ok(data)
    });
    read.await
        .map_err(|fault| (fault.code, format!("cannot read the reply: {}", fault.what)))
}
