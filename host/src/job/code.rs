//! The one table of error codes: HRESULT values, their symbolic names and a sentence each.
//!
//! HTTP statuses are `0x80190000 + status`, errno values `0x80070000 + errno` (as the platform's
//! `errno`, not Win32 numbers), BITS and Delivery Optimization codes as documented, and ours in the
//! customer range `0xA05E0000`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An HRESULT. Shown as `0x` and eight hexadecimal digits, with its name where it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $const:ident = $value:literal, $name:literal, $text:literal;)+) => {
        impl Code {
            $(
                #[doc = $text]
                pub const $const: Self = Self($value);
            )+

            /// Every code of the table with its name and sentence, for documentation and tests.
            pub const TABLE: &'static [(Self, &'static str, &'static str)] =
                &[$((Self($value), $name, $text)),+];
        }
    };
}

codes! {
    OK = 0, "S_OK", "done";
    PARTIAL_COMPLETE = 0x0020_0017, "BG_S_PARTIAL_COMPLETE", "completed; files that were not whole were dropped";
    UNABLE_TO_DELETE_FILES = 0x0020_001A, "BG_S_UNABLE_TO_DELETE_FILES", "done, but some temporary files could not be deleted";
    PROXY_CHANGED = 0x0020_002A, "BG_S_PROXY_CHANGED", "the proxy settings were changed";
    OVERRIDDEN_BY_POLICY = 0x0020_0055, "BG_S_OVERRIDDEN_BY_POLICY", "saved, but a policy of the host wins";
    PENDING = 0x8000_000A, "E_PENDING", "what this needs is not there yet";
    NOTIMPL = 0x8000_4001, "E_NOTIMPL", "not supported for this type of job";
    ABORT = 0x8000_4004, "E_ABORT", "aborted";
    ASYNC_WORK_REJECTED = 0x8000_4029, "CO_E_ASYNC_WORK_REJECTED", "the activity's queue is full";
    THREADPOOL_CONFIG = 0x8000_4031, "CO_E_THREADPOOL_CONFIG", "what is said of the pool cannot be";
    FAIL = 0x8000_4005, "E_FAIL", "unspecified failure";
    UNEXPECTED = 0x8000_FFFF, "E_UNEXPECTED", "unexpected failure";
    ACCESSDENIED = 0x8007_0005, "E_ACCESSDENIED", "access denied";
    OUTOFMEMORY = 0x8007_000E, "E_OUTOFMEMORY", "out of memory";
    INVALIDARG = 0x8007_0057, "E_INVALIDARG", "one or more arguments are not valid";
    NO_GATEWAY = 0x8007_03EB, "ERROR_CAN_NOT_COMPLETE", "no way leads to the server's network";
    NOT_FOUND = 0x8020_0001, "BG_E_NOT_FOUND", "no such job";
    INVALID_STATE = 0x8020_0002, "BG_E_INVALID_STATE", "the job's state does not allow this";
    EMPTY = 0x8020_0003, "BG_E_EMPTY", "the job has no files";
    FILE_NOT_AVAILABLE = 0x8020_0004, "BG_E_FILE_NOT_AVAILABLE", "the error is not tied to a file";
    PROTOCOL_NOT_AVAILABLE = 0x8020_0005, "BG_E_PROTOCOL_NOT_AVAILABLE", "the error is not tied to a protocol";
    DESTINATION_LOCKED = 0x8020_000D, "BG_E_DESTINATION_LOCKED", "the volume of the destination is locked";
    VOLUME_CHANGED = 0x8020_000E, "BG_E_VOLUME_CHANGED", "another volume is where the destination was";
    ERROR_INFORMATION_UNAVAILABLE = 0x8020_000F, "BG_E_ERROR_INFORMATION_UNAVAILABLE", "there is no error object now";
    NETWORK_DISCONNECTED = 0x8020_0010, "BG_E_NETWORK_DISCONNECTED", "there is no network";
    MISSING_FILE_SIZE = 0x8020_0011, "BG_E_MISSING_FILE_SIZE", "the server does not tell the size of the file";
    INSUFFICIENT_HTTP_SUPPORT = 0x8020_0012, "BG_E_INSUFFICIENT_HTTP_SUPPORT", "the server's HTTP is too old";
    INSUFFICIENT_RANGE_SUPPORT = 0x8020_0013, "BG_E_INSUFFICIENT_RANGE_SUPPORT", "the server ignores byte ranges";
    REMOTE_NOT_SUPPORTED = 0x8020_0014, "BG_E_REMOTE_NOT_SUPPORTED", "this cannot be asked from another machine";
    NEW_OWNER_DIFF_MAPPING = 0x8020_0015, "BG_E_NEW_OWNER_DIFF_MAPPING", "the new owner would see another place under the same path";
    NEW_OWNER_NO_FILE_ACCESS = 0x8020_0016, "BG_E_NEW_OWNER_NO_FILE_ACCESS", "the new owner may not use the job's files";
    PROXY_LIST_TOO_LARGE = 0x8020_0018, "BG_E_PROXY_LIST_TOO_LARGE", "the list of proxies is over its limit";
    PROXY_BYPASS_LIST_TOO_LARGE = 0x8020_0019, "BG_E_PROXY_BYPASS_LIST_TOO_LARGE", "the list of hosts without proxy is over its limit";
    INVALID_SERVER_RESPONSE = 0x8020_001B, "BG_E_INVALID_SERVER_RESPONSE", "the server's answer is malformed";
    TOO_MANY_FILES = 0x8020_001C, "BG_E_TOO_MANY_FILES", "an upload has exactly one file";
    LOCAL_FILE_CHANGED = 0x8020_001D, "BG_E_LOCAL_FILE_CHANGED", "the local file changed while it was sent";
    SESSION_NOT_FOUND = 0x8020_001F, "BG_E_SESSION_NOT_FOUND", "the server no longer knows the upload session";
    TOO_LARGE = 0x8020_0020, "BG_E_TOO_LARGE", "the reply is over its limit";
    STRING_TOO_LONG = 0x8020_0021, "BG_E_STRING_TOO_LONG", "a text is over its limit";
    CLIENT_SERVER_PROTOCOL_MISMATCH = 0x8020_0022, "BG_E_CLIENT_SERVER_PROTOCOL_MISMATCH", "client and upload server speak no common protocol";
    SERVER_EXECUTE_ENABLE = 0x8020_0023, "BG_E_SERVER_EXECUTE_ENABLE", "the upload server runs programs in the folder that is to be written";
    NO_PROGRESS = 0x8020_0024, "BG_E_NO_PROGRESS", "no progress within the no-progress time-out";
    USERNAME_TOO_LARGE = 0x8020_0025, "BG_E_USERNAME_TOO_LARGE", "the user name is over its limit";
    PASSWORD_TOO_LARGE = 0x8020_0026, "BG_E_PASSWORD_TOO_LARGE", "the password is over its limit";
    INVALID_AUTH_TARGET = 0x8020_0027, "BG_E_INVALID_AUTH_TARGET", "credentials are for a server or for a proxy";
    INVALID_AUTH_SCHEME = 0x8020_0028, "BG_E_INVALID_AUTH_SCHEME", "no such way to authenticate";
    FILE_NOT_FOUND = 0x8020_0029, "BG_E_FILE_NOT_FOUND", "the file is not there";
    INVALID_RANGE = 0x8020_002B, "BG_E_INVALID_RANGE", "the range lies past the end of the file";
    OVERLAPPING_RANGES = 0x8020_002C, "BG_E_OVERLAPPING_RANGES", "the ranges overlap";
    CONNECT_FAILURE = 0x8020_002D, "BG_E_CONNECT_FAILURE", "the server could not be reached";
    CONNECTION_CLOSED = 0x8020_002E, "BG_E_CONNECTION_CLOSED", "the connection was closed before the end";
    BLOCKED_BY_POLICY = 0x8020_003E, "BG_E_BLOCKED_BY_POLICY", "a policy of the host holds the job";
    INVALID_PROXY_INFO = 0x8020_003F, "BG_E_INVALID_PROXY_INFO", "the proxy settings are not valid";
    INVALID_CREDENTIALS = 0x8020_0040, "BG_E_INVALID_CREDENTIALS", "the credentials are not valid";
    INVALID_HASH_ALGORITHM = 0x8020_0041, "BG_E_INVALID_HASH_ALGORITHM", "no such hash algorithm";
    RECORD_DELETED = 0x8020_0042, "BG_E_RECORD_DELETED", "the cache record is gone";
    COMMIT_IN_PROGRESS = 0x8020_0043, "BG_E_COMMIT_IN_PROGRESS", "the cache record is being written";
    DISCOVERY_IN_PROGRESS = 0x8020_0044, "BG_E_DISCOVERY_IN_PROGRESS", "peers are being looked for";
    UPNP_ERROR = 0x8020_0045, "BG_E_UPNP_ERROR", "the network device could not be asked";
    TEST_OPTION_BLOCKED_DOWNLOAD = 0x8020_0046, "BG_E_TEST_OPTION_BLOCKED_DOWNLOAD", "a test setting forbids the origin server";
    PEERCACHING_DISABLED = 0x8020_0047, "BG_E_PEERCACHING_DISABLED", "there is no peer cache";
    BUSYCACHERECORD = 0x8020_0048, "BG_E_BUSYCACHERECORD", "the cache record is in use";
    TOO_MANY_JOBS_PER_USER = 0x8020_0049, "BG_E_TOO_MANY_JOBS_PER_USER", "the owner has too many open jobs";
    TOO_MANY_JOBS_PER_MACHINE = 0x8020_0050, "BG_E_TOO_MANY_JOBS_PER_MACHINE", "the host has too many open jobs";
    TOO_MANY_FILES_IN_JOB = 0x8020_0051, "BG_E_TOO_MANY_FILES_IN_JOB", "the job has too many files";
    TOO_MANY_RANGES_IN_FILE = 0x8020_0052, "BG_E_TOO_MANY_RANGES_IN_FILE", "the file has too many ranges";
    VALIDATION_FAILED = 0x8020_0053, "BG_E_VALIDATION_FAILED", "the file did not pass validation";
    MAXDOWNLOAD_TIMEOUT = 0x8020_0054, "BG_E_MAXDOWNLOAD_TIMEOUT", "the transfer took longer than its limit";
    TOKEN_REQUIRED = 0x8020_0056, "BG_E_TOKEN_REQUIRED", "a helper token is required";
    UNKNOWN_PROPERTY_ID = 0x8020_0057, "BG_E_UNKNOWN_PROPERTY_ID", "no such property";
    READ_ONLY_PROPERTY = 0x8020_0058, "BG_E_READ_ONLY_PROPERTY", "the property can only be read";
    BLOCKED_BY_COST_TRANSFER_POLICY = 0x8020_0059, "BG_E_BLOCKED_BY_COST_TRANSFER_POLICY", "the network costs more than the job may";
    PROPERTY_SUPPORTED_FOR_DOWNLOAD_JOBS_ONLY = 0x8020_0060, "BG_E_PROPERTY_SUPPORTED_FOR_DOWNLOAD_JOBS_ONLY", "only downloads have this property";
    READ_ONLY_PROPERTY_AFTER_ADDFILE = 0x8020_0061, "BG_E_READ_ONLY_PROPERTY_AFTER_ADDFILE", "this is fixed once the job has files";
    READ_ONLY_PROPERTY_AFTER_RESUME = 0x8020_0062, "BG_E_READ_ONLY_PROPERTY_AFTER_RESUME", "this is fixed once the job has been resumed";
    MAX_DOWNLOAD_SIZE_INVALID_VALUE = 0x8020_0063, "BG_E_MAX_DOWNLOAD_SIZE_INVALID_VALUE", "not a size limit";
    MAX_DOWNLOAD_SIZE_LIMIT_REACHED = 0x8020_0064, "BG_E_MAX_DOWNLOAD_SIZE_LIMIT_REACHED", "the job is larger than its limit";
    STANDBY_MODE = 0x8020_0065, "BG_E_STANDBY_MODE", "the machine is about to sleep";
    USE_STORED_CREDENTIALS_NOT_SUPPORTED = 0x8020_0066, "BG_E_USE_STORED_CREDENTIALS_NOT_SUPPORTED", "stored credentials are for proxies only";
    BLOCKED_BY_BATTERY_POLICY = 0x8020_0067, "BG_E_BLOCKED_BY_BATTERY_POLICY", "the machine runs on its battery";
    BLOCKED_BY_BATTERY_SAVER = 0x8020_0068, "BG_E_BLOCKED_BY_BATTERY_SAVER", "the battery is to be spared";
    WATCHDOG_TIMEOUT = 0x8020_0069, "BG_E_WATCHDOG_TIMEOUT", "the transfer was stuck";
    DATABASE_CORRUPT = 0x8020_006C, "BG_E_DATABASE_CORRUPT", "the store is damaged";
    RANDOM_ACCESS_NOT_SUPPORTED = 0x8020_006D, "BG_E_RANDOM_ACCESS_NOT_SUPPORTED", "the file cannot be had in pieces on demand";
    BLOCKED_BY_BACKGROUND_ACCESS_POLICY = 0x8020_006E, "BG_E_BLOCKED_BY_BACKGROUND_ACCESS_POLICY", "work in the background is not allowed now";
    BLOCKED_BY_GAME_MODE = 0x8020_006F, "BG_E_BLOCKED_BY_GAME_MODE", "the machine is wanted for something else";
    BLOCKED_BY_SYSTEM_POLICY = 0x8020_0070, "BG_E_BLOCKED_BY_SYSTEM_POLICY", "a policy of the system holds the job";
    NOT_SUPPORTED_WITH_CUSTOM_HTTP_METHOD = 0x8020_0071, "BG_E_NOT_SUPPORTED_WITH_CUSTOM_HTTP_METHOD", "this does not go together with another HTTP method";
    UNSUPPORTED_JOB_CONFIGURATION = 0x8020_0072, "BG_E_UNSUPPORTED_JOB_CONFIGURATION", "the properties of the job do not go together";
    REMOTE_FILE_CHANGED = 0x8020_0073, "BG_E_REMOTE_FILE_CHANGED", "the remote file changed while it was fetched";
    SERVER_CERT_VALIDATION_INTERFACE_REQUIRED = 0x8020_0074, "BG_E_SERVER_CERT_VALIDATION_INTERFACE_REQUIRED", "the handler that checks certificates is not there";
    READ_ONLY_WHEN_JOB_ACTIVE = 0x8020_0075, "BG_E_READ_ONLY_WHEN_JOB_ACTIVE", "this cannot be changed while the job runs";
    ERROR_CONTEXT_SERVER_CERTIFICATE_CALLBACK = 0x8020_0076, "BG_E_ERROR_CONTEXT_SERVER_CERTIFICATE_CALLBACK", "the error occurred while the certificate was checked";
    DO_NO_SERVICE = 0x80D0_1001, "DO_E_NO_SERVICE", "the service cannot be reached";
    DO_DOWNLOAD_NO_PROGRESS = 0x80D0_2002, "DO_E_DOWNLOAD_NO_PROGRESS", "no progress within the no-progress time-out";
    DO_JOB_NOT_FOUND = 0x80D0_2003, "DO_E_JOB_NOT_FOUND", "no such job";
    DO_JOB_EMPTY = 0x80D0_2004, "DO_E_JOB_EMPTY", "the job has no files";
    DO_NO_DOWNLOADS = 0x80D0_2005, "DO_E_NO_DOWNLOADS", "there are no downloads";
    DO_LOCALPATH_NOT_SET = 0x80D0_200D, "DO_E_LOCALPATH_NOT_SET", "the file has no local path";
    DO_FILE_NOT_AVAILABLE = 0x80D0_2010, "DO_E_FILE_NOT_AVAILABLE", "the error is not tied to a file";
    DO_UNKNOWN_PROPERTY_ID = 0x80D0_2011, "DO_E_UNKNOWN_PROPERTY_ID", "no such property";
    DO_READ_ONLY_PROPERTY = 0x80D0_2012, "DO_E_READ_ONLY_PROPERTY", "the property can only be read";
    DO_INVALID_STATE = 0x80D0_2013, "DO_E_INVALID_STATE", "the job's state does not allow this";
    DO_ERROR_INFORMATION_UNAVAILABLE = 0x80D0_2014, "DO_E_ERROR_INFORMATION_UNAVAILABLE", "there is no error object now";
    DO_FILE_DOWNLOADSINK_UNSPECIFIED = 0x80D0_2018, "DO_E_FILE_DOWNLOADSINK_UNSPECIFIED", "nothing says where the file goes";
    DO_DOWNLOAD_NO_URI = 0x80D0_2200, "DO_E_DOWNLOAD_NO_URI", "nothing says where the file comes from";
    DO_NO_DOWNLOAD_EXTSETTINGS = 0x80D0_3002, "DO_E_NO_DOWNLOAD_EXTSETTINGS", "a policy of the administrator forbids the download";
    DO_BLOCKED_BY_COST_TRANSFER_POLICY = 0x80D0_3801, "DO_E_BLOCKED_BY_COST_TRANSFER_POLICY", "the network costs more than the job may";
    DO_BLOCKED_BY_CELLULAR_POLICY = 0x80D0_3803, "DO_E_BLOCKED_BY_CELLULAR_POLICY", "the machine is on a mobile network";
    DO_BLOCKED_BY_POWER_STATE = 0x80D0_3804, "DO_E_BLOCKED_BY_POWER_STATE", "the machine runs on its battery";
    DO_BLOCKED_BY_NO_NETWORK = 0x80D0_3805, "DO_E_BLOCKED_BY_NO_NETWORK", "there is no network";
    DO_BLOCKED_BY_VPN = 0x80D0_3807, "DO_E_BLOCKED_BY_VPN", "the machine is on a VPN";
    DO_BLOCKED_BY_MEMORY = 0x80D0_3808, "DO_E_BLOCKED_BY_MEMORY", "memory is short";
    DO_HTTP_BLOCKSIZE_MISMATCH = 0x80D0_5001, "DO_E_HTTP_BLOCKSIZE_MISMATCH", "the server sent a piece of another size";
    DO_INVALID_RANGE = 0x80D0_5010, "DO_E_INVALID_RANGE", "the range lies past the end of the file";
    DO_INSUFFICIENT_RANGE_SUPPORT = 0x80D0_5011, "DO_E_INSUFFICIENT_RANGE_SUPPORT", "the server ignores byte ranges";
    DO_OVERLAPPING_RANGES = 0x80D0_5012, "DO_E_OVERLAPPING_RANGES", "the ranges overlap";
    DO_FATAL_CORE_ERROR = 0x80D0_6802, "DO_E_FATAL_CORE_ERROR", "the service failed";
    INTERNET_TIMEOUT = 0x8007_2EE2, "ERROR_INTERNET_TIMEOUT", "the server did not answer in time";
    NAME_NOT_RESOLVED = 0x8007_2EE7, "ERROR_INTERNET_NAME_NOT_RESOLVED", "the server's name could not be resolved";
    CANNOT_CONNECT = 0x8007_2EFD, "ERROR_INTERNET_CANNOT_CONNECT", "the server refused the connection";
    CONNECTION_ABORTED = 0x8007_2EFE, "ERROR_INTERNET_CONNECTION_ABORTED", "the connection was cut";
    CLIENT_AUTH_CERT_NEEDED = 0x8007_2F0C, "ERROR_INTERNET_CLIENT_AUTH_CERT_NEEDED", "the server asks for a client certificate";
    HTTP_INVALID_SERVER_RESPONSE = 0x8007_2F78, "ERROR_HTTP_INVALID_SERVER_RESPONSE", "the server's answer could not be understood";
    SECURE_FAILURE = 0x8007_2F8F, "ERROR_INTERNET_SECURE_FAILURE", "the server's certificate was not accepted";
    WBEM_FALSE = 0x0000_0001, "WBEM_S_FALSE", "done; there was less than was asked for";
    WBEM_ALREADY_EXISTS = 0x0004_0001, "WBEM_S_ALREADY_EXISTS", "it was there already";
    WBEM_TIMEDOUT = 0x0004_0004, "WBEM_S_TIMEDOUT", "the wait is over, the query goes on";
    WBEM_NO_MORE_DATA = 0x0004_0005, "WBEM_S_NO_MORE_DATA", "there is no more";
    WBEM_OPERATION_CANCELLED = 0x0004_0006, "WBEM_S_OPERATION_CANCELLED", "the operation was cancelled";
    WBEM_PENDING = 0x0004_0007, "WBEM_S_PENDING", "it is not done yet";
    WBEM_DUPLICATE_OBJECTS = 0x0004_0008, "WBEM_S_DUPLICATE_OBJECTS", "some objects were there more than once";
    WBEM_SOME_DENIED = 0x0004_0009, "WBEM_S_ACCESS_DENIED", "done, but some objects may not be seen";
    WBEM_PARTIAL_RESULTS = 0x0004_0010, "WBEM_S_PARTIAL_RESULTS", "done in part: not every object was handed over";
    WBEM_FAILED = 0x8004_1001, "WBEM_E_FAILED", "the query failed";
    WBEM_NOT_FOUND = 0x8004_1002, "WBEM_E_NOT_FOUND", "what the query names is not there";
    WBEM_ACCESS_DENIED = 0x8004_1003, "WBEM_E_ACCESS_DENIED", "the provider denies access";
    WBEM_PROVIDER_FAILURE = 0x8004_1004, "WBEM_E_PROVIDER_FAILURE", "the provider failed";
    WBEM_OUT_OF_MEMORY = 0x8004_1006, "WBEM_E_OUT_OF_MEMORY", "there was not enough memory for the query";
    WBEM_INVALID_PARAMETER = 0x8004_1008, "WBEM_E_INVALID_PARAMETER", "an argument of the query is not valid";
    WBEM_NOT_AVAILABLE = 0x8004_1009, "WBEM_E_NOT_AVAILABLE", "the provider is not available now";
    WBEM_CRITICAL_ERROR = 0x8004_100A, "WBEM_E_CRITICAL_ERROR", "the provider is in a state that it cannot go on from";
    WBEM_PROVIDER_LOAD_FAILURE = 0x8004_1013, "WBEM_E_PROVIDER_LOAD_FAILURE", "the provider could not be loaded";
    WBEM_INITIALIZATION_FAILURE = 0x8004_1014, "WBEM_E_INITIALIZATION_FAILURE", "the provider could not be set up";
    WBEM_TRANSPORT_FAILURE = 0x8004_1015, "WBEM_E_TRANSPORT_FAILURE", "the connection to the provider was lost";
    WBEM_INVALID_QUERY = 0x8004_1017, "WBEM_E_INVALID_QUERY", "the query is not valid";
    WBEM_PROVIDER_NOT_CAPABLE = 0x8004_1024, "WBEM_E_PROVIDER_NOT_CAPABLE", "the provider cannot do this";
    WBEM_CALL_CANCELLED = 0x8004_1032, "WBEM_E_CALL_CANCELLED", "the query was cancelled";
    WBEM_SHUTTING_DOWN = 0x8004_1033, "WBEM_E_SHUTTING_DOWN", "the provider is shutting down";
    WBEM_UNSUPPORTED_PARAMETER = 0x8004_1035, "WBEM_E_UNSUPPORTED_PARAMETER", "the provider does not know an argument";
    WBEM_SERVER_TOO_BUSY = 0x8004_1045, "WBEM_E_SERVER_TOO_BUSY", "the provider is too busy";
    WBEM_QUEUE_OVERFLOW = 0x8004_1061, "WBEM_E_QUEUE_OVERFLOW", "the handler was too slow for its objects";
    WBEM_CLIENT_TOO_SLOW = 0x8004_1067, "WBEM_E_CLIENT_TOO_SLOW", "who asked does not fetch the objects";
    WBEM_TIMED_OUT = 0x8004_1069, "WBEM_E_TIMED_OUT", "the query did not end in time";
    WBEM_QUOTA_VIOLATION = 0x8004_106C, "WBEM_E_QUOTA_VIOLATION", "the query needs more than it may have";
    WBEM_PROVIDER_TIMED_OUT = 0x8004_1088, "WBEM_E_PROVIDER_TIMED_OUT", "the provider gave up for lack of time";
    SX_EXIT_STATUS = 0xA05E_0001, "SX_E_EXIT_STATUS", "the program ended with a non-zero status";
    SX_SIGNAL = 0xA05E_0002, "SX_E_SIGNAL", "the program was ended by a signal";
    SX_DEADLINE = 0xA05E_0003, "SX_E_DEADLINE", "the deadline passed";
    SX_OUT_OF_MEMORY = 0xA05E_0004, "SX_E_OUT_OF_MEMORY", "the memory limit was reached";
    SX_SPAWN = 0xA05E_0005, "SX_E_SPAWN", "the program could not be started";
    SX_TRAP = 0xA05E_0006, "SX_E_TRAP", "the component trapped";
    SX_INTERRUPTED = 0xA05E_0007, "SX_E_INTERRUPTED", "the host ended while this ran";
    SX_EXIT = 0xA05E_0008, "SX_E_EXIT", "the component called exit";
    SX_OVERLOAD = 0xA05E_0009, "SX_E_OVERLOAD", "no slot was free";
    SX_CONFLICT = 0xA05E_000A, "SX_E_CONFLICT", "the job changed while its handler decided";
    SX_HOST_FAULT = 0xA05E_000B, "SX_E_HOST_FAULT", "the host failed, not the handler";
    SX_EXPIRED = 0xA05E_000C, "SX_E_EXPIRED", "the time in which this was of use is over";
    SX_HOST_CRASH = 0xA05E_000D, "SX_E_HOST_CRASH", "the host died each time this ran; it is not run again by itself";
}

