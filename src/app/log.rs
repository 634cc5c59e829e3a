//! Writes log lines to stderr in a separate thread, so that a log that cannot be written loses lines but
//! never stops mail.
//!
//! stderr can be a closed pipe, a file on a full disk, or a pipe that nobody reads. The first two fail, the
//! third blocks; none may stop a thread that logs. Lines wait in a bounded queue; what does not fit or cannot
//! be written is dropped and counted.
//!
//! A line is written at once. Only where lines come close behind each other does the thread rest for a moment
//! after each write, and writes together what was said meanwhile: waking it for each line costs more than the
//! line.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Most lines in the queue.
const WAITING: u64 = 8_192;
/// How long the thread rests after it wrote, where lines come close behind each other:
const REST: Duration = Duration::from_millis(5);
/// so many writes, each
const CLOSE_WRITES: u32 = 8;
/// within this time after the one before.
const CLOSE: Duration = Duration::from_millis(1);
/// How long logging an error waits until it is written, because the process may end right after it.
const ERROR_WAIT: Duration = Duration::from_millis(500);
/// How long the end of the process waits for the last lines.
const LAST_WAIT: Duration = Duration::from_secs(1);

static LINES: OnceLock<Lines> = OnceLock::new();

/// The lines that wait, and what the writing thread is doing.
#[derive(Debug, Default)]
struct State {
    /// The lines, each with its end.
    text: Vec<u8>,
    lines: u64,
    /// How many lines were ever put here, and how many of them are done with.
    put: u64,
    done: u64,
    /// Somebody waits until what was put here is written.
    pressed: bool,
    /// The thread waits for a line.
    idle: bool,
    /// There is no thread any more.
    over: bool,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// Told if the thread has something to do.
    work: Condvar,
    /// Told if lines were written, or never will be.
    written: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queue of a log, and the number of lines lost. Clones share both.
#[derive(Clone, Debug)]
pub struct Lines {
    queue: Arc<Queue>,
    lost: Counter,
    room: u64,
}

impl Lines {
    /// Starts the thread that writes to `target`.
    fn to(target: impl Write + Send + 'static) -> Self {
        Self::with_room(target, WAITING)
    }

    fn with_room(target: impl Write + Send + 'static, room: u64) -> Self {
        let lines = Self { queue: Arc::default(), lost: Counter::default(), room };
        let end = End(lines.clone());
        // without the thread every line is dropped and counted; the relay works without its log
        drop(std::thread::Builder::new().name("log".to_owned()).spawn(move || end.0.write_all(target)));
        lines
    }

    /// Puts a line into the queue; false if it is lost.
    fn put(&self, line: &[u8]) -> bool {
        let mut state = self.queue.lock();
        if state.over || state.lines >= self.room {
            drop(state);
            self.lost.inc();
            return false;
        }
        state.text.extend_from_slice(line);
        state.lines += 1;
        state.put += 1;
        if std::mem::take(&mut state.idle) {
            self.queue.work.notify_one();
        }
        true
    }

    /// Waits until what was put into the queue has been written, up to `most`.
    fn flush(&self, most: Duration) {
        let until = Instant::now() + most;
        let mut state = self.queue.lock();
        let last = state.put;
        state.pressed = true;
        self.queue.work.notify_one();
        while state.done < last && !state.over {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.queue.written.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes what is put into the queue, for ever.
    fn write_all(&self, mut target: impl Write) {
        let (mut text, mut close, mut last) = (Vec::new(), 0, Instant::now());
        loop {
            let lines = self.next(&mut text);
            close = if last.elapsed() < CLOSE { (close + 1).min(CLOSE_WRITES) } else { 0 };
            if target.write_all(&text).and_then(|()| target.flush()).is_err() {
                self.lost.inc_by(lines);
            }
            let mut state = self.queue.lock();
            state.done += lines;
            self.queue.written.notify_all();
            if close >= CLOSE_WRITES && !state.pressed {
                drop(self.queue.work.wait_timeout_while(state, REST, |state| !state.pressed));
            }
            last = Instant::now();
        }
    }

    /// Waits for lines and takes them; returns how many there are.
    fn next(&self, text: &mut Vec<u8>) -> u64 {
        let mut state = self.queue.lock();
        while state.lines == 0 {
            (state.idle, state.pressed) = (true, false);
            state = self.queue.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        text.clear();
        std::mem::swap(text, &mut state.text);
        std::mem::take(&mut state.lines)
    }
}

/// Ends the queue when its thread ends, or never began: nobody may wait for it, and its lines are lost.
struct End(Lines);

impl Drop for End {
    fn drop(&mut self) {
        let mut state = self.0.queue.lock();
        state.over = true;
        self.0.lost.inc_by(state.put - state.done);
        self.0.queue.written.notify_all();
    }
}

/// The log on stderr.
pub fn stderr() -> Lines {
    LINES.get_or_init(|| Lines::to(io::stderr())).clone()
}

/// Writes the queue before the process ends.
pub fn finish() {
    if let Some(lines) = LINES.get() {
        lines.flush(LAST_WAIT);
    }
}

/// Registers the metric that counts lost lines.
pub fn register(registry: &mut Registry) {
    let lost = LINES.get().map(|lines| lines.lost.clone()).unwrap_or_default();
    registry.register("log_lines_lost", "Log lines that could not be written", lost);
}

/// One log event on its way to the queue.
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
        if self.lines.put(&self.text) && self.urgent {
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

    /// The kinds of log that cannot be written.
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
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
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
        let kept = Captured::default();
        let lines = Lines::to(kept.clone());
        say(&lines, 100);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 101);
        assert!(text.ends_with("the last word\n"), "{text}");
        assert_eq!(lines.lost.get(), 0);
    }

    /// What was written, and in how many pieces.
    #[derive(Clone, Default)]
    struct Pieces(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Write for Pieces {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            pieces.0.extend_from_slice(octets);
            pieces.1 += 1;
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_comes_soon_and_many_come_together() {
        let pieces = Pieces::default();
        let lines = Lines::to(pieces.clone());
        let written = |least: usize| {
            let began = Instant::now();
            while String::from_utf8_lossy(&pieces.0.lock().unwrap().0).lines().count() < least {
                assert!(began.elapsed() < Duration::from_secs(20), "it was never written");
                std::thread::yield_now();
            }
            pieces.0.lock().unwrap().1
        };
        assert!(lines.put(b"0\n"));
        assert_eq!(written(1), 1, "nobody asked for it");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| assert!(lines.put(b"line\n"))));
            }
        });
        assert!(written(4_001) < 1_000, "{}", written(4_001));
        assert_eq!(pieces.0.lock().unwrap().0.len(), 2 + 4_000 * 5);
        assert_eq!(lines.lost.get(), 0);
    }
}
