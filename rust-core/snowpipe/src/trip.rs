//! Panics on demand for this crate's own tests; outside them nothing is here.

/// Places of the code where a test may ask for a panic.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trips {
    #[cfg(test)]
    armed: std::sync::Arc<std::sync::Mutex<std::collections::HashMap<&'static str, u32>>>,
}

impl Trips {
    /// Panics when a test has asked for it here.
    #[inline]
    pub(crate) fn pass(&self, place: &'static str) {
        #[cfg(test)]
        self.strike(place);
        let _ = place;
    }
}

#[cfg(test)]
impl Trips {
    /// After `passes` more passes the next one at `place` panics, once.
    pub(crate) fn arm(&self, place: &'static str, passes: u32) {
        crate::actor::lock(&self.armed).insert(place, passes);
    }

    /// Whether a panic is still to come.
    pub(crate) fn is_armed(&self, place: &'static str) -> bool {
        crate::actor::lock(&self.armed).contains_key(place)
    }

    fn strike(&self, place: &'static str) {
        let mut armed = crate::actor::lock(&self.armed);
        let hit = match armed.get_mut(place) {
            Some(0) => armed.remove(place).is_some(),
            Some(passes) => {
                *passes -= 1;
                false
            }
            None => false,
        };
        drop(armed);
        assert!(!hit, "asked for by a test in {place}");
    }
}
