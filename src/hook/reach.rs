//! Checks the address of a hook. The configured URL is trusted, but not what its name resolves to: if the
//! name is changed to point into our own network, the relay must not call services there.

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// The addresses that a hook may have.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    allow: Arc<[IpNet]>,
}

impl Reach {
    pub(super) fn new(allow: &[IpNet]) -> Self {
        Self { allow: allow.into() }
    }

    /// Whether the address is public or in a listed network.
    fn may(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        is_public(ip) || self.allow.iter().any(|net| net.contains(&ip))
    }

    /// Checks an IP address in the URL itself, which is never resolved.
    pub(super) fn literal(&self, url: &str) -> Result<(), String> {
        let parsed = Url::parse(url).map_err(|error| format!("`{url}` is not a URL: {error}"))?;
        let host = parsed.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(ip) if !self.may(ip) => Err(format!(
                "the webhook {url} is in a private network: add the network to its `allow`, such as [\"{ip}\"]"
            )),
            _ => Ok(()),
        }
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (public, private): (Vec<SocketAddr>, Vec<SocketAddr>) =
                found.partition(|address| reach.may(address.ip()));
            if public.is_empty() {
                let why = match private.first() {
                    Some(address) => format!(
                        "{} is in a private network ({}): add the network to the hook's `allow`",
                        name.as_str(),
                        address.ip()
                    ),
                    None => format!("{} has no address", name.as_str()),
                };
                return Err(why.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is globally reachable (RFC 6890 and its registries).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    // 6to4 and NAT64 addresses embed an IPv4 address, which decides
    let embedded = match segments {
        [0x2002, high, low, ..] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    };
    if let Some(ip) = embedded {
        return is_public_v4(ip);
    }
    // global unicast is 2000::/3, without Teredo and documentation
    let teredo = segments[0] == 0x2001 && segments[1] == 0;
    let documentation = (segments[0] == 0x2001 && segments[1] == 0xdb8) || segments[0] == 0x3fff;
    (segments[0] & 0xe000) == 0x2000 && !teredo && !documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_public() {
        let private = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "192.0.2.1",
            "240.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::1",
            "2001:db8::1",
            "2001::1",
            "::7f00:1",
        ];
        let public = [
            "8.8.8.8",
            "203.0.114.1",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1",
            "2002:808:808::1",
            "::ffff:8.8.8.8",
        ];
        let none = Reach::new(&[]);
        for text in private {
            assert!(!none.may(text.parse().unwrap()), "{text}");
        }
        for text in public {
            assert!(none.may(text.parse().unwrap()), "{text}");
        }
        let named = Reach::new(&["10.0.0.0/8".parse().unwrap()]);
        assert!(named.may("::ffff:10.0.0.1".parse().unwrap()) && !named.may("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn an_address_in_the_url_is_looked_at() {
        let none = Reach::new(&[]);
        for url in ["http://127.0.0.1/x", "http://[::1]:8080/", "https://0x7f.1/", "http://2130706433/"] {
            assert!(none.literal(url).unwrap_err().contains("private network"), "{url}");
        }
        assert!(none.literal("https://hooks.example.com/x").is_ok());
        assert!(Reach::new(&["127.0.0.1/32".parse().unwrap()]).literal("http://127.0.0.1:9/").is_ok());
    }

    #[tokio::test]
    async fn a_name_that_points_at_us_is_refused() {
        let resolved = Reach::new(&[]).resolve("localhost".parse().unwrap()).await;
        assert!(resolved.err().unwrap().to_string().contains("private network"));
    }
}
