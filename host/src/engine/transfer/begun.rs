//! The ends of a file's work: finding what earlier runs left of it, and proving that it is whole.

use std::sync::Arc;

use super::anew::Why;
use super::classify::Class;
use super::fault::{Fault, Halt};
use super::fetch::Fetch;
use super::sink::Sink;
use super::work::{Work, wrong_size};
use super::{Progress, disk, naming};
use crate::job::{Code, DownloadSession, ErrorContext, Existing, FileStatus};

impl<P: Progress> Fetch<'_, P> {
    /// Finds what earlier runs left of a file.
    pub(super) async fn find(&self, status: FileStatus) -> Result<Work, Halt> {
        let path = disk::temporary_path(self.job, &status);
        let mut work = Work {
            recorded: status.bytes_transferred > 0,
            session: DownloadSession::read(status.session.as_deref()),
            status,
            path,
            temp: None,
            restarts: 0,
            last: false,
        };
        let durable = work.status.bytes_transferred;
        if work.session.synced() != durable {
            work.session.segments.clear();
        }
        let anew = self.speaker.begins_anew();
        let whole = work.status.bytes_total == Some(durable);
        let usable = !anew && (whole || work.proof(work.session.place, self.placing).is_some());
        if durable > 0 && usable {
            let path = work.path.clone();
            // Of several segments nobody knows which bytes between them count; they are written anew.
            let end = work
                .session
                .segments
                .iter()
                .map(|segment| segment.done)
                .max()
                .unwrap_or(durable);
            work.temp = disk::blocking(move || disk::resume(&path, end))
                .await?
                .map(|file| Arc::new(Sink::old(file)));
        }
        if work.temp.is_none() {
            if durable > 0 && !usable && !anew {
                let why = Why::NoRange("the server names no version of the file that could be gone on with");
                work.session.restarts += 1;
                self.start_overs.count(self.job, work.status.index, why)?;
            }
            work.status.bytes_transferred = 0;
            work.session.segments.clear();
        }
        Ok(work)
    }

    /// All bytes are here. What is asked of them is proven, and that they are whole is recorded, unless
    /// the last checkpoint has done so.
    pub(super) async fn finish(&self, work: &mut Work) -> Result<(), Halt> {
        if work.status.transferred {
            return Ok(());
        }
        if let Err(halt) = self.prove(work).await {
            if matches!(&halt, Halt::Fault(fault) if fault.context == ErrorContext::RemoteFile) {
                self.reject(work).await?;
            }
            return Err(halt);
        }
        if let Some(temp) = work.temp.clone() {
            disk::blocking(move || temp.sync_data()).await?;
        }
        if self.existing == Existing::Rename {
            let local = work.status.local.clone();
            work.session.placed = disk::blocking(move || Ok(naming::other_name(&local))).await?;
        }
        work.session.segments.clear();
        work.remember();
        work.status.bytes_total = Some(work.status.bytes_transferred);
        work.status.transferred = true;
        if work.last {
            self.progress.conclude(work.status.clone()).await?;
        } else {
            self.progress.checkpoint(work.status.clone()).await?;
        }
        Ok(())
    }

    async fn prove(&self, work: &Work) -> Result<(), Halt> {
        let (plan, length) = (&work.status.plan, work.status.bytes_transferred);
        if let Some(known) = plan.size
            && plan.ranges.is_empty()
            && known != length
        {
            return Err(wrong_size(length, known).into());
        }
        let (Ok(Some(wanted)), Some(temp)) = (plan.sum(), work.temp.clone()) else {
            return Ok(());
        };
        let stop = self.stop.clone();
        let found = disk::blocking(move || temp.sum(wanted.kind, length, &stop)).await?;
        let found = found.ok_or(Halt::Stopped)?;
        if found == wanted.hex {
            return Ok(());
        }
        Err(Fault {
            code: Code::VALIDATION_FAILED,
            class: Class::Fatal,
            context: ErrorContext::RemoteFile,
            what: format!("its checksum is {found}, not {}", wanted.hex),
            retry_after: None,
        }
        .into())
    }

    /// What did not pass is worth nothing: `resume` fetches it again (B-97).
    async fn reject(&self, work: &mut Work) -> Result<(), Halt> {
        work.status.bytes_transferred = 0;
        work.status.validator = None;
        work.session.segments.clear();
        work.remember();
        self.progress.checkpoint(work.status.clone()).await?;
        work.recorded = false;
        Ok(())
    }
}
