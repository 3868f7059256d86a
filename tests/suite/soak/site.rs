//! The server of the soak: one place for all ways of fetching and sending, each request of which may
//! go wrong by chance. It remembers what was sent to it, and forgets a job when it has ended.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sexton::api::view::JobKind;
use sexton_tests::server::bits::BitsServer;
use sexton_tests::server::{Behaviour, Decides, Decision, Request, Step};
use sexton_tests::web::Web;

use super::fate::{self, Sending};
use super::plan::{Item, Plan};
use super::tus::Uploads;
use crate::kills::plan::mix;

/// Larger fragments are refused, so that small files take many.
const FRAGMENT_MAX: u64 = 150_000;
/// Requests after which a file that changes is another one.
const CHANGES_AT: u32 = 2;
/// `me:secret`
const PASS: &str = "Basic bWU6c2VjcmV0";

/// The server's memory.
#[derive(Clone, Debug)]
pub(super) struct Site(Arc<Memory>);

#[derive(Debug)]
struct Memory {
    seed: u64,
    shelves: Mutex<HashMap<u64, Arc<Shelf>>>,
    tus: Mutex<Uploads>,
    bits: BitsServer,
    tally: Mutex<BTreeMap<&'static str, u64>>,
    requests: AtomicU64,
}

/// What it knows of one job.
#[derive(Debug)]
struct Shelf {
    item: Item,
    /// Requests by path.
    asked: Mutex<HashMap<String, u32>>,
    seen: AtomicU32,
    /// Whole files that came by a plain request.
    plain: AtomicU32,
    wrong: Mutex<Vec<String>>,
    /// What was asked and what went wrong, in order: for the words of a failure.
    story: Mutex<Vec<String>>,
}

impl Site {
    /// Opens it on a server.
    pub(super) fn open(seed: u64, web: &Web) -> Self {
        let bits = BitsServer::default();
        bits.set(|ways| {
            ways.fragment_max = FRAGMENT_MAX;
            ways.reply_url = Some("?reply".to_owned());
        });
        let site = Self(Arc::new(Memory {
            seed,
            shelves: Mutex::default(),
            tus: Mutex::default(),
            bits,
            tally: Mutex::default(),
            requests: AtomicU64::new(0),
        }));
        for below in ["/files/", "/moved/", "/plain/", "/tus/", "/bits/"] {
            web.route(below, Behaviour::Decided(Arc::new(site.clone())));
        }
        site
    }

    /// From now on it knows a job.
    pub(super) fn expect(&self, item: Item) {
        let shelf = Shelf {
            item,
            asked: Mutex::default(),
            seen: AtomicU32::new(0),
            plain: AtomicU32::new(0),
            wrong: Mutex::default(),
            story: Mutex::default(),
        };
        held(&self.0.shelves).insert(item.number, Arc::new(shelf));
    }

    /// Requests of a job so far.
    pub(super) fn seen(&self, item: &Item) -> u32 {
        let shelf = held(&self.0.shelves).get(&item.number).cloned();
        shelf.map_or(0, |shelf| shelf.seen.load(Ordering::SeqCst))
    }

    /// What it was asked of a job, and what went wrong with it.
    pub(super) fn story(&self, item: &Item) -> Vec<String> {
        let shelf = held(&self.0.shelves).get(&item.number).cloned();
        shelf.map_or_else(Vec::new, |shelf| held(&shelf.story).clone())
    }

    /// Forgets a job that has ended.
    ///
    /// # Panics
    /// When what it has of it is not what it must have.
    pub(super) fn settle(&self, item: &Item) {
        let shelf = held(&self.0.shelves)
            .remove(&item.number)
            .expect("it was expected");
        let wrong = held(&shelf.wrong);
        assert!(wrong.is_empty(), "{item:?}: {wrong:?}");
        let path = item.path(0);
        let taken: Vec<Vec<u8>> = if path.starts_with("/tus/") {
            held(&self.0.tus).take(&path)
        } else {
            assert_eq!(self.0.bits.pending(&path), 0, "a session of {item:?} was left");
            self.0.bits.take(&path).into_iter().collect()
        };
        let whole = shelf.plain.load(Ordering::SeqCst);
        if item.plan.kind() == JobKind::Download || item.plan.is_given_up() {
            assert!(taken.is_empty() && whole == 0, "{item:?} was sent to its end");
        } else if path.starts_with("/plain/") {
            // Each was compared as it came; a put file is one however often it was put.
            assert!(whole > 0, "{item:?} did not come");
        } else {
            assert_eq!(taken.len(), 1, "{item:?} is there once");
            assert!(
                taken[0] == item.files()[0].bytes(),
                "{item:?} came as another one"
            );
        }
    }

