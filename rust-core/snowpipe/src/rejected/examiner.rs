//! The task that asks the error table of a destination, for all channels at once and not too often.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::case::Case;
use super::explain::{Row, explained};
use super::query::Source;
use crate::actor::lock;
use crate::catalog;
use crate::core::Core;
use crate::machine::{Fault, FaultClass, Report};
use crate::names;
use bulletin::Level;

/// Cases of one moment are asked for together.
const GATHER: Duration = Duration::from_millis(200);
/// Pause between two questions; it doubles while they bring nothing.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(4);
/// After a refusal nothing is asked for this long.
const REFUSED: Duration = Duration::from_secs(60);
/// Reports in one question, and rows in its answer.
const REPORTS: usize = 64;
const ROWS: u64 = 5_000;
/// Questions at once, when one about many reports is refused.
const QUESTIONS: usize = 32;
/// Answers that are remembered for FlowFiles that come again.
const REMEMBERED: usize = 512;

/// A channel, and what was counted there.
type Key = (String, Report);
/// Rejected rows of a case; or why they are not known, and how many they are.
type Answer = Result<Vec<Arc<Row>>, (String, u64)>;

/// See the module documentation.
pub(crate) struct Examiner {
    source: Source,
    label: String,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    cases: Vec<Case>,
    /// Reports by channel and since when they are asked for.
    asked: HashMap<Key, Instant>,
    known: HashMap<Key, Vec<Arc<Row>>>,
    /// Reports that alone are not answered: since when, and why.
    unanswerable: HashMap<Key, (Instant, String)>,
    pause: Duration,
    /// Nothing is asked before, and why.
    refused: Option<(Instant, String)>,
    /// When the table was last seen to have error logging.
    checked: Option<Instant>,
    hurried: bool,
    /// What the service said last instead of an answer.
    fault: Option<String>,
}

impl std::fmt::Debug for Examiner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Examiner").field("label", &self.label).finish_non_exhaustive()
    }
}

impl Examiner {
    pub(crate) fn new(source: Source) -> Self {
        let label = names::label(&source.destination);
        Self { source, label, state: Mutex::default(), wake: Notify::new() }
    }

    /// Takes a case over.
    pub(crate) fn take(&self, case: Case) {
        let mut state = self.lock();
        if state.hurried {
            // It is dropped, and ends.
            return;
        }
        state.cases.push(case);
        drop(state);
        self.wake.notify_one();
    }

    /// Ends all cases, now and from now on, with what is known.
    pub(crate) fn hurry(&self) {
        let mut state = self.lock();
        state.hurried = true;
        let cases = std::mem::take(&mut state.cases);
        drop(state);
        drop(cases);
    }

    /// Runs until the sink is closed.
    pub(crate) async fn run(self: Arc<Self>, core: Arc<Core>) {
        loop {
            if self.lock().cases.is_empty() {
                self.wake.notified().await;
                tokio::time::sleep(GATHER).await;
            }
            let begun = Instant::now();
            self.turn(&core).await;
            let pause = self.lock().pause;
            tokio::time::sleep_until(begun + pause).await;
        }
    }

    async fn turn(&self, core: &Core) {
        core.trips.pass("examine");
        let open = self.lock().open();
        if !open.is_empty()
            && let Err(fault) = self.inquire(core, open).await
        {
            self.failed(core, &fault);
        }
        let over = self.lock().over(core.config.error_table_patience);
        if over > 0 {
            let text = self.lock().vain(core.config.error_table_patience);
            self.say(core, &text);
        }
        let ready = self.lock().ready(core.config.error_table_patience);
        for (case, answer) in ready {
            match answer {
                Ok(rows) => case.told(&rows),
                Err((reason, count)) => case.unknown(&reason, count),
            }
        }
    }

