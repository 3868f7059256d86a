//! What is refused until somebody asks for it has a name all the same: the configuration and the
//! control API answer it with the row, the reason and what there is instead.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use sexton::job::RefusedKey;

use crate::host;

/// The configuration refuses `key` in every section, with its row.
fn refused(key: &str, row: &str) {
    let host = host(&format!("{key} = true\n[transfer]\n{key} = true\n"));
    let said = host.cli(&["config", "check"]).code(3);
    let with_row = said.stderr.matches(&format!("({row})")).count();
    assert_eq!(with_row, 2, "{said:?}");
    assert!(said.stderr.contains("hint:"), "{said:?}");
    assert!(!said.stderr.contains("unknown key"), "{said:?}");
}

#[test]
fn a_job_that_asks_for_it_is_refused_with_its_reason() {
    let mut host = host("");
    host.start();
    for key in RefusedKey::ALL {
        let body = format!("{{\"kind\": \"download\", \"{}\": true}}", key.name);
        let mut socket = UnixStream::connect(host.path("control.sock")).unwrap();
        let length = body.len();
        write!(
            socket,
            "POST /v1/jobs HTTP/1.1\r\nhost: sexton\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        for part in ["E_NOTIMPL", key.row, key.why, key.instead] {
            assert!(answer.contains(part), "{part}: {answer}");
        }
    }
    assert!(host.list(&["job", "list"]).is_empty());
}

#[test]
fn b54_no_certificate_handler_is_set() {
    refused("certificate_handler", "B-148");
}

#[test]
fn b91_no_certificate_handler_refuses() {
    refused("certificate_handler", "B-148");
}

#[test]
fn b127_no_ranges_on_demand() {
    refused("on_demand", "B-127");
}

#[test]
fn b136_no_host_affinity() {
    refused("host_affinity", "B-136");
}

#[test]
fn b148_no_handler_is_asked_about_a_certificate() {
    refused("certificate_handler", "B-148");
}

#[test]
fn b149_no_helper_token() {
    refused("helper_token", "B-149");
}

#[test]
fn b150_no_peer_caching() {
    refused("peer_caching", "B-150");
}

#[test]
fn b151_no_cache_of_peers() {
    refused("peer_cache", "B-151");
}

#[test]
fn b155_no_control_over_the_network() {
    refused("listen", "B-155");
}

#[test]
fn d13_no_hashes_of_pieces() {
    refused("piece_hashes", "D-13");
}

#[test]
fn d14_no_stream_as_destination() {
    refused("stream", "D-14");
}

#[test]
fn d15_no_counts_of_peers() {
    refused("swarm_stats", "D-15");
}

#[test]
fn d17_no_second_error_object() {
    refused("extended_error", "D-17");
}

#[test]
fn d18_no_properties_by_number() {
    refused("download_property", "D-18");
}

#[test]
fn d23_no_cache_hosts() {
    refused("cache_host", "D-23");
}

#[test]
fn c13_no_brackets_within_a_call() {
    refused("scope", "C-13");
}

#[test]
fn c14_no_outcome_of_brackets() {
    refused("scope_status", "C-14");
}

#[test]
fn c15_no_activity_without_a_configuration() {
    refused("mts_activity", "C-15");
}

#[test]
fn c20_no_transactions() {
    refused("transaction", "C-20");
}

#[test]
fn c21_no_weaker_isolation() {
    refused("isolation", "C-21");
}

#[test]
fn c22_no_time_out_of_a_transaction() {
    refused("transaction_timeout", "C-22");
}

#[test]
fn c23_no_transaction_of_ones_own() {
    refused("bring_your_own_transaction", "C-23");
}

#[test]
fn c24_no_description_of_a_transaction() {
    refused("transaction_description", "C-24");
}

#[test]
fn c27_no_partitions() {
    refused("partition", "C-27");
}

#[test]
fn c29_no_intrinsics() {
    refused("intrinsics", "C-29");
}

#[test]
fn c62_no_activation_just_in_time() {
    refused("just_in_time_activation", "C-62");
}
