//! The documented codes (E-01…E-76 and those of Delivery Optimization), written down a second time.

use super::{Code, ErrorContext, Nature};

/// Number after `0x8020`, and name after `BG_E_`.
const BG_E: &[(u32, &str)] = &[
    (0x01, "NOT_FOUND"),
    (0x02, "INVALID_STATE"),
    (0x03, "EMPTY"),
    (0x04, "FILE_NOT_AVAILABLE"),
    (0x05, "PROTOCOL_NOT_AVAILABLE"),
    (0x0D, "DESTINATION_LOCKED"),
    (0x0E, "VOLUME_CHANGED"),
    (0x0F, "ERROR_INFORMATION_UNAVAILABLE"),
    (0x10, "NETWORK_DISCONNECTED"),
    (0x11, "MISSING_FILE_SIZE"),
    (0x12, "INSUFFICIENT_HTTP_SUPPORT"),
    (0x13, "INSUFFICIENT_RANGE_SUPPORT"),
    (0x14, "REMOTE_NOT_SUPPORTED"),
    (0x15, "NEW_OWNER_DIFF_MAPPING"),
    (0x16, "NEW_OWNER_NO_FILE_ACCESS"),
    (0x18, "PROXY_LIST_TOO_LARGE"),
    (0x19, "PROXY_BYPASS_LIST_TOO_LARGE"),
    (0x1B, "INVALID_SERVER_RESPONSE"),
    (0x1C, "TOO_MANY_FILES"),
    (0x1D, "LOCAL_FILE_CHANGED"),
    (0x1F, "SESSION_NOT_FOUND"),
    (0x20, "TOO_LARGE"),
    (0x21, "STRING_TOO_LONG"),
    (0x22, "CLIENT_SERVER_PROTOCOL_MISMATCH"),
    (0x23, "SERVER_EXECUTE_ENABLE"),
    (0x24, "NO_PROGRESS"),
    (0x25, "USERNAME_TOO_LARGE"),
    (0x26, "PASSWORD_TOO_LARGE"),
    (0x27, "INVALID_AUTH_TARGET"),
    (0x28, "INVALID_AUTH_SCHEME"),
    (0x29, "FILE_NOT_FOUND"),
    (0x2B, "INVALID_RANGE"),
    (0x2C, "OVERLAPPING_RANGES"),
    (0x2D, "CONNECT_FAILURE"),
    (0x2E, "CONNECTION_CLOSED"),
    (0x3E, "BLOCKED_BY_POLICY"),
    (0x3F, "INVALID_PROXY_INFO"),
    (0x40, "INVALID_CREDENTIALS"),
    (0x41, "INVALID_HASH_ALGORITHM"),
    (0x42, "RECORD_DELETED"),
    (0x43, "COMMIT_IN_PROGRESS"),
    (0x44, "DISCOVERY_IN_PROGRESS"),
    (0x45, "UPNP_ERROR"),
    (0x46, "TEST_OPTION_BLOCKED_DOWNLOAD"),
    (0x47, "PEERCACHING_DISABLED"),
    (0x48, "BUSYCACHERECORD"),
    (0x49, "TOO_MANY_JOBS_PER_USER"),
    (0x50, "TOO_MANY_JOBS_PER_MACHINE"),
    (0x51, "TOO_MANY_FILES_IN_JOB"),
    (0x52, "TOO_MANY_RANGES_IN_FILE"),
    (0x53, "VALIDATION_FAILED"),
    (0x54, "MAXDOWNLOAD_TIMEOUT"),
    (0x56, "TOKEN_REQUIRED"),
    (0x57, "UNKNOWN_PROPERTY_ID"),
    (0x58, "READ_ONLY_PROPERTY"),
    (0x59, "BLOCKED_BY_COST_TRANSFER_POLICY"),
    (0x60, "PROPERTY_SUPPORTED_FOR_DOWNLOAD_JOBS_ONLY"),
    (0x61, "READ_ONLY_PROPERTY_AFTER_ADDFILE"),
    (0x62, "READ_ONLY_PROPERTY_AFTER_RESUME"),
    (0x63, "MAX_DOWNLOAD_SIZE_INVALID_VALUE"),
    (0x64, "MAX_DOWNLOAD_SIZE_LIMIT_REACHED"),
    (0x65, "STANDBY_MODE"),
    (0x66, "USE_STORED_CREDENTIALS_NOT_SUPPORTED"),
    (0x67, "BLOCKED_BY_BATTERY_POLICY"),
    (0x68, "BLOCKED_BY_BATTERY_SAVER"),
    (0x69, "WATCHDOG_TIMEOUT"),
    (0x6C, "DATABASE_CORRUPT"),
    (0x6D, "RANDOM_ACCESS_NOT_SUPPORTED"),
    (0x6E, "BLOCKED_BY_BACKGROUND_ACCESS_POLICY"),
    (0x6F, "BLOCKED_BY_GAME_MODE"),
    (0x70, "BLOCKED_BY_SYSTEM_POLICY"),
    (0x71, "NOT_SUPPORTED_WITH_CUSTOM_HTTP_METHOD"),
    (0x72, "UNSUPPORTED_JOB_CONFIGURATION"),
    (0x73, "REMOTE_FILE_CHANGED"),
    (0x74, "SERVER_CERT_VALIDATION_INTERFACE_REQUIRED"),
    (0x75, "READ_ONLY_WHEN_JOB_ACTIVE"),
    (0x76, "ERROR_CONTEXT_SERVER_CERTIFICATE_CALLBACK"),
];

