//! What each job of the soak is, by its number and the seed, and how it must end.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::json;
use sexton::api::request::{FileRequest, SubmitRequest};
use sexton::api::view::{JobKind, Outcome};
use sexton::job::FileRange;
use sexton_tests::server::Remote;

use crate::fetching::sum;
use crate::kills::plan::mix;

/// All files are cut out of so many bytes, each at a place of its own, so that no two are alike and
/// none costs memory.
const STOCK_BYTES: usize = 16 << 20;
/// The largest file that is fetched.
const LARGE: usize = 6 << 20;
/// The largest file that is sent: many requests, as the servers take little at once.
const SENT: usize = 1 << 20;
/// A file that is fetched over several connections is at least so large.
const SEGMENTED_MIN: usize = 3 << 20;
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

/// One kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    One,
    Many,
    Ranged,
    /// One place refuses, one has nothing, the third has the file.
    Mirrored,
    /// The server damages bytes, and the checksum tells.
    Checked,
    Segmented,
    /// A local file, which another one takes the place of.
    Local,
    Redirected,
    Guarded,
    /// The nodes of the server name the same file differently.
    Nodes,
    /// The file is another one after some requests.
    Changing,
    Put,
    Post,
    Tus,
    Bits,
    /// Sent by whatever the server offers.
    Auto,
    PutReply,
    PostReply,
    BitsReply,
    /// Never comes to its end, and is cancelled.
    GivenUp,
    GivenUpTus,
    GivenUpBits,
}

impl Plan {
    const ALL: [Self; 22] = [
        Self::One,
        Self::Put,
        Self::Many,
        Self::Tus,
        Self::Ranged,
        Self::Bits,
        Self::Mirrored,
        Self::PutReply,
        Self::Checked,
        Self::Auto,
        Self::Segmented,
        Self::BitsReply,
        Self::Local,
        Self::Post,
        Self::Redirected,
        Self::GivenUp,
        Self::Guarded,
        Self::PostReply,
        Self::Nodes,
        Self::GivenUpTus,
        Self::Changing,
        Self::GivenUpBits,
    ];

    /// Whether it is cancelled once the server has seen something of it.
    pub(super) fn is_given_up(self) -> bool {
        matches!(self, Self::GivenUp | Self::GivenUpTus | Self::GivenUpBits)
    }

    pub(super) fn kind(self) -> JobKind {
        match self {
            Self::Put
            | Self::Post
            | Self::Tus
            | Self::Bits
            | Self::Auto
            | Self::GivenUpTus
            | Self::GivenUpBits => JobKind::Upload,
            Self::PutReply | Self::PostReply | Self::BitsReply => JobKind::UploadReply,
            _ => JobKind::Download,
        }
    }

    /// The protocol that is asked for.
    fn protocol(self) -> &'static str {
        match self {
            Self::Put | Self::PutReply => "put",
            Self::Post | Self::PostReply => "post",
            Self::Tus | Self::GivenUpTus => "tus",
            Self::Bits | Self::BitsReply | Self::GivenUpBits => "bits",
            _ => "auto",
        }
    }
}

/// A file as a piece of the stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    at: usize,
    size: usize,
}

impl Blob {
    fn new(random: u64, size: usize) -> Self {
        let room = STOCK_BYTES - size;
        Self {
            at: usize::try_from(random >> 8).unwrap() % room,
            size,
        }
    }

    pub(super) fn bytes(self) -> Bytes {
        static STOCK: OnceLock<Bytes> = OnceLock::new();
        let stock = STOCK.get_or_init(|| {
            let blocks = (0..STOCK_BYTES as u64 / 8).flat_map(|at| mix(0, at).to_le_bytes());
            blocks.collect::<Vec<u8>>().into()
        });
        stock.slice(self.at..self.at + self.size)
    }

    /// As `node` of a server has it.
    pub(super) fn remote(self, node: u64) -> Remote {
        Remote {
            body: self.bytes(),
            etag: Some(format!("\"{}-{}-{node}\"", self.at, self.size)),
            last_modified: None,
            ranges: true,
        }
    }
}

/// One job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) number: u64,
    pub(super) plan: Plan,
    pub(super) random: u64,
}

