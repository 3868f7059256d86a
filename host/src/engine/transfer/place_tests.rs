//! Completing and cancelling, each step also done twice.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::engine::transfer::tests::file;
use crate::job::JobId;

struct Scene {
    dir: tempfile::TempDir,
    job: JobId,
    files: Vec<FileStatus>,
}

/// A job with two whole files and one that is not.
fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let job = JobId::fresh();
    let mut files = Vec::new();
    for index in 0..3 {
        let mut one = file(index, "http://h/x", &dir.path().join(format!("f{index}")));
        std::fs::write(disk::temporary_path(job, &one), format!("body {index}")).unwrap();
        one.bytes_transferred = 6;
        one.transferred = index != 1;
        one.last_modified = Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned());
        files.push(one);
    }
    Scene { dir, job, files }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn b44_b124_whole_files_are_placed_with_their_time_and_the_rest_is_dropped() {
    let scene = scene();
    std::fs::write(scene.dir.path().join("f0"), "an older one").unwrap();
    for round in 0..2 {
        let (placed, failed) = place_all(scene.job, &scene.files, Existing::Overwrite);
        assert_eq!((placed, failed), (vec![0, 2], None), "round {round}");
        assert_eq!(names(scene.dir.path()), ["f0", "f2"]);
    }
    let placed = scene.dir.path().join("f0");
    assert_eq!(std::fs::read_to_string(&placed).unwrap(), "body 0");
    assert_eq!(std::fs::metadata(&placed).unwrap().mtime(), 784_111_777);
}

#[test]
fn b45_a_file_that_cannot_be_placed_leaves_those_before_it_placed() {
    let scene = scene();
    std::fs::create_dir_all(scene.dir.path().join("f2/full")).unwrap();
    let (placed, failed) = place_all(scene.job, &scene.files, Existing::Overwrite);
    assert_eq!(placed, [0]);
    let (at, fault) = failed.unwrap();
    assert_eq!(at, 2);
    assert_eq!(fault.context, crate::job::ErrorContext::LocalFile);
    assert_eq!(fault.code, Code::errno(libc::EISDIR));
    std::fs::remove_dir_all(scene.dir.path().join("f2")).unwrap();
    assert_eq!(
        place_all(scene.job, &scene.files, Existing::Overwrite),
        (vec![0, 2], None)
    );
}

#[test]
fn a_lost_temporary_file_is_an_error_even_if_an_older_file_has_the_name() {
    let scene = scene();
    std::fs::remove_file(disk::temporary_path(scene.job, &scene.files[0])).unwrap();
    std::fs::write(scene.dir.path().join("f0"), "an older one").unwrap();
    let (placed, failed) = place_all(scene.job, &scene.files, Existing::Overwrite);
    assert_eq!(placed, [0_u32; 0]);
    assert_eq!(failed.unwrap().1.code, Code::errno(libc::ENOENT));
}

#[test]
fn b46_cancel_leaves_nothing_of_the_job() {
    let scene = scene();
    std::fs::write(scene.dir.path().join("f0"), "an older one").unwrap();
    for round in 0..2 {
        assert_eq!(remove_all(scene.job, &scene.files), None, "round {round}");
        assert_eq!(names(scene.dir.path()), ["f0"]);
    }
    std::fs::remove_dir_all(scene.dir.path()).unwrap();
    assert_eq!(remove_all(scene.job, &scene.files), None);
}
