//! What the ancestors can do and Sexton refuses until somebody asks for it: names that a person who
//! comes from there would try, each with its reason and what there is instead.

use super::Code;

/// A key of a job or of the configuration that is known and refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedKey {
    /// The key.
    pub name: &'static str,
    /// The row that describes it.
    pub row: &'static str,
    /// What it is, and that it is not here.
    pub why: &'static str,
    /// What there is instead.
    pub instead: &'static str,
}

impl RefusedKey {
    /// The code that every refused key is answered with.
    pub const CODE: Code = Code::NOTIMPL;

    /// All of them.
    pub const ALL: &'static [Self] = &[
        key("on_demand", "B-127", "ranges on demand are not supported", RANGES),
        key(
            "certificate_handler",
            "B-148",
            "a handler is not asked about a server's certificate",
            PINS,
        ),
        key(
            "host_affinity",
            "B-136",
            "an upload is not tied to one of several servers",
            "name the server itself in the URL",
        ),
        key(
            "helper_token",
            "B-149",
            "a job cannot borrow the rights of another user",
            "run a host as that user",
        ),
        key(
            "peer_caching",
            "B-150",
            "files are not shared with peers",
            MIRRORS,
        ),
        key(
            "peer_cache",
            "B-151",
            "there is no cache of peers to administer",
            MIRRORS,
        ),
        key(
            "piece_hashes",
            "D-13",
            "pieces of a file have no hashes of their own",
            "give the whole file a `checksum`",
        ),
        key(
            "stream",
            "D-14",
            "a download goes to a file, not to a stream",
            "give it a path, and read the file once it is there",
        ),
        key(
            "swarm_stats",
            "D-15",
            "there are no peers to count bytes of",
            "`job show` counts the bytes of the server",
        ),
        key(
            "extended_error",
            "D-17",
            "a job has one error object, not two",
            "`job error` tells it, `job show` why a job waits",
        ),
        key(
            "download_property",
            "D-18",
            "properties of `IDODownload` are not taken by number",
            "each has a key of its own: see `job set --help`",
        ),
        key("cache_host", "D-23", "cache hosts are not looked for", MIRRORS),
        key(
            "listen",
            "B-155",
            "the control API is not offered on the network",
            "forward the control socket, with ssh for instance",
        ),
        key("scope", "C-13", "a call has no brackets within it", ONE_CALL),
        key(
            "scope_status",
            "C-14",
            "there are no brackets that could tell how they ended",
            ONE_CALL,
        ),
        key(
            "mts_activity",
            "C-15",
            "there are no activities without a configuration",
            "leave `activity` out: a call is then a lane of its own",
        ),
        key(
            "transaction",
            "C-20",
            "a call takes part in no transaction",
            COMMIT,
        ),
        key(
            "isolation",
            "C-21",
            "the store knows one level, which is the strongest",
            COMMIT,
        ),
        key(
            "transaction_timeout",
            "C-22",
            "there is no transaction that could time out",
            "give the call a `deadline`",
        ),
        key(
            "bring_your_own_transaction",
            "C-23",
            "a call takes part in no transaction",
            COMMIT,
        ),
        key(
            "transaction_description",
            "C-24",
            "there is no transaction to describe",
            "give the job a `description`",
        ),
        key(
            "partition",
            "C-27",
            "a host is not divided into partitions",
            "run a host for each, with a `state_dir` of its own",
        ),
        key(
            "intrinsics",
            "C-29",
            "a call inherits no ambient objects of its submitter",
            "give the job a `context`, which every handler gets",
        ),
        key(
            "just_in_time_activation",
            "C-62",
            "nothing is activated between the calls of an object",
            "every call of a component has an instance of its own",
        ),
    ];

    /// The refused key of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|key| key.name == name)
    }
}

const ONE_CALL: &str = "submit what belongs together as one call";
const COMMIT: &str = "what a handler decides is committed with its acknowledgement";
const RANGES: &str = "give the file its `ranges` when it is added";
const PINS: &str = "trust an authority of your own, or pin the server's key";
const MIRRORS: &str = "give the file `mirrors`";

const fn key(name: &'static str, row: &'static str, why: &'static str, instead: &'static str) -> RefusedKey {
    RefusedKey {
        name,
        row,
        why,
        instead,
    }
}