    /// Jobs that it still knows.
    pub(super) fn open_jobs(&self) -> usize {
        held(&self.0.shelves).len()
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::SeqCst)
    }

    /// What went wrong how often.
    pub(super) fn tally(&self) -> BTreeMap<&'static str, u64> {
        held(&self.0.tally).clone()
    }

    fn note(&self, shelf: &Shelf, head: &Request, what: &'static str) {
        *held(&self.0.tally).entry(what).or_default() += 1;
        shelf.tell(head, what);
    }

    /// What is fetched: a file, or a reply that has an address of its own.
    fn fetch(&self, head: &Request, shelf: &Shelf, before: u32, random: u64) -> Behaviour {
        let item = shelf.item;
        let file = head.path.rsplit_once('-').and_then(|(_, file)| file.parse().ok());
        let blob = match (item.plan, item.files().get(file.unwrap_or(0))) {
            (plan, _) if plan.kind() != JobKind::Download => item.reply(),
            (Plan::Changing, _) if before >= CHANGES_AT => item.other(),
            (_, Some(blob)) => *blob,
            (_, None) => return Behaviour::Status(404, Vec::new()),
        };
        let node = if item.plan == Plan::Nodes {
            random >> 60 & 1
        } else {
            0
        };
        let remote = blob.remote(node);
        if item.plan == Plan::GivenUp {
            let after = remote.body.len() / 10;
            return match before {
                0 => Behaviour::Stall { remote, after },
                _ => Behaviour::Status(503, Vec::new()),
            };
        }
        if item.plan == Plan::Guarded && head.header("authorization") != Some(PASS) {
            return Behaviour::Status(401, vec![("WWW-Authenticate".to_owned(), "Basic".to_owned())]);
        }
        if item.plan == Plan::Changing && before <= CHANGES_AT {
            // The old one is cut off, and a part of the new one follows whatever is asked for.
            let (name, behaviour) = fate::changing(remote, random, before < CHANGES_AT);
            self.note(shelf, head, name);
            return behaviour;
        }
        if !fate::goes_wrong(random, before, item.plan) {
            shelf.tell(head, "well");
            return fate::served(remote, random >> 32);
        }
        let (name, behaviour) = fate::fetched(remote, mix(random, 1), item.plan);
        self.note(shelf, head, name);
        behaviour
    }

    /// What is sent goes wrong so, if it does.
    fn sending(&self, head: &Request, item: Item, before: u32, random: u64) -> Option<Sending> {
        let stays_away = match item.plan {
            Plan::GivenUpTus => head.method == "PATCH" && held(&self.0.tus).has(&head.path) > 0,
            Plan::GivenUpBits => {
                let first = head
                    .header("content-range")
                    .is_some_and(|range| range.starts_with("bytes 0-"));
                head.header("bits-packet-type") == Some("Fragment") && !first
            }
            _ => false,
        };
        if stays_away {
            return Some(Sending::Refused("503", Behaviour::Status(503, Vec::new())));
        }
        if !fate::goes_wrong(random, before, item.plan) {
            return None;
        }
        let sending = Sending::of(mix(random, 1));
        let packet = head.header("bits-packet-type").unwrap_or_default();
        let verb = head.method.as_str();
        Some(match sending {
            // Who refuses to forget has not forgotten, and who refuses to say what is offered does not
            // offer it.
            _ if matches!(verb, "DELETE" | "OPTIONS") || matches!(packet, "Cancel-Session" | "Ping") => {
                Sending::Refused("503", Behaviour::Status(503, Vec::new()))
            }
            // Whose client gives it up needs no handler that has it tried again.
            Sending::Refused(..) | Sending::EarlyYes(_) if item.plan.is_given_up() => {
                Sending::Refused("503", Behaviour::Status(503, Vec::new()))
            }
            // An upload that is not there is one that is forgotten.
            Sending::Refused("404", _) if matches!(verb, "HEAD" | "PATCH") => Sending::Forgotten,
            // Nothing but the server's word tells whether a plain file came.
            Sending::EarlyYes(part) if matches!(verb, "PUT" | "POST") => Sending::Broken(part),
            other => other,
        })
    }

    /// What answers a request that sends, once it has come as far as it does.
    fn sent(&self, request: &Request, whole: bool, shelf: &Shelf, fault: Option<Sending>) -> Behaviour {
        if let Some(Sending::Refused(_, behaviour)) = fault {
            return behaviour;
        }
        if matches!(fault, Some(Sending::Forgotten)) {
            held(&self.0.tus).forget(&request.path);
            if request.header("bits-packet-type") == Some("Fragment") {
                self.0.bits.set(|ways| ways.forgets = (1, 1));
            }
        }
        shelf.tell(request, if whole { "came whole" } else { "came in part" });
        let answer = match request.path.split('/').nth(1) {
            Some("tus") => held(&self.0.tus).answer(request),
            Some("bits") if whole => Behaviour::Script(vec![Step::text(self.0.bits.answer(request))]),
            Some("plain") if whole => plain(request, shelf),
            _ => Behaviour::Close,
        };
        match fault {
            Some(Sending::EarlyYes(_)) => Behaviour::Status(200, Vec::new()),
            Some(Sending::Broken(_)) => Behaviour::Close,
            Some(Sending::Deaf) => Behaviour::Script(vec![Step::Reset]),
            _ => answer,
        }
    }
}

