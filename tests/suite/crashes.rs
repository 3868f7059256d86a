//! The host dies in the instant after it has answered: what was accepted is there all the same. Deaths
//! at random moments are in `kills`.

use serde_json::Value;
use sexton_tests::web::Web;

use crate::host;

#[test]
fn a_submission_that_was_answered_survives_the_next_instant() {
    let (web, mut host) = (Web::start(), host(""));
    let url = web.good();
    let mut jobs = Vec::new();
    for turn in 0..5 {
        host.start();
        jobs.push(host.download_to(&url, &host.path(format!("file-{turn}")), &[]));
        host.kill9();
    }
    host.start();
    for job in &jobs {
        assert_eq!(host.wait_state(job, "acknowledged")["outcome"], "succeeded");
    }
    let none: Vec<Value> = Vec::new();
    assert_eq!(host.list(&["job", "list", "--state", "error"]), none);
    assert_eq!(host.list(&["job", "list"]).len(), jobs.len());
}