impl Code {
    /// The code of an HTTP status: 403 is `0x80190193`.
    #[must_use]
    pub const fn http(status: u16) -> Self {
        Self(0x8019_0000 + status as u32)
    }

    /// The code of an operating system error number: `ENOSPC` is `0x8007001C`.
    #[must_use]
    pub const fn errno(errno: i32) -> Self {
        Self(0x8007_0000 | (errno.unsigned_abs() & 0xFFFF))
    }

    /// The HTTP status this code stands for.
    #[must_use]
    pub const fn http_status(self) -> Option<u16> {
        match self.0 {
            0x8019_0064..=0x8019_03E7 => Some((self.0 & 0xFFFF) as u16),
            _ => None,
        }
    }

    /// Failure codes have the top bit set; the others are information (W-94).
    #[must_use]
    pub const fn is_failure(self) -> bool {
        self.0 & 0x8000_0000 != 0
    }

    /// The symbolic name, where there is one: `BG_E_NOT_FOUND`, `HTTP_403`, `ERRNO_28`.
    #[must_use]
    pub fn name(self) -> Option<String> {
        if let Some((_, name, _)) = Self::TABLE.iter().find(|(code, ..)| *code == self) {
            return Some((*name).to_owned());
        }
        if let Some(status) = self.http_status() {
            return Some(format!("HTTP_{status}"));
        }
        (self.0 & 0xFFFF_0000 == 0x8007_0000 && self.0 & 0xFFFF < 200)
            .then(|| format!("ERRNO_{}", self.0 & 0xFFFF))
    }