impl Shelf {
    fn tell(&self, request: &Request, what: &str) {
        let of = ["range", "content-range", "upload-offset", "bits-packet-type"];
        let of: Vec<_> = of.iter().filter_map(|name| request.header(name)).collect();
        let line = format!("{} {} {of:?}: {what}", request.method, request.path);
        held(&self.story).push(line);
    }
}

/// A whole file came by one request, or a question how files are taken.
fn plain(request: &Request, shelf: &Shelf) -> Behaviour {
    let item = &shelf.item;
    if request.method == "OPTIONS" {
        return Behaviour::Status(200, vec![("Allow".to_owned(), "OPTIONS, PUT, POST".to_owned())]);
    }
    if request.body == item.files()[0].bytes() {
        shelf.plain.fetch_add(1, Ordering::SeqCst);
    } else {
        held(&shelf.wrong).push(format!("{} of other bytes", request.method));
    }
    if item.plan.kind() != JobKind::UploadReply {
        return Behaviour::Status(201, Vec::new());
    }
    let (remote, random) = (
        item.reply().remote(0),
        mix(item.random, u64::from(shelf.seen.load(Ordering::SeqCst))),
    );
    let after = remote.body.len() / 2;
    match random % 4 {
        0 => Behaviour::ResetAfter { remote, after },
        1 => Behaviour::NoLength {
            remote,
            chunked: true,
        },
        _ => Behaviour::Serve(remote),
    }
}

impl Decides for Site {
    fn decide(&self, head: &Request) -> Decision {
        let site = self.clone();
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        let Some(shelf) = number(&head.path).and_then(|number| held(&self.0.shelves).get(&number).cloned())
        else {
            return said(Behaviour::Status(404, Vec::new()));
        };
        let seen = shelf.seen.fetch_add(1, Ordering::SeqCst);
        let before = {
            let mut asked = held(&shelf.asked);
            let count = asked.entry(head.path.clone()).or_default();
            *count += 1;
            // What is begun anew has another path, and is to end too.
            (*count - 1).max(if shelf.item.plan == Plan::Many {
                0
            } else {
                seen / 4
            })
        };
        let place = head
            .path
            .bytes()
            .fold(self.0.seed, |hash, byte| mix(hash, u64::from(byte)));
        let random = mix(place, u64::from(before));
        if let Some(rest) = head.path.strip_prefix("/moved/") {
            return said(Behaviour::Redirect(format!("/files/{rest}")));
        }
        if head.method == "GET" {
            return said(self.fetch(head, &shelf, before, random));
        }
        let fault = self.sending(head, shelf.item, before, random);
        if let Some(fault) = &fault {
            self.note(&shelf, head, fault.name());
        }
        let length: u64 = head
            .header("content-length")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let takes = match fault {
            Some(Sending::Broken(part) | Sending::EarlyYes(part)) => {
                usize::try_from(length * part / 1000).ok()
            }
            _ => None,
        };
        Decision {
            takes,
            answer: Box::new(move |request, whole| site.sent(request, whole, &shelf, fault)),
        }
    }
}

fn said(behaviour: Behaviour) -> Decision {
    Decision {
        takes: None,
        answer: Box::new(|_, _| behaviour),
    }
}

/// The number of the job that a path is about.
fn number(path: &str) -> Option<u64> {
    path.split('/').nth(2)?.split('-').next()?.parse().ok()
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
