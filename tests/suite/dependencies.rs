//! Jobs that wait for others, through the real program.

use sexton_tests::poll::eventually;

use crate::host;

#[test]
fn a_job_says_whom_it_waits_for_and_why_it_never_ran() {
    let mut host = host("");
    host.start();
    let submit = |more: &[&str]| {
        let base = ["submit", "download", "http://127.0.0.1:1/x"];
        host.cli(&[&base[..], more].concat())
    };
    let first = submit(&["a", "--suspended"]).code(0).stdout.trim().to_owned();
    let second = submit(&["b", "--after", &first]).code(0).stdout.trim().to_owned();
    let show = |id: &str| host.cli(&["job", "show", id, "--json"]).code(0).object();
    let waits = show(&second);
    assert_eq!(waits["state"], "queued");
    assert_eq!(waits["waits"]["reason"], "after");
    let ends = waits["waits"]["ends"].as_str().unwrap();
    assert_eq!(ends, format!("job {first} succeeds"));
    host.cli(&["job", "cancel", &first]).code(0);
    eventually("the other is cancelled", || show(&second)["state"] == "cancelled");
    let why = host.cli(&["job", "error", &second]).code(0).stdout;
    assert!(why.contains(&first) && why.contains("cancelled"), "{why}");
    let late = submit(&["c", "--after", &first]).code(5);
    assert!(late.stderr.contains("would succeed"), "{}", late.stderr);
    let any = submit(&["c", "--after", &format!("{first}:any"), "--suspended"]);
    assert!(any.code(0).stdout.trim() != first);
    submit(&["c", "--after", "nobody"]).code(2);
}

#[test]
fn a_command_waits_as_any_job_does() {
    let mut host = host("");
    host.start();
    let first = host.shell(&["--suspended"], "echo first >> order");
    let waits = ["--after", &format!("{first}:succeeded")];
    let second = host.shell(&waits, "echo second >> order");
    assert_eq!(host.job(&second)["waits"]["reason"], "after");
    host.cli(&["job", "resume", &first]).code(0);
    host.wait_state(&second, "acknowledged");
    let order = std::fs::read_to_string(host.path("order")).unwrap();
    assert_eq!(order, "first\nsecond\n");
}