/// Number after `0x0020`, and name after `BG_S_`.
const BG_S: &[(u32, &str)] = &[
    (0x17, "PARTIAL_COMPLETE"),
    (0x1A, "UNABLE_TO_DELETE_FILES"),
    (0x2A, "PROXY_CHANGED"),
    (0x55, "OVERRIDDEN_BY_POLICY"),
];

/// Number after `0x80D0`, and name after `DO_E_`; those without a documented name are `None`.
const DO_E: &[(u32, Option<&str>)] = &[
    (0x1001, Some("NO_SERVICE")),
    (0x2002, Some("DOWNLOAD_NO_PROGRESS")),
    (0x2003, Some("JOB_NOT_FOUND")),
    (0x2004, Some("JOB_EMPTY")),
    (0x2005, Some("NO_DOWNLOADS")),
    (0x200D, Some("LOCALPATH_NOT_SET")),
    (0x2010, Some("FILE_NOT_AVAILABLE")),
    (0x2011, Some("UNKNOWN_PROPERTY_ID")),
    (0x2012, Some("READ_ONLY_PROPERTY")),
    (0x2013, Some("INVALID_STATE")),
    (0x2014, Some("ERROR_INFORMATION_UNAVAILABLE")),
    (0x2018, Some("FILE_DOWNLOADSINK_UNSPECIFIED")),
    (0x2200, Some("DOWNLOAD_NO_URI")),
    (0x3002, Some("NO_DOWNLOAD_EXTSETTINGS")),
    (0x3801, None),
    (0x3803, None),
    (0x3804, None),
    (0x3805, None),
    (0x3807, None),
    (0x3808, None),
    (0x5001, Some("HTTP_BLOCKSIZE_MISMATCH")),
    (0x5010, Some("INVALID_RANGE")),
    (0x5011, Some("INSUFFICIENT_RANGE_SUPPORT")),
    (0x5012, Some("OVERLAPPING_RANGES")),
    (0x6802, Some("FATAL_CORE_ERROR")),
];

/// The code has this name, a text and an advice, and is found again by its name and by its number.
fn is_explained(code: Code, name: &str) {
    assert_eq!(code.name().as_deref(), Some(name), "{:08X}", code.0);
    assert_ne!(code.describe(), "unknown code", "{name}");
    assert!(!code.advice().is_empty(), "{name}");
    assert_eq!(Code::named(name), Some(code));
    assert_eq!(Code::named(&format!("0x{:08x}", code.0)), Some(code));
}

#[test]
fn e01_to_e76_every_documented_code_has_its_number_name_and_text() {
    for (number, name) in BG_E {
        is_explained(Code(0x8020_0000 + number), &format!("BG_E_{name}"));
    }
    for (number, name) in BG_S {
        let code = Code(0x0020_0000 + number);
        is_explained(code, &format!("BG_S_{name}"));
        assert_eq!(code.nature(), Nature::Information);
    }
}

#[test]
fn e01_no_code_of_the_table_is_undocumented() {
    for (code, name, _) in Code::TABLE {
        let known = match code.0 >> 16 {
            0x8020 => BG_E.iter().any(|(number, _)| code.0 & 0xFFFF == *number),
            0x0020 => BG_S.iter().any(|(number, _)| code.0 & 0xFFFF == *number),
            0x80D0 => DO_E.iter().any(|(number, _)| code.0 & 0xFFFF == *number),
            _ => true,
        };
        assert!(known, "{name}");
    }
}

#[test]
fn do_codes_have_a_zone_for_what_is_blocked_for_now() {
    for (number, name) in DO_E {
        let code = Code(0x80D0_0000 + number);
        match name {
            Some(name) => is_explained(code, &format!("DO_E_{name}")),
            None => assert!(
                code.name()
                    .is_some_and(|name| name.starts_with("DO_E_BLOCKED_BY_"))
            ),
        }
        let held = (0x3800..0x3900).contains(number);
        assert_eq!(code.nature() == Nature::Held, held, "{number:04X}");
    }
}

#[test]
fn e01_holds_of_bits_are_blocked_for_now_and_nothing_else_is() {
    let held = [0x10, 0x3E, 0x59, 0x65, 0x67, 0x68, 0x6E, 0x6F, 0x70];
    for (number, name) in BG_E {
        let nature = Code(0x8020_0000 + number).nature();
        assert_eq!(nature == Nature::Held, held.contains(number), "{name}");
    }
}

#[test]
fn a_code_is_found_however_it_is_written() {
    for (text, code) in [
        ("0x80200013", 0x8020_0013),
        ("bg_e_insufficient_range_support", 0x8020_0013),
        ("-2145386477", 0x8020_0013),
        ("2149580819", 0x8020_0013),
        ("HTTP_403", 0x8019_0193),
        ("403", 0x8019_0193),
        ("ERRNO_28", 0x8007_001C),
        ("0", 0),
    ] {
        assert_eq!(Code::named(text), Some(Code(code)), "{text}");
    }
    for text in ["", "0x", "BG_E_NOTHING", "HTTP_7", "99999999999999"] {
        assert_eq!(Code::named(text), None, "{text}");
    }
}

#[test]
fn b79_contexts_have_the_numbers_of_bits() {
    let names = [
        "none",
        "unknown",
        "general-queue-manager",
        "queue-manager-notification",
        "local-file",
        "remote-file",
        "general-transport",
        "remote-application",
        "server-certificate-callback",
    ];
    assert_eq!(ErrorContext::ALL.len(), names.len());
    for (number, name) in (0_u32..).zip(names) {
        let context: ErrorContext = name.parse().unwrap();
        assert_eq!(context.number(), number, "{name}");
    }
}
