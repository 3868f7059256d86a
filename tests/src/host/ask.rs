//! What tests ask of a running host, all of it through the command line.

use std::path::Path;

use serde_json::Value;

use super::TestHost;
use crate::poll::until;

impl TestHost {
    /// Runs a command that must succeed, with `--json`, and returns its one object.
    #[track_caller]
    #[must_use]
    pub fn object(&self, args: &[&str]) -> Value {
        self.cli(&[args, &["--json"]].concat()).code(0).object()
    }

    /// The same for a list.
    #[track_caller]
    #[must_use]
    pub fn list(&self, args: &[&str]) -> Vec<Value> {
        self.cli(&[args, &["--json"]].concat()).code(0).lines()
    }

    /// Submits a download to `DIR/file.bin` and returns its id.
    #[track_caller]
    pub fn download(&self, url: &str, more: &[&str]) -> String {
        self.download_to(url, &self.path("file.bin"), more)
    }

    /// Submits a download and returns its id.
    #[track_caller]
    pub fn download_to(&self, url: &str, to: &Path, more: &[&str]) -> String {
        let to = to.to_str().expect("the path is text");
        let said = self
            .cli(&[&["submit", "download", url, to], more].concat())
            .code(0);
        said.stdout.trim_end().to_owned()
    }

    /// Submits a command and returns its job's id.
    #[track_caller]
    pub fn batch(&self, options: &[&str], argv: &[&str]) -> String {
        let said = self
            .cli(&[&["submit", "batch"], options, &["--"], argv].concat())
            .code(0);
        said.stdout.trim_end().to_owned()
    }

    /// The same for a line of a shell, which then is the command.
    #[track_caller]
    pub fn shell(&self, options: &[&str], line: &str) -> String {
        self.batch(options, &["sh", "-c", line])
    }

    /// Submits an upload of a file in the folder and returns the job's id.
    #[track_caller]
    pub fn upload(&self, file: &str, url: &str, more: &[&str]) -> String {
        let file = self.path(file);
        let file = file.to_str().expect("the path is text");
        let said = self
            .cli(&[&["submit", "upload", file, url], more].concat())
            .code(0);
        said.stdout.trim_end().to_owned()
    }

    /// Submits an upload of a file in the folder whose reply goes to another file there.
    #[track_caller]
    pub fn upload_reply(&self, file: &str, url: &str, reply: &str, more: &[&str]) -> String {
        let (file, reply) = (self.path(file), self.path(reply));
        let file = file.to_str().expect("the path is text");
        let reply = reply.to_str().expect("the path is text");
        let said = self
            .cli(&[&["submit", "upload-reply", file, url, reply], more].concat())
            .code(0);
        said.stdout.trim_end().to_owned()
    }

    /// The job as it stands.
    #[track_caller]
    #[must_use]
    pub fn job(&self, id: &str) -> Value {
        self.object(&["job", "show", id])
    }

    /// Waits for a state of the job.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn wait_state(&self, id: &str, state: &str) -> Value {
        let mut last = Value::Null;
        until(&format!("job {id} is {state}"), || {
            let job = self.job(id);
            if job["state"] != last {
                last = job["state"].clone();
                eprintln!("job {id} is {last}");
            }
            (last == state).then_some(job)
        })
    }

    /// Deliveries that fit the arguments of `delivery list`, newest first.
    #[track_caller]
    #[must_use]
    pub fn deliveries(&self, filter: &[&str]) -> Vec<Value> {
        self.list(&[&["delivery", "list"], filter].concat())
    }

    /// The delivery as it stands, with its attempts.
    #[track_caller]
    #[must_use]
    pub fn delivery(&self, id: &str) -> Value {
        self.object(&["delivery", "show", id])
    }

    /// Waits until the one delivery of a job to a plugin is in a state.
    ///
    /// # Panics
    /// When it does not get there.
    #[track_caller]
    pub fn wait_delivery(&self, job: &str, plugin: &str, state: &str) -> Value {
        let found = until(&format!("the delivery of {job} to {plugin} is {state}"), || {
            let mut all = self.deliveries(&["--job", job, "--plugin", plugin]);
            assert!(all.len() < 2, "one delivery was expected: {all:#?}");
            all.pop().filter(|delivery| delivery["state"] == state)
        });
        self.delivery(found["id"].as_str().expect("an id is text"))
    }

    /// The plugin as the host tells of it.
    #[track_caller]
    #[must_use]
    pub fn plugin_view(&self, name: &str) -> Option<Value> {
        let all = self.list(&["plugin", "list"]);
        all.into_iter().find(|plugin| plugin["name"] == name)
    }

    /// Waits until the plugin is as wanted.
    ///
    /// # Panics
    /// When it does not get there.
    #[track_caller]
    pub fn wait_plugin(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(&format!("plugin {name} is as wanted"), || {
            self.plugin_view(name).filter(&wanted)
        })
    }

    /// Waits until the plugin serves.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_serving(&self, name: &str) -> Value {
        self.wait_plugin(name, |plugin| plugin["serving"] == true)
    }

    /// Waits until the log has a text.
    ///
    /// # Panics
    /// When it does not get it.
    #[track_caller]
    pub fn wait_log(&self, text: &str) {
        until(&format!("the log says `{text}`"), || {
            self.log().contains(text).then_some(())
        });
    }
}