impl Item {
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let kinds = Plan::ALL.len() as u64;
        Self {
            number,
            plan: Plan::ALL[usize::try_from((seed % kinds + number) % kinds).unwrap()],
            random: mix(seed, number),
        }
    }

    /// What is fetched, or the one file that is sent.
    pub(super) fn files(&self) -> Vec<Blob> {
        let random = |salt| mix(self.random, salt);
        let sized = |salt: u64, most: usize| {
            // Small ones are as frequent as large ones.
            let most = (most >> (random(!salt) % 8)).max(1);
            Blob::new(random(salt), usize::try_from(random(salt) % most as u64).unwrap())
        };
        match self.plan {
            Plan::Many => (1..=4 + random(0) % 12)
                .map(|salt| sized(salt, 64 << 10))
                .collect(),
            Plan::Segmented => {
                let more = usize::try_from(random(0)).unwrap_or(usize::MAX) % (LARGE - SEGMENTED_MIN);
                vec![Blob::new(random(1), SEGMENTED_MIN + more)]
            }
            // What has a middle for sure.
            Plan::GivenUp | Plan::GivenUpTus | Plan::GivenUpBits | Plan::Changing => {
                vec![Blob::new(random(1), SENT)]
            }
            plan if plan.kind() != JobKind::Download => {
                // An empty file has no middle, and has its tests.
                let blob = sized(1, SENT);
                vec![Blob {
                    size: blob.size.max(1),
                    ..blob
                }]
            }
            _ => vec![sized(1, LARGE)],
        }
    }

    /// What takes the place of its first file.
    pub(super) fn other(&self) -> Blob {
        Blob::new(mix(self.random, 77), self.files()[0].size)
    }

    /// What a server answers to the file.
    pub(super) fn reply(&self) -> Blob {
        let size = usize::try_from(mix(self.random, 78) % (300 << 10)).unwrap();
        Blob::new(mix(self.random, 79), size)
    }

    /// The ranges that are wanted of its file: they may not overlap, and are not in the file's order.
    fn ranges(&self) -> Vec<(usize, usize)> {
        let third = self.files()[0].size / 3;
        let at = |salt, most: usize| usize::try_from(mix(self.random, salt)).unwrap_or(0) % most;
        let range = |part: usize| {
            let offset = at(20 + part as u64, third);
            (part * third + offset, 1 + at(30 + part as u64, third - offset))
        };
        if third == 0 {
            Vec::new()
        } else {
            [2, 0, 1].map(range).into()
        }
    }

    /// Where its files are on the disk.
    pub(super) fn local(&self, dir: &Path, file: usize) -> PathBuf {
        dir.join(format!("out/{}-{file}", self.number))
    }

    /// The file that is sent, or is the remote side.
    pub(super) fn source(&self, dir: &Path) -> Option<PathBuf> {
        let has = self.plan.kind() != JobKind::Download || self.plan == Plan::Local;
        has.then(|| dir.join(format!("src/{}", self.number)))
    }

    /// Where its server takes or has a file.
    pub(super) fn path(&self, file: usize) -> String {
        let number = self.number;
        match self.plan {
            Plan::Redirected => format!("/moved/{number}-{file}"),
            Plan::Put | Plan::Post | Plan::PutReply | Plan::PostReply => format!("/plain/{number}"),
            Plan::Tus | Plan::GivenUpTus => format!("/tus/{number}"),
            Plan::Bits | Plan::BitsReply | Plan::GivenUpBits => format!("/bits/{number}"),
            Plan::Auto => format!(
                "/{}/{number}",
                ["plain", "tus", "bits"][usize::try_from(self.random % 3).unwrap()]
            ),
            _ => format!("/files/{number}-{file}"),
        }
    }

    /// What is submitted; `dir` is the host's folder.
    pub(super) fn request(&self, origin: &str, dir: &Path) -> SubmitRequest {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let url = |file| format!("{origin}{}", self.path(file));
        let files = self.files().into_iter().enumerate();
        let mut files: Vec<_> = files
            .map(|(at, _)| FileRequest::new(url(at), text(self.local(dir, at))))
            .collect();
        let first = &mut files[0];
        let mut transfer = json!({});
        match self.plan {
            Plan::Ranged => {
                let ranges = self.ranges().into_iter().map(|(offset, length)| FileRange {
                    offset: offset as u64,
                    length: Some(length as u64),
                });
                first.ranges = ranges.collect();
            }
            Plan::Mirrored => {
                let there = std::mem::replace(&mut first.remote, format!("{NOWHERE}/{}", self.number));
                first.mirrors = vec![format!("{origin}/none"), there];
            }
            Plan::Checked => first.checksum = Some(sum(&self.files()[0].bytes())),
            Plan::Segmented => transfer = json!({ "placing": { "segments": 4 } }),
            Plan::Local => first.remote = format!("file://{}", text(self.source(dir).unwrap())),
            Plan::Guarded => {
                let password = format!("file:{}", text(dir.join("password")));
                let credential = json!({ "user": "me", "password": password });
                transfer = json!({ "http": { "credentials": [credential] } });
            }
            plan if plan.kind() != JobKind::Download => {
                let reply = (plan.kind() == JobKind::UploadReply).then(|| std::mem::take(&mut first.local));
                first.local = text(self.source(dir).unwrap());
                transfer = json!({ "upload": { "protocol": plan.protocol(), "reply": reply } });
            }
            _ => {}
        }
        SubmitRequest {
            context: self.number.to_string(),
            retry_delay_ms: Some(100),
            key: Some(format!("key-{}", self.number)),
            transfer: serde_json::from_value(transfer).unwrap(),
            ..SubmitRequest::new(self.plan.kind(), files)
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        if self.plan.is_given_up() {
            Outcome::Cancelled
        } else {
            Outcome::Succeeded
        }
    }

    /// What is on the disk once it has ended: the path, and what may be there.
    pub(super) fn expected(&self, dir: &Path) -> Vec<(PathBuf, Vec<Bytes>)> {
        let whole = |blob: Blob| vec![blob.bytes()];
        let files = self.files();
        let first = files[0];
        let wanted: Vec<Vec<Bytes>> = match self.plan {
            Plan::GivenUp => Vec::new(),
            Plan::Ranged if !self.ranges().is_empty() => {
                let bytes = first.bytes();
                let parts = self
                    .ranges()
                    .into_iter()
                    .map(|(at, length)| &bytes[at..at + length]);
                vec![vec![parts.collect::<Vec<_>>().concat().into()]]
            }
            // Either is one version, and no mixture.
            Plan::Local | Plan::Changing => vec![vec![first.bytes(), self.other().bytes()]],
            plan => match plan.kind() {
                JobKind::Upload => Vec::new(),
                JobKind::UploadReply => vec![whole(self.reply())],
                _ => files.into_iter().map(whole).collect(),
            },
        };
        let wanted = wanted.into_iter().enumerate();
        wanted.map(|(at, bytes)| (self.local(dir, at), bytes)).collect()
    }
}
