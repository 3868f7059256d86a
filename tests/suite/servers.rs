//! How servers are spoken to is each job's own word: headers, credentials, proxies, redirects,
//! certificates, methods, and what statuses mean. All through the real program.

mod certificates;
mod classes;
mod credentials;
mod headers;
mod methods;
mod proxies;
mod redirects;

use sexton_tests::host::TestHost;
use sexton_tests::server::{Behaviour, Remote, Request};
use sexton_tests::web::Web;

use crate::host;

/// What opens doors in these tests, and stands nowhere it should not.
const SECRET: &str = "hunter2-and-more";

/// A running host that has the secret in its environment as `DOOR`, and a server.
fn scene() -> (Web, TestHost) {
    let mut host = host("");
    host.variable("DOOR", SECRET);
    host.start();
    (Web::start(), host)
}

fn serve(text: &'static str) -> Behaviour {
    Behaviour::Serve(Remote::new(text))
}

/// Serves `good` to those who pass, and a refusal with its challenge to the others.
fn guarded(passes: fn(&Request) -> bool, challenge: &str) -> Behaviour {
    let headers = vec![("WWW-Authenticate".to_owned(), challenge.to_owned())];
    Behaviour::Guarded {
        passes,
        then: Box::new(serve("good")),
        otherwise: Box::new(Behaviour::Status(401, headers)),
    }
}

/// Submits a download that is to succeed, and returns its id.
#[track_caller]
fn fetch(host: &TestHost, url: &str, more: &[&str]) -> String {
    let id = host.download(url, &[&["--wait"], more].concat());
    assert_eq!(std::fs::read(host.path("file.bin")).unwrap(), b"good");
    std::fs::remove_file(host.path("file.bin")).unwrap();
    id
}

/// Submits a download that is to fail for good with this code, and returns what is said about it.
#[track_caller]
fn refusal(host: &TestHost, url: &str, more: &[&str], code: &str) -> String {
    let id = host.download(url, more);
    let job = host.wait_state(&id, "error");
    assert_eq!(job["error"]["code"], code, "{}", job["error"]);
    job["error"]["description"].as_str().unwrap().to_owned()
}

/// Whether a request was answered as RFC 7617 has it for this user and the secret.
fn basic(request: &Request, header: &str, user: &str) -> bool {
    // In letters of its own, lest both sides share a mistake.
    let expected = match user {
        "me" => "Basic bWU6aHVudGVyMi1hbmQtbW9yZQ==",
        _ => "Basic cHJveHk6aHVudGVyMi1hbmQtbW9yZQ==",
    };
    request.header(header) == Some(expected)
}

/// Whether a request carries a right answer of `me` to a digest challenge.
fn digest(request: &Request, header: &str, uri: &str) -> bool {
    let Some(Ok(mut answer)) = request
        .header(header)
        .map(digest_auth::AuthorizationHeader::parse)
    else {
        return false;
    };
    let given = answer.response.clone();
    let method = digest_auth::HttpMethod(request.method.as_str().into());
    let mut context = digest_auth::AuthContext::new_with_method("me", SECRET, uri, None::<&[u8]>, method);
    if let Some(cnonce) = &answer.cnonce {
        context.set_custom_cnonce(cnonce.clone());
    }
    answer.digest(&context);
    answer.response == given && answer.uri == uri && answer.username == "me"
}
