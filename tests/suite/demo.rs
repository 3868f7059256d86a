//! The demo checks itself: its exit code says whether what it told is what happened.

use std::process::Command;

#[test]
fn the_demo_ends_well() {
    let output = Command::new(env!("CARGO_BIN_EXE_sexton-under-test"))
        .arg("demo")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(told.contains("All 10 as expected"), "{told}");
}
