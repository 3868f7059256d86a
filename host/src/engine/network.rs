//! Whether there is a network: some route leads off this machine. The kernel tells of changes, so that
//! nothing is asked while nothing happens; interfaces are never judged by their names (BP-07).

use std::io;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use tokio::net::UnixDatagram;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Groups of `rtnetlink(7)`: links, addresses and routes of both families.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// Flags of a route, as both tables print them.
const UP: u32 = 0x1;
const REJECT: u32 = 0x200;
const ANYCAST: u32 = 0x0010_0000;
const LOCAL: u32 = 0x8000_0000;

/// Follows the kernel's tables until `stop`; the receiver says whether there is a network.
///
/// Where they cannot be read or followed there is one: a transfer that fails says more than one that
/// waits for good.
#[must_use]
pub fn follow(stop: CancellationToken) -> watch::Receiver<bool> {
    // Listened to before the first look, so that no change falls between the two.
    let socket = listen();
    let (sender, receiver) = watch::channel(connected());
    match socket {
        Ok(socket) => {
            tokio::spawn(async move {
                if let Some(Err(why)) = stop.run_until_cancelled(heed(socket, &sender)).await {
                    tracing::warn!("changes of the network are not seen any more: {why}");
                    sender.send_replace(true);
                }
            });
        }
        Err(why) => {
            tracing::warn!("changes of the network are not seen: {why}");
            sender.send_replace(true);
        }
    }
    receiver
}

/// The socket is one of datagrams like another, and reading it as one needs no unsafe registration.
fn listen() -> io::Result<UnixDatagram> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    // No protocol is protocol 0, which is `NETLINK_ROUTE`.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    UnixDatagram::from_std(socket.into())
}

/// What a message says does not matter: the tables are read anew.
async fn heed(socket: UnixDatagram, sender: &watch::Sender<bool>) -> io::Result<()> {
    let mut message = [0_u8; 8192];
    loop {
        let heard = socket.recv(&mut message).await;
        match heard.map_err(|why| (why.raw_os_error(), why)) {
            // Messages came, or were lost: either way something has changed.
            Ok(_) | Err((Some(libc::ENOBUFS), _)) => {}
            Err((_, why)) => return Err(why),
        }
        // A change comes in many messages; what has come already needs one look.
        while socket.try_recv(&mut message).is_ok() {}
        let now = connected();
        sender.send_if_modified(|before| std::mem::replace(before, now) != now);
    }
}

fn connected() -> bool {
    let (v4, v6) = (
        std::fs::read_to_string("/proc/net/route"),
        std::fs::read_to_string("/proc/net/ipv6_route"),
    );
    match (v4, v6) {
        (Err(_), Err(_)) => true,
        (v4, v6) => leads_off_v4(&v4.unwrap_or_default()) || leads_off_v6(&v6.unwrap_or_default()),
    }
}

fn usable(flags: &str) -> bool {
    u32::from_str_radix(flags, 16)
        .is_ok_and(|flags| flags & UP != 0 && flags & (REJECT | ANYCAST | LOCAL) == 0)
}

/// The lines of `/proc/net/route`: a destination is printed as the number that its bytes are in memory,
/// so the first byte of the address comes last.
fn leads_off_v4(table: &str) -> bool {
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (Some(to), Some(flags)) = (fields.next(), fields.nth(1)) else {
            return false;
        };
        // Loopback, and addresses that machines give themselves where nobody gives them any.
        let near = to.ends_with("7F") || to.ends_with("FEA9");
        usable(flags) && !near
    })
}

/// The lines of `/proc/net/ipv6_route`.
fn leads_off_v6(table: &str) -> bool {
    table.lines().any(|line| {
        let mut fields = line.split_whitespace();
        let (Some(to), Some(flags)) = (fields.next(), fields.nth(7)) else {
            return false;
        };
        let near = ["fe8", "fe9", "fea", "feb", "ff"]
            .iter()
            .any(|start| to.starts_with(start))
            || to == "00000000000000000000000000000001";
        usable(flags) && !near
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    #[test]
    fn bp07_a_route_off_the_machine_is_a_network_whatever_it_is_called() {
        for (line, expected) in [
            (
                "lo0weird\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
                true,
            ),
            (
                "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
                true,
            ),
            (
                "eth0\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0",
                false,
            ),
            (
                "eth0\t0000FEA9\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
                false,
            ),
            (
                "eth0\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0",
                false,
            ),
            (
                "eth0\t00000000\t010200C0\t0002\t0\t0\t0\t00000000\t0\t0\t0",
                false,
            ),
            ("nonsense", false),
        ] {
            assert_eq!(leads_off_v4(&format!("{HEAD}{line}\n")), expected, "{line}");
        }
        assert!(!leads_off_v4(HEAD));
    }

    #[test]
    fn bp07_of_ipv6_only_what_is_neither_local_nor_refused_counts() {
        let zero = "00000000000000000000000000000000";
        let line = |to: &str, flags: &str| {
            format!("{to} 40 {zero} 00 {zero} 00000100 00000001 00000000 {flags}     eth0\n")
        };
        for (to, flags, expected) in [
            ("fd000000000000000000000000000000", "00000001", true),
            (zero, "00000003", true),
            (zero, "00200200", false),
            ("fe800000000000000000000000000000", "00000001", false),
            ("ff000000000000000000000000000000", "00000001", false),
            ("fd000000000000000000000000000002", "80200001", false),
            ("00000000000000000000000000000001", "00000001", false),
        ] {
            assert_eq!(leads_off_v6(&line(to, flags)), expected, "{to} {flags}");
        }
    }

    #[tokio::test]
    async fn b31_the_kernel_can_be_listened_to() {
        assert!(listen().is_ok());
        let stop = CancellationToken::new();
        let seen = follow(stop.clone());
        assert_eq!(*seen.borrow(), connected());
        stop.cancel();
    }
}