    /// Asks for reports, for all at once. A question that is refused is divided, so that a report which cannot be answered
    /// leaves the others alone. Fails when nothing can be asked.
    async fn inquire(&self, core: &Core, open: Vec<Key>) -> Result<(), Fault> {
        self.check(core).await?;
        let mut works = false;
        let mut questions = VecDeque::from([open]);
        for _ in 0..QUESTIONS {
            let Some(mut reports) = questions.pop_front() else { break };
            let reason = match self.ask(core, &reports).await {
                Ok(Ok(rows)) => {
                    self.lock().learn(&reports, &rows);
                    continue;
                }
                Ok(Err(reason)) => reason,
                Err(fault) if fault.class == FaultClass::Rejected => {
                    if !works {
                        self.source.probe(&core.api).await?;
                        works = true;
                    }
                    fault.detail
                }
                Err(fault) => return Err(fault),
            };
            let half = reports.split_off(reports.len() / 2);
            if reports.is_empty() {
                self.lock().give_up(half, &reason);
                self.say(core, &reason);
            } else {
                questions.push_front(half);
                questions.push_front(reports);
            }
        }
        Ok(())
    }

    /// Rows that the reports may be about, or why they are too many.
    async fn ask(&self, core: &Core, reports: &[Key]) -> Result<Result<Vec<Arc<Row>>, String>, Fault> {
        let counted: u64 = reports.iter().map(|(_, report)| report.weight()).sum();
        let limit = (counted * 2 + 100).min(ROWS * 2);
        let rows = self.source.rows(&core.api, reports, limit).await?;
        Ok(match (rows.len() as u64) < limit {
            true => Ok(rows.into_iter().map(Arc::new).collect()),
            false => Err(format!("the error table has more than {limit} rows where {counted} were counted")),
        })
    }

    /// Looks from time to time whether the table has error logging at all.
    async fn check(&self, core: &Core) -> Result<(), Fault> {
        if self.lock().checked.is_some_and(|at| at.elapsed() < REFUSED) {
            return Ok(());
        }
        if let Ok(Some(target)) = catalog::target(&core.api, &self.source.destination).await
            && let Ok(Some(table)) = catalog::table(&core.api, &target).await
            && table.error_logging == Some(false)
        {
            let detail =
                "the table has no error logging; ALTER TABLE … SET ERROR_LOGGING = TRUE begins it".to_owned();
            return Err(Fault { class: FaultClass::Rejected, detail, retry_after: None });
        }
        self.lock().checked = Some(Instant::now());
        Ok(())
    }

    fn failed(&self, core: &Core, fault: &Fault) {
        if fault.class != FaultClass::Rejected {
            let mut state = self.lock();
            state.fault = Some(fault.detail.clone());
            return state.fruitless();
        }
        let text = format!(
            "{}. The error table is read in warehouse {}, which the role needs USAGE on, and it needs SELECT ERROR TABLE on \
             the table",
            fault.detail, self.source.warehouse
        );
        self.lock().refused = Some((Instant::now(), text.clone()));
        self.say(core, &text);
    }

