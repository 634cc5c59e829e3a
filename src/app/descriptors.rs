//! Divides the limit of file descriptors, so that neither the desk nor idle clients use up those needed for
//! mail in progress, for the store and for upstreams.

/// The limits on open connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// Connections to the desk.
    pub(super) desk: usize,
    /// Sessions per listener.
    pub(super) sessions: usize,
}

/// Divides the process's limit; a quarter stays for the store, upstream connections and temporary files.
pub(super) fn shares(listeners: usize) -> Shares {
    of(limit().unwrap_or(usize::MAX), listeners)
}

fn of(limit: usize, listeners: usize) -> Shares {
    Shares { desk: (limit / 8).max(8), sessions: (limit / 8 * 5 / listeners.max(1)).max(8) }
}

/// Reads `RLIMIT_NOFILE` from procfs, which needs no unsafe call.
fn limit() -> Option<usize> {
    parse(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

fn parse(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_and_shared() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(parse(text), Some(1024));
        assert_eq!(parse("Max open files            unlimited unlimited files"), None);
        assert_eq!(of(1024, 1), Shares { desk: 128, sessions: 640 });
        assert_eq!(of(1024, 2), Shares { desk: 128, sessions: 320 });
        for limit in [0, 1, 256, 1024, 65_536, usize::MAX] {
            for listeners in 0..4 {
                let shares = of(limit, listeners);
                assert!(shares.desk >= 8 && shares.sessions >= 8);
                assert!(limit < 256 || shares.desk + shares.sessions * listeners <= limit / 4 * 3);
            }
        }
    }
}
