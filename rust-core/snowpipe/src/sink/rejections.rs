//! Rejected rows that are to be told one by one.

use std::sync::Arc;

use super::Sink;
use super::place::Place;
use crate::actor::lock;
use crate::rejected::{Examiner, Source};
use bulletin::Level;

impl Sink {
    /// Who tells the rejected rows of a destination; nobody when that is not asked for, or not possible, which is told once.
    pub(super) fn examiner(&self, place: &Place) -> Option<Arc<Examiner>> {
        let config = &self.core.config;
        if !config.tells_rows() {
            return None;
        }
        let mut examiners = lock(&self.examiners);
        if let Some(known) = examiners.get(&place.pipe) {
            return known.clone();
        }
        let made = match &config.warehouse {
            Some(warehouse) => Ok(Source::new(&place.destination, warehouse, &config.record_pointer)),
            None => Err("Warehouse is not set"),
        };
        let examiner = match made {
            Ok(source) => Some(Arc::new(Examiner::new(source))),
            Err(reason) => {
                let text = format!(
                    "Rejected rows are not looked up in the error table: {reason}. The rows of the requests that hold them go \
                     to invalid"
                );
                self.core.messages.say(Level::Info, "no-examiner", text);
                None
            }
        };
        if let Some(examiner) = &examiner {
            let watcher = Arc::clone(examiner);
            let name = format!("error table {}", place.pipe.pipe);
            self.core.supervise(name, move |core| Arc::clone(&watcher).run(core));
        }
        examiners.insert(place.pipe.clone(), examiner.clone());
        examiner
    }

    /// Ends what waits for nothing but to be told more of its rejected rows, and sends those back who wait in
    /// [`Sink::write`] for room, now and from now on: the caller is about to stop.
    pub fn hurry(&self) {
        for known in lock(&self.channels).values() {
            known.channel.hurry();
        }
        for examiner in lock(&self.examiners).values().flatten() {
            examiner.hurry();
        }
        let cells: Vec<_> = lock(&self.uploads).values().map(|upload| Arc::clone(&upload.cell)).collect();
        for cell in cells {
            cell.hurry();
        }
    }
}
