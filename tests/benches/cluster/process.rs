//! Processes that are measured: what the system says they use, and their end with ours. What they are told to do is left
//! to `measure`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// The longest that a process is waited for until it says what it is expected to.
const PATIENCE: Duration = Duration::from_secs(180);

/// A process that ends when this does.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Seconds of CPU, of user and system.
    pub cpu: f64,
    /// Bytes of memory that are resident now.
    pub resident: u64,
    /// The most that ever were.
    pub most: u64,
}

impl Process {
    /// Starts a command; what it says on standard output or, where `errors`, on standard error is read.
    pub fn start(mut command: Command, errors: bool) -> Self {
        let heard = if errors { command.stderr(Stdio::piped()) } else { command.stdout(Stdio::piped()) };
        let mut child = heard.stdin(Stdio::piped()).spawn().unwrap();
        let (tell, lines) = channel();
        let out: Box<dyn std::io::Read + Send> = match errors {
            true => Box::new(child.stderr.take().unwrap()),
            false => Box::new(child.stdout.take().unwrap()),
        };
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                // Read on when nobody listens any more, so that the process is never held up.
                let _ = tell.send(line);
            }
        });
        Self { input: child.stdin.take(), child, lines }
    }

    /// The next line for which `wanted` gives something.
    ///
    /// # Errors
    /// All that was said instead, where the process ends or takes too long.
    pub fn said<T>(&self, wanted: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        let mut heard = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).map_err(|_| heard.join("\n"))?;
            if let Some(found) = wanted(&line) {
                return Ok(found);
            }
            heard.push(line);
        }
    }

    /// What was said and not yet read.
    pub fn rest(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// Tells it a line.
    pub fn tell(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            // One that has gone shows elsewhere.
            let _ = writeln!(input, "{line}");
        }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has used.
    pub fn used(&self) -> Used {
        let read =
            |what: &str| std::fs::read_to_string(format!("/proc/{}/{what}", self.id())).unwrap_or_default();
        let status = read("status");
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let digits = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
            1_024 * digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
        };
        // The second column is the command in parentheses; user and system are the 14th and 15th.
        let stat = read("stat");
        let after = stat.rsplit(')').next().unwrap_or_default();
        let ticks: f64 =
            after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
        Used { cpu: ticks / ticks_a_second(), resident: kilobytes("VmRSS:"), most: kilobytes("VmHWM:") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ticks_a_second() -> f64 {
    let output = Command::new("getconf").arg("CLK_TCK").output();
    let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(100.0)
}