    /// One sentence about the code.
    #[must_use]
    pub fn describe(self) -> String {
        if let Some((.., text)) = Self::TABLE.iter().find(|(code, ..)| *code == self) {
            return (*text).to_owned();
        }
        if let Some(status) = self.http_status() {
            return format!("the server answered {status}");
        }
        if self.0 & 0xFFFF_0000 == 0x8007_0000 {
            let errno = i32::try_from(self.0 & 0xFFFF).unwrap_or(0);
            return std::io::Error::from_raw_os_error(errno).to_string();
        }
        "unknown code".to_owned()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "0x{:08X}", self.0)?;
        match self.name() {
            Some(name) => write!(out, " {name}"),
            None => Ok(()),
        }
    }
}

/// Not a code that the table knows, nor a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a code as `0x80190194`, `HTTP_404`, `ERRNO_28` or by its name")]
pub struct UnknownCode;

impl std::str::FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((code, ..)) = Self::TABLE.iter().find(|(_, name, _)| *name == text) {
            return Ok(*code);
        }
        let (kind, digits) = text.split_once(['_', 'x']).ok_or(UnknownCode)?;
        match kind {
            "0" => u32::from_str_radix(digits, 16).map(Self).map_err(|_| UnknownCode),
            "HTTP" => digits.parse().map(Self::http).map_err(|_| UnknownCode),
            "ERRNO" => digits.parse().map(Self::errno).map_err(|_| UnknownCode),
            _ => Err(UnknownCode),
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0x{:08X}", self.0))
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| serde::de::Error::custom("expected 0x…"))?;
        u32::from_str_radix(digits, 16)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_show_hex_and_name() {
        assert_eq!(Code::http(403).to_string(), "0x80190193 HTTP_403");
        assert_eq!(
            Code::ERROR_INFORMATION_UNAVAILABLE.to_string(),
            "0x8020000F BG_E_ERROR_INFORMATION_UNAVAILABLE"
        );
        assert_eq!(Code::errno(28).to_string(), "0x8007001C ERRNO_28");
        assert_eq!(serde_json::to_string(&Code::http(503)).unwrap(), "\"0x801901F7\"");
    }

    #[test]
    fn a_code_is_read_as_it_is_written() {
        for code in [Code::http(404), Code::errno(28), Code::NO_PROGRESS, Code(0x1234)] {
            assert_eq!(format!("0x{:08X}", code.0).parse(), Ok(code));
            if let Some(name) = code.name() {
                assert_eq!(name.parse(), Ok(code));
            }
        }
        for bad in ["", "404", "HTTP_", "HTTP_x", "0x", "BG_E_NO", "é"] {
            assert_eq!(bad.parse::<Code>(), Err(UnknownCode), "{bad}");
        }
    }

    #[test]
    fn no_two_codes_share_a_value_or_a_name() {
        for (i, (code, name, _)) in Code::TABLE.iter().enumerate() {
            for (other, other_name, _) in &Code::TABLE[i + 1..] {
                assert!(code != other && name != other_name, "{name} and {other_name}");
            }
        }
    }
}
