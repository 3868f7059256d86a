//! `job-control.set-remote`: a handler leads a file to another server. Unlike other requests it is
//! about more than the job itself, so the host's other rooms are asked too.

use super::{Denied, Services, denied};
use crate::job::Command;

impl Services {
    /// Asks to have a file fetched from elsewhere (B-52, B-130).
    ///
    /// # Errors
    /// The view's sentence when the store cannot be read. Inside: the code of whoever would refuse the
    /// name when the file were added; `BG_E_NOT_FOUND` where the job has no such file; else see
    /// [`Services::request`].
    pub(in crate::plugin) async fn set_remote(
        &mut self,
        file: u32,
        remote: String,
    ) -> Result<Result<(), Denied>, String> {
        let command = Command::SetRemote { file, remote };
        // Cheap, and an observer learns nothing of the files.
        if let Err(why) = self.check(&command) {
            return Ok(Err(why));
        }
        if let (Some(desk), Some(view), Command::SetRemote { remote, .. }) =
            (&mut self.desk, &self.view, &command)
            && let Err((code, why)) = view.check_remote(desk.job(), file, remote).await?
        {
            return Ok(Err(denied(code, &why)));
        }
        Ok(self.request(command))
    }
}
