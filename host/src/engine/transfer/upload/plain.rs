//! One `PUT` or `POST` with the whole file. Whatever cuts it off, the next try begins at the first byte.

use http::header::CONTENT_TYPE;
use reqwest::Method;

use super::super::fault::Fault;
use super::super::target::Purpose;
use super::send::Count;
use super::{Break, Upload, UploadProgress, Work};

impl<P: UploadProgress> Upload<'_, P> {
    /// Sends the file; the body of the answer is the reply.
    pub(super) async fn plain(&self, work: &mut Work, method: Method) -> Result<(), Break> {
        if work.reply.is_some() {
            // A reply that was cut off came with an answer that cannot be asked for again: what fails
            // now is the upload (B-08, B-81).
            (work.reply, work.session.reply) = (None, None);
            self.save(work).await?;
        }
        // A try that is cut off has to begin at the first byte: its slot is left to it.
        self.progress.set_resumable(false);
        let size = work.source.mark.size;
        let url = self.object(work, Purpose::Send).await?;
        let request = self
            .request(method, &url)
            .header(CONTENT_TYPE, "application/octet-stream");
        let (answer, whole) = self.send(work, request, 0..size, Count::Sent).await?;
        if !answer.status().is_success() {
            return Err(self.refusal(&answer).into());
        }
        if !whole {
            return Err(Fault::answer("it said yes before it had the whole file").into());
        }
        self.connect(work).await?;
        work.file.bytes_transferred = size;
        if self.wants_reply() {
            self.reply_of(work, answer).await?;
        }
        Ok(())
    }
}
