//! `ip_prefix`: of an address only the network stays. Addresses are read by the standard library and networks by `ipnet`,
//! both strict: no leading zeros, no white space, no zones.

use std::net::IpAddr;

use ipnet::IpNet;

use super::text::FULL;

/// The longest text of an address with its netmask; anything longer is none.
const LONGEST: usize = 64;

/// An address, or a network as `address/length`; a bare address has a netmask of its full length.
pub fn parse(text: &str) -> Option<IpNet> {
    if text.len() > LONGEST {
        return None;
    }
    match text.split_once('/') {
        None => text.parse::<IpAddr>().ok().map(IpNet::from),
        Some((address, length)) => {
            let digits = (1..=3).contains(&length.len()) && length.bytes().all(|byte| byte.is_ascii_digit());
            let plain = digits && (length == "0" || !length.starts_with('0'));
            IpNet::new(address.parse().ok()?, length.parse().ok().filter(|_| plain)?).ok()
        }
    }
}

/// The network of an address: its first `v4` or `v6` bits, or those of its own netmask if they are fewer.
///
/// An IPv4-mapped IPv6 address is an IPv6 address: of `::ffff:198.51.100.77` stays `::/48`.
pub fn ip_prefix(net: &IpNet, v4: u8, v6: u8) -> IpNet {
    let length = net.prefix_len().min(if matches!(net, IpNet::V4(_)) { v4 } else { v6 });
    // a shorter netmask of an address that has one is one
    IpNet::new(net.addr(), length).map_or_else(|_| net.trunc(), |net| net.trunc())
}

/// The same of a text; [`FULL`] for one that is no address.
pub fn ip_prefix_text(text: &str, v4: u8, v6: u8) -> String {
    parse(text).map_or_else(|| FULL.to_owned(), |net| ip_prefix(&net, v4, v6).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (given, shown) in [
            ("198.51.100.77", "198.51.100.0/24"),
            ("2001:db8:1:2::5", "2001:db8:1::/48"),
            ("::ffff:198.51.100.77", "::/48"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3/32", "10.1.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1/128", "2001:db8::/48"),
        ] {
            assert_eq!(ip_prefix_text(given, 24, 48), shown);
        }
        assert_eq!(ip_prefix_text("198.51.100.77", 0, 0), "0.0.0.0/0");
        assert_eq!(ip_prefix_text("2001:db8::5", 0, 0), "::/0");
    }

    #[test]
    fn what_is_no_address_shows_nothing() {
        for text in [
            "",
            "198.51.100.256",
            "010.0.0.1",
            "203.0.113.9 ",
            " 203.0.113.9",
            "fe80::1%eth0",
            "1.2.3",
            "1.2.3.4/33",
            "1.2.3.4/",
            "1.2.3.4/08",
            "1.2.3.4/+8",
            "1.2.3.4/8/8",
            "::/129",
            "0x7f.1",
            "2130706433",
            "١.2.3.4",
        ] {
            assert_eq!(ip_prefix_text(text, 24, 48), FULL, "{text}");
        }
        assert_eq!(ip_prefix_text(&"1".repeat(100_000), 24, 48), FULL);
    }
}