    fn say(&self, core: &Core, reason: &str) {
        let text = format!(
            "{}: rejected rows cannot be told from their neighbours, the requests that hold them go to invalid: {reason}",
            self.label
        );
        core.messages.say(Level::Warn, &format!("error-table/{}", self.label), text);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn is_refused(&self) -> bool {
        self.refused.as_ref().is_some_and(|(since, _)| since.elapsed() < REFUSED)
    }

    /// Reports to ask for, oldest first; the others have their turn later.
    fn open(&mut self) -> Vec<Key> {
        let mut open: Vec<Key> = Vec::new();
        if self.is_refused() {
            return open;
        }
        let mut counted = 0;
        self.unanswerable.retain(|_, (since, _)| since.elapsed() < REFUSED);
        for case in &self.cases {
            for (report, _) in &case.reports {
                let key = (case.channel.clone(), report.clone());
                let told = self.known.contains_key(&key) || self.unanswerable.contains_key(&key);
                let wanted = !told && !open.contains(&key) && report.upto.is_some();
                if wanted && open.len() < REPORTS && counted + report.weight() <= ROWS {
                    counted += report.weight();
                    self.asked.entry(key.clone()).or_insert_with(Instant::now);
                    open.push(key);
                }
            }
        }
        open
    }

    fn give_up(&mut self, reports: Vec<Key>, reason: &str) {
        let now = Instant::now();
        self.unanswerable.extend(reports.into_iter().map(|key| (key, (now, reason.to_owned()))));
    }

    fn learn(&mut self, open: &[Key], rows: &[Arc<Row>]) {
        let mut by_channel: HashMap<&str, Vec<Report>> = HashMap::new();
        for (channel, report) in open {
            by_channel.entry(channel).or_default().push(report.clone());
        }
        self.fault = None;
        let mut fruitful = false;
        for (channel, mut reports) in by_channel {
            reports.sort_by(|a, b| a.upto.cmp(&b.upto));
            let known = explained(channel, &reports, rows);
            for (report, _) in reports.into_iter().zip(known).filter(|(_, known)| *known) {
                fruitful = true;
                let of = rows.iter().filter(|row| row.is_of(channel, &report)).cloned().collect();
                let key = (channel.to_owned(), report);
                self.asked.remove(&key);
                self.known.insert(key, of);
            }
        }
        match fruitful {
            true => self.pause = PAUSE,
            false => self.fruitless(),
        }
    }

    /// Why a report was waited for in vain.
    fn vain(&self, patience: Duration) -> String {
        let seconds = patience.as_secs();
        match &self.fault {
            Some(fault) => format!("the error table could not be read within {seconds} s: {fault}"),
            None => format!("the error table did not have as many rows as were counted within {seconds} s"),
        }
    }

    fn fruitless(&mut self) {
        self.pause = (self.pause * 2).clamp(PAUSE, LONGEST);
    }

    fn is_over(&self, key: &Key, patience: Duration) -> bool {
        let (_, report) = key;
        report.upto.is_none()
            || report.weight() > ROWS
            || self.asked.get(key).is_some_and(|since| since.elapsed() >= patience)
    }

    /// Reports that were waited for in vain.
    fn over(&self, patience: Duration) -> usize {
        self.asked.keys().filter(|key| self.is_over(key, patience)).count()
    }

    /// Cases that can end, with their rows or the reason why these are not known.
    fn ready(&mut self, patience: Duration) -> Vec<(Case, Answer)> {
        let refused = self.refused.as_ref().filter(|_| self.is_refused()).map(|(_, text)| text.clone());
        let mut ready = Vec::new();
        for case in std::mem::take(&mut self.cases) {
            let rows = |report: &Report| self.known.get(&(case.channel.clone(), report.clone())).cloned();
            let unknown: Vec<&Report> =
                case.reports.iter().map(|(report, _)| report).filter(|r| rows(r).is_none()).collect();
            let over = |report: &Report| self.is_over(&(case.channel.clone(), report.clone()), patience);
            let unanswerable = unknown.iter().find_map(|report| {
                let known = self.unanswerable.get(&(case.channel.clone(), Report::clone(report)));
                known.map(|(_, reason)| reason)
            });
            let reason = match refused.as_ref().or(unanswerable) {
                _ if unknown.is_empty() => {
                    let rows = case.reports.iter().filter_map(|(report, _)| rows(report)).flatten();
                    let rows = rows.collect();
                    ready.push((case, Ok(rows)));
                    continue;
                }
                Some(reason) => reason.clone(),
                None if unknown.iter().any(|report| report.weight() > ROWS) => {
                    format!("more than {ROWS} were rejected at once")
                }
                None if unknown.iter().any(|report| over(report)) => self.vain(patience),
                None => {
                    self.cases.push(case);
                    continue;
                }
            };
            let count = case.count(rows);
            ready.push((case, Err((reason, count))));
        }
        let cases = &self.cases;
        let waits = |(channel, report): &Key| {
            cases.iter().any(|case| case.channel == *channel && case.reports.iter().any(|(r, _)| r == report))
        };
        self.asked.retain(|key, _| waits(key));
        if self.known.len() > REMEMBERED {
            self.known.retain(|key, _| waits(key));
        }
        ready
    }
}
