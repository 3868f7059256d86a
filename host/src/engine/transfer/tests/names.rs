//! Names that resolve now and not then. The resolver is ours: real ones do not flap on command.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::super::client;
use super::*;

/// Fails, then names a port where nobody listens, then the right one, and so on from there.
struct Flapping {
    asked: AtomicU32,
    dead: SocketAddr,
    alive: SocketAddr,
}

impl Resolve for Flapping {
    fn resolve(&self, _: Name) -> Resolving {
        let answer = match self.asked.fetch_add(1, Ordering::SeqCst) % 3 {
            0 => Err("the name server does not know it right now".into()),
            1 => Ok(Box::new(std::iter::once(self.dead)) as Addrs),
            _ => Ok(Box::new([self.dead, self.alive].into_iter()) as Addrs),
        };
        Box::pin(std::future::ready(answer))
    }
}

#[tokio::test]
async fn j198_a_name_that_flaps_is_a_passing_error_until_it_stands() {
    let content = body(3 << 20);
    let mut scene = Scene::new(vec![ok(&content, "ETag: \"a\"\r\n").cut(1 << 20)]).await;
    let alive = scene.remote_address();
    let unbound = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = unbound.local_addr().unwrap();
    drop(unbound);
    let resolver = Flapping {
        asked: AtomicU32::new(0),
        dead,
        alive,
    };
    // No connection is kept: every run asks the name server anew.
    let client = client::builder(&scene.config(), client::Purpose::Fetching)
        .dns_resolver(std::sync::Arc::new(resolver))
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    scene.file.remote = "http://flapping.example/x".to_owned();
    for round in 0..2 {
        for expected in [Code::NAME_NOT_RESOLVED, Code::CANNOT_CONNECT] {
            let RunEnd::Transient { error, .. } = scene.run_with(&client).await else {
                panic!("round {round}")
            };
            assert_eq!(
                (error.code, error.context),
                (expected, ErrorContext::GeneralTransport)
            );
        }
        if round == 0 {
            assert_eq!(
                code(&scene.run_with(&client).await),
                Some(Code::CONNECTION_CLOSED)
            );
            scene.again();
            scene.then(vec![scene::part(&content, 2 << 20, "ETag: \"a\"\r\n")]);
        }
    }
    assert_eq!(scene.run_with(&client).await, RunEnd::Finished);
    assert!(scene.temporary() == content);
}
