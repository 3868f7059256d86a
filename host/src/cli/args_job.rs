//! The command line of jobs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};

use super::args::SubmitOptions;
use super::args_batch::{LogArgs, RequeueArgs};
use super::args_notify::{REGISTER, RegisterArgs};
use super::args_query::ObjectsArgs;
use super::args_upload::ReplyArgs;
use super::language::LanguageArgs;
use super::list::Sort;
use super::value::{Moment, code, duration, job_id, label, moment, range, size, words};
use crate::api::view::{Code, FileRange, JobId, JobKind, JobState, OwnerName, Priority};

/// `job …`
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum JobCommand {
    /// List jobs, newest first
    List(Box<ListArgs>),
    /// Make an empty job that is suspended; `job add` gives it files, `job resume` starts it
    Create(Box<CreateArgs>),
    /// Add files to a job that has not ended, all or none
    Add(Box<AddArgs>),
    /// Show a job and its files
    Show {
        /// The job
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Show a job's error object
    Error {
        /// The job
        #[arg(value_parser = job_id)]
        id: JobId,
        /// The language of the texts
        #[command(flatten)]
        language: LanguageArgs,
    },
    /// Follow jobs to their ends; exit 1 if one failed
    Watch {
        /// The jobs
        #[arg(required = true, value_parser = job_id)]
        ids: Vec<JobId>,
    },
    /// Stop jobs until they are resumed
    Suspend {
        /// The jobs
        #[arg(required = true, value_parser = job_id)]
        ids: Vec<JobId>,
    },
    /// Let jobs go on: suspended ones, and those in error
    Resume {
        /// The jobs
        #[arg(required = true, value_parser = job_id)]
        ids: Vec<JobId>,
        /// Wait this long first
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        after: Option<Duration>,
    },
    /// End jobs and delete what they fetched
    Cancel {
        /// The jobs
        #[arg(required = true, value_parser = job_id)]
        ids: Vec<JobId>,
    },
    /// End jobs and keep the files that are whole
    Complete {
        /// The jobs
        #[arg(required = true, value_parser = job_id)]
        ids: Vec<JobId>,
        /// Do nothing unless every file is whole
        #[arg(long)]
        require_all: bool,
    },
    /// Print the objects that a query found and kept
    Objects(ObjectsArgs),
    /// Print the reply of an upload-reply that is transferred, up to 1 MiB
    Reply {
        /// The job
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Change properties of a job that has not ended; what is not named stays
    Set(Box<SetArgs>),
    /// Fetch a file of a job from elsewhere, from the next resume on
    SetRemote {
        /// The job
        #[arg(value_parser = job_id)]
        id: JobId,
        /// The file: its position in `job show`, from 0
        index: u32,
        /// Where it is fetched from
        url: String,
    },
    /// Fetch every file whose remote name begins with FROM from TO instead
    ReplacePrefix {
        /// The job
        #[arg(value_parser = job_id)]
        id: JobId,
        /// How the remote names begin, case and all
        from: String,
        /// What stands there instead
        to: String,
    },
    /// Say whether a file that is here is good; one that is not is dropped, and the job is in error
    SetValidation {
        /// The job
        #[arg(value_parser = job_id)]
        id: JobId,
        /// The file: its position in the job, from 0
        index: u32,
        /// Whether it is good
        #[arg(action = clap::ArgAction::Set)]
        valid: bool,
    },
    /// Print what a batch job printed
    Logs(LogArgs),
    /// Queue calls again that failed: the same job, with a fresh ladder of retries
    Requeue(RequeueArgs),
    /// Make yourself the owner of jobs; what their owner trusted them with is taken off
    TakeOwnership {
        /// The jobs
        #[arg(required = true, value_parser = job_id)]
        ids: Vec<JobId>,
    },
}

/// `job list …`
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub struct ListArgs {
    /// Only jobs in this state; may be repeated
    #[arg(long = "state", value_name = "STATE", value_parser = words(JobState::ALL, JobState::as_str))]
    pub states: Vec<JobState>,
    /// Only this owner's
    #[arg(long)]
    pub owner: Option<OwnerName>,
    /// Only jobs of this kind
    #[arg(long, value_parser = words(JobKind::ALL, JobKind::as_str))]
    pub kind: Option<JobKind>,
    /// Only jobs whose name has this in it, or fits it where it has `*` or `?`
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Only jobs with this label; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// Only jobs of this level
    #[arg(long, value_parser = words(Priority::ALL, Priority::as_str))]
    pub priority: Option<Priority>,
    /// Only jobs made since: a time, or a duration ago such as `2h`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Moment>,
    /// Only jobs made before: a time, or a duration ago such as `2h`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,
    /// Only jobs with this error: `0x80190194`, `HTTP_404`, `BG_E_NO_PROGRESS`
    #[arg(long, value_name = "CODE", value_parser = code)]
    pub error: Option<Code>,
    /// Only jobs whose first file comes from this host
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Only jobs with a file whose remote name has this in it
    #[arg(long, value_name = "TEXT")]
    pub remote: Option<String>,
    /// Only jobs with a file whose local path has this in it
    #[arg(long, value_name = "TEXT")]
    pub local: Option<String>,
    /// Only jobs with a handler or a notify command of their own, and which they are
    #[arg(long)]
    pub hooks: bool,
    /// What comes first; all but `created` look through all jobs that fit
    #[arg(long, default_value = "created", value_parser = words(Sort::ALL, Sort::as_str))]
    pub sort: Sort,
    /// The other way round
    #[arg(long)]
    pub reverse: bool,
    /// Only jobs made before this one: the last id of a list begins the next
    #[arg(long, value_name = "ID", value_parser = job_id)]
    pub before: Option<JobId>,
    /// At most this many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// `job create …`
#[derive(Clone, Debug, PartialEq, ClapArgs)]
pub struct CreateArgs {
    /// What it does
    #[arg(long, default_value = "download", value_parser = words(JobKind::ALL, JobKind::as_str))]
    pub kind: JobKind,
    /// Options of every submission.
    #[command(flatten)]
    pub options: SubmitOptions,
}

/// `job add …`
#[derive(Clone, Debug, PartialEq, Eq, ClapArgs)]
pub struct AddArgs {
    /// The job
    #[arg(value_parser = job_id)]
    pub id: JobId,
    /// Where the file is fetched from
    #[arg(required_unless_present = "file")]
    pub url: Option<String>,
    /// A file, or a directory to put it in [default: the URL's file name, here]
    pub dest: Option<PathBuf>,
    /// Add every `[[file]]` of this file instead, all or none; `-` is the standard input
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["url", "ranges", "mirrors", "checksum", "size"])]
    pub file: Option<PathBuf>,
    /// Only these bytes, such as `0:100` or `4096:` to the end; may be repeated
    #[arg(long = "range", value_name = "OFFSET:LENGTH", value_parser = range)]
    pub ranges: Vec<FileRange>,
    /// Another place of the same file; may be repeated
    #[arg(long = "mirror", value_name = "URL")]
    pub mirrors: Vec<String>,
    /// What its bytes must come to: `sha256:` and hex digits
    #[arg(long)]
    pub checksum: Option<String>,
    /// Its size, where it is known beforehand, such as `700MiB`
    #[arg(long, value_parser = size)]
    pub size: Option<u64>,
}

/// `job set …`
#[derive(Clone, Debug, PartialEq, Eq, ClapArgs)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(REGISTER))]
pub struct SetArgs {
    /// The job
    #[arg(value_parser = job_id)]
    pub id: JobId,
    /// The label
    #[arg(long, group = "what")]
    pub name: Option<String>,
    /// The description
    #[arg(long, value_name = "TEXT", group = "what")]
    pub description: Option<String>,
    /// Text that handlers get with every call
    #[arg(long, value_name = "TEXT", group = "what")]
    pub context: Option<String>,
    /// A label, in place of all there are; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label, group = "what")]
    pub labels: Vec<(String, String)>,
    /// Scheduling level
    #[arg(long, value_parser = words(Priority::ALL, Priority::as_str), group = "what")]
    pub priority: Option<Priority>,
    /// Whether a finished job waits to be completed
    #[arg(long, value_name = "BOOL", group = "what")]
    pub hold: Option<bool>,
    /// Who is told of what
    #[command(flatten)]
    pub register: RegisterArgs,
    /// First delay between retries, such as `30s`
    #[arg(long, value_name = "DURATION", value_parser = duration, group = "what")]
    pub retry_delay: Option<Duration>,
    /// Give up after this long without progress; `0s` makes any error fatal
    #[arg(long, value_name = "DURATION", value_parser = duration, group = "what")]
    pub no_progress: Option<Duration>,
    /// Where its reply goes.
    #[command(flatten)]
    pub reply: ReplyArgs,
    /// Any properties as a JSON object, merged into what is there
    #[arg(long, value_name = "JSON", group = "what")]
    pub values: Option<String>,
    /// The same from a TOML or JSON file; `-` is the standard input
    #[arg(long, value_name = "FILE", group = "what")]
    pub from: Option<PathBuf>,
}
