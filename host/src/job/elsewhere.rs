//! Fetching a file from elsewhere (B-52, B-130), and where a handler may lead it.

use url::Url;

use super::{Code, FileSpec, FileStatus, HttpSpec};

/// What the host reads with rights and keys of its own, which a handler does not have.
const OWN: [&str; 2] = ["file", "s3"];

impl FileStatus {
    /// As it would have been asked for under another remote name.
    #[must_use]
    pub fn renamed(&self, remote: impl Into<String>) -> FileSpec {
        FileSpec {
            remote: remote.into(),
            local: self.local.clone(),
            plan: self.plan.clone(),
        }
    }

    /// Whether a handler may have it fetched from `remote`. A component has what it was granted and
    /// nothing of the host's, so it leads no job to files of this machine or to a bucket whose keys the
    /// host has; and what a submitter trusted a job with is for the servers that the submitter named.
    ///
    /// What is no URL passes: that is seen by whoever fetches.
    ///
    /// # Errors
    /// `E_ACCESSDENIED` and a sentence.
    pub fn may_be_led(&self, http: &HttpSpec, remote: &str) -> Result<(), (Code, String)> {
        let Ok(to) = Url::parse(remote) else {
            return Ok(());
        };
        if remote == self.remote {
            return Ok(());
        }
        if OWN.contains(&to.scheme()) {
            let why = format!(
                "a handler leads a file to another server, not to what this host opens with its own rights (`{}:`)",
                to.scheme()
            );
            return Err((Code::ACCESSDENIED, why));
        }
        let named: Vec<Url> = std::iter::once(&self.remote)
            .chain(&self.plan.mirrors)
            .filter_map(|name| Url::parse(name).ok())
            .collect();
        let secret = http.has_secrets() || named.iter().any(has_login);
        if secret && !named.iter().any(|from| server(from) == server(&to)) {
            let why = "the job has credentials or secret headers, which are for the servers that its \
                submitter named; a person can name another: `sexton job set-remote`";
            return Err((Code::ACCESSDENIED, why.to_owned()));
        }
        Ok(())
    }
}

fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn server(url: &Url) -> (&str, Option<&str>, Option<u16>) {
    (url.scheme(), url.host_str(), url.port_or_known_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{AuthScheme, AuthTarget, Credential, SecretRef};

    fn led(from: &str, http: &HttpSpec, to: &str) -> Option<Code> {
        let mut file = FileStatus::new(0, FileSpec::new(from, "/x"));
        file.plan.mirrors = vec!["https://mirror/x".to_owned()];
        file.may_be_led(http, to).err().map(|(code, _)| code)
    }

    #[test]
    fn a_handler_leads_no_job_to_what_is_the_hosts_own() {
        let http = HttpSpec::DEFAULT;
        for (to, refused) in [
            ("http://other/x", false),
            ("davs://other/x", false),
            ("no url: that is seen elsewhere", false),
            ("file:///etc/shadow", true),
            ("FILE:/etc/shadow", true),
            ("s3://bucket/x", true),
        ] {
            let expected = refused.then_some(Code::ACCESSDENIED);
            assert_eq!(led("http://h/x", &http, to), expected, "{to}");
        }
        assert_eq!(led("file:///x", &http, "file:///x"), None, "it is there already");
    }

    #[test]
    fn what_a_job_is_trusted_with_stays_with_the_servers_that_were_named() {
        let mut http = HttpSpec::DEFAULT;
        http.credentials = vec![Credential {
            target: AuthTarget::Server,
            scheme: AuthScheme::Bearer,
            user: String::new(),
            password: SecretRef::new("env:T"),
        }];
        for (from, http, to, refused) in [
            ("https://h/x", &http, "https://h/y", false),
            ("https://h/x", &http, "https://mirror/y", false),
            ("https://h/x", &http, "https://h:8443/x", true),
            ("https://h/x", &http, "http://h/x", true),
            ("https://h/x", &http, "https://evil/x", true),
            ("https://u:p@h/x", &HttpSpec::DEFAULT, "https://evil/x", true),
            ("https://u:p@h/x", &HttpSpec::DEFAULT, "https://h/y", false),
        ] {
            let expected = refused.then_some(Code::ACCESSDENIED);
            assert_eq!(led(from, http, to), expected, "{from} -> {to}");
        }
    }
}
