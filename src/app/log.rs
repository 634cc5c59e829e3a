//! Where log lines go: to stderr, on a thread of its own, so that a log that cannot be written costs lines
//! and never mail.
//!
//! stderr may be a pipe whose reader has gone, a file on a full disk, or a pipe that nobody empties. The
//! first two fail, the third blocks; none of them may stop the thread that had something to say. Lines wait
//! in a queue of bounded length; what does not fit or cannot be written is lost and counted.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait to be written, at most.
const WAITING: usize = 8_192;
/// How long an error waits until it is written: the process may end right behind it.
const ERROR_WAIT: Duration = Duration::from_millis(500);
/// How long the end of the process waits for the last lines.
const LAST_WAIT: Duration = Duration::from_secs(1);

static LINES: OnceLock<Lines> = OnceLock::new();

/// What the writing thread is given.
enum Job {
    /// A line, with its end.
    Line(Vec<u8>),
    /// Answer when everything before is written.
    Flush(SyncSender<()>),
}

/// The queue in front of a log, and the count of what it lost. Clones are the same log.
#[derive(Clone, Debug)]
pub struct Lines {
    queue: SyncSender<Job>,
    lost: Counter,
}

impl Lines {
    /// Starts the thread that writes lines to `target`.
    fn to(target: impl Write + Send + 'static) -> Self {
        Self::with_room(target, WAITING)
    }

    fn with_room(target: impl Write + Send + 'static, waiting: usize) -> Self {
        let (queue, jobs) = sync_channel(waiting);
        let lost = Counter::default();
        let counted = lost.clone();
        let writer = std::thread::Builder::new().name("log".to_owned());
        // Without the thread every line is lost, and counted: the relay can do without its log.
        drop(writer.spawn(move || write_all(&jobs, target, &counted)));
        Self { queue, lost }
    }

    /// Waits until what was said so far is written, but not for ever.
    fn flush(&self, most: Duration) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Job::Flush(done)).is_ok() {
            // Too slow or gone: then the lines are lost.
            let _ = written.recv_timeout(most);
        }
    }
}

fn write_all(jobs: &Receiver<Job>, mut target: impl Write, lost: &Counter) {
    for job in jobs {
        match job {
            Job::Line(line) => {
                if target.write_all(&line).and_then(|()| target.flush()).is_err() {
                    lost.inc();
                }
            }
            // Whoever asked may have stopped waiting.
            Job::Flush(done) => drop(done.try_send(())),
        }
    }
}

/// The log on stderr.
pub fn stderr() -> Lines {
    LINES.get_or_init(|| Lines::to(io::stderr())).clone()
}

/// Writes out what waits, before the process ends.
pub fn finish() {
    if let Some(lines) = LINES.get() {
        lines.flush(LAST_WAIT);
    }
}

/// Has the number of lost lines shown.
pub fn register(registry: &mut Registry) {
    let lost = LINES.get().map(|lines| lines.lost.clone()).unwrap_or_default();
    registry.register("log_lines_lost", "Log lines that could not be written", lost);
}

/// One event on its way into the queue.
pub struct Line {
    lines: Lines,
    text: Vec<u8>,
    urgent: bool,
}

impl Write for Line {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.text.is_empty() {
            return;
        }
        if self.lines.queue.try_send(Job::Line(std::mem::take(&mut self.text))).is_err() {
            self.lines.lost.inc();
        } else if self.urgent {
            self.lines.flush(ERROR_WAIT);
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { lines: self.clone(), text: Vec::new(), urgent: false }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line {
        let mut line = self.make_writer();
        line.urgent = *about.level() == Level::ERROR;
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Instant;

    /// A log of each kind that cannot be written.
    enum Broken {
        Pipe,
        FullDisk,
        Stuck,
        Panics,
    }

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            match self {
                Self::Pipe => Err(io::ErrorKind::BrokenPipe.into()),
                Self::FullDisk => Err(io::ErrorKind::StorageFull.into()),
                Self::Stuck => {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "a thread of the test, which is stuck on purpose"
                    )]
                    std::thread::sleep(Duration::from_hours(1));
                    Ok(0)
                }
                Self::Panics => panic!("as a log may"),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn say(lines: &Lines, times: usize) {
        let subscriber =
            tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false).log_internal_errors(false);
        tracing::subscriber::with_default(subscriber.finish(), || {
            for number in 0..times {
                tracing::info!(number, "said");
            }
            tracing::error!("the last word");
        });
    }

    #[test]
    fn a_log_that_cannot_be_written_costs_its_lines_and_no_time() {
        for broken in [Broken::Pipe, Broken::FullDisk, Broken::Stuck, Broken::Panics] {
            let lines = Lines::with_room(broken, 10);
            let began = Instant::now();
            say(&lines, 100);
            assert!(began.elapsed() < Duration::from_secs(5));
            lines.flush(Duration::from_millis(10));
            assert!(lines.lost.get() >= 80, "{}", lines.lost.get());
        }
    }

    #[test]
    fn an_error_is_written_before_anything_else_happens() {
        let kept = Kept::default();
        let lines = Lines::to(kept.clone());
        say(&lines, 100);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 101);
        assert!(text.ends_with("the last word\n"), "{text}");
        assert_eq!(lines.lost.get(), 0);
    }
}
