//! The limits of a job hold whatever way its bytes come in.

use super::*;
use crate::engine::bandwidth::Bandwidth;
use crate::engine::throttle::{Bucket, LiveLevel};
use crate::job::{FileRange, Priority};

const LEN: usize = (3 << 20) + 5;

/// The same bytes by one connection, by several, in ranges, and from this machine.
async fn ways() -> Vec<Scene> {
    let content = body(LEN);
    let mut ways = Vec::new();
    for way in 0..4 {
        let mut scene = Scene::new(vec![ok(&content, "ETag: \"a\"\r\n")]).await;
        match way {
            0 => {}
            1 => scene.placing.segments = Some(3),
            2 => {
                let (edge, length) = (LEN as u64 / 2, LEN as u64 - LEN as u64 / 2);
                let [head, tail] = [(0, edge), (edge, length)].map(|(offset, length)| FileRange {
                    offset,
                    length: Some(length),
                });
                scene.file.plan.ranges = vec![tail, head];
                scene.file.bytes_total = Some(LEN as u64);
            }
            _ => {
                let source = scene.dir.path().join("source");
                std::fs::write(&source, &content).unwrap();
                scene.file.remote = format!("file://{}", source.display());
            }
        }
        if matches!(way, 1 | 2) {
            scene.serve(content.clone(), "\"a\"");
        }
        ways.push(scene);
    }
    ways
}

#[tokio::test]
async fn b70_every_byte_is_paid_for_once_whatever_way_it_comes() {
    for mut scene in ways().await {
        let clock = Clock::real();
        // So fast that nobody waits.
        let bucket = Arc::new(Bucket::new(clock.clone(), Some(1 << 40)));
        let shared = Arc::new(Bandwidth::new(clock));
        let level = LiveLevel::new(Priority::Normal);
        scene.recorder.throttle = Some(Throttle::new(Some(Arc::clone(&bucket)), level, shared));
        assert_eq!(scene.run().await, RunEnd::Finished);
        assert_eq!(scene.recorded().bytes_transferred, LEN as u64);
        assert_eq!(bucket.taken(), LEN as f64, "{}", scene.file.remote);
    }
}

#[tokio::test]
async fn b76_the_cap_of_a_job_holds_whatever_way_its_bytes_come() {
    for room in [0, 1] {
        for mut scene in ways().await {
            let most = LEN as u64 - room;
            scene.recorder.quota = Some(Quota::new(most, std::slice::from_ref(&scene.file)));
            let end = scene.run().await;
            if room == 0 {
                assert_eq!(end, RunEnd::Finished, "{:?}", scene.placing);
            } else {
                assert_eq!(code(&end), Some(Code::MAX_DOWNLOAD_SIZE_LIMIT_REACHED));
                assert_eq!(scene.recorded().bytes_transferred, 0, "its size was known");
            }
        }
    }
}

/// What is fetched over several connections is held against the cap in a later run too.
#[tokio::test]
async fn b76_segments_that_are_gone_on_with_count_in_full() {
    let content = body(4 << 20);
    let first = scene::span(&content, 0, 1, "ETag: \"a\"\r\n");
    let mut scene = Scene::new(vec![first, Reply::raw("")]).await;
    scene.placing.segments = Some(2);
    assert_eq!(code(&scene.run().await), Some(Code::CONNECTION_CLOSED));
    let mut file = scene.checkpoints().first().cloned().unwrap();
    file.session = Some(
        "{\"segments\":[{\"start\":0,\"end\":2097152,\"done\":4096},\
         {\"start\":2097152,\"end\":4194304,\"done\":2097152}]}"
            .to_owned(),
    );
    file.bytes_transferred = 4096;
    std::fs::write(file.temporary.as_ref().unwrap(), vec![0; 2 << 20]).unwrap();
    scene.again();
    scene.recorder.quota = Some(Quota::new((4 << 20) - 1, std::slice::from_ref(&file)));
    scene.file = file;
    scene.serve(content, "\"a\"");
    let asked = scene.requests();
    assert_eq!(
        code(&scene.run().await),
        Some(Code::MAX_DOWNLOAD_SIZE_LIMIT_REACHED)
    );
    assert_eq!(scene.requests(), asked);
}
