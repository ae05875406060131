//! Panics on demand, so that a test can see what becomes of them. Nothing here works unless the environment says
//! `SHARDFLOW_TESTING=1`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::error::Error;
use crate::registry::Registry;
use crate::throw::panic_text;

static ENABLED: LazyLock<bool> =
    LazyLock::new(|| std::env::var("SHARDFLOW_TESTING").is_ok_and(|value| value == "1"));
static ARMED: AtomicBool = AtomicBool::new(false);
static TARGET: Mutex<Option<(String, String)>> = Mutex::new(None);

/// Commands: `panic`, text: panics here. `panic-task`, text: in a task of the runtime. `panic-in`, function, text: at the
/// next call of that function.
pub(crate) fn run(registry: &Registry, name: &str, words: &[Option<String>]) -> Result<Vec<String>, Error> {
    let word = |index: usize| words.get(index).cloned().flatten().unwrap_or_default();
    match name {
        "panic" if *ENABLED => fall(&word(0)),
        "panic-task" if *ENABLED => {
            let runtime = registry.runtime().lease()?;
            let text = word(0);
            let task = runtime.handle().spawn(async move { fall(&text) });
            match runtime.handle().block_on(task) {
                Ok(never) => never,
                Err(end) => {
                    Err(Error::Panic(end.try_into_panic().map_or_else(|end| end.to_string(), panic_text)))
                }
            }
        }
        "panic-in" if *ENABLED => {
            *TARGET.lock().unwrap_or_else(PoisonError::into_inner) = Some((word(0), word(1)));
            ARMED.store(true, Ordering::Release);
            Ok(Vec::new())
        }
        _ => Err(Error::UnknownCommand(name.to_owned())),
    }
}

/// Panics when a test has asked for it in this function.
pub(crate) fn trip(function: &str) {
    if !ARMED.load(Ordering::Acquire) {
        return;
    }
    let hit = TARGET.lock().unwrap_or_else(PoisonError::into_inner).take_if(|(name, _)| name == function);
    if let Some((_, text)) = hit {
        ARMED.store(false, Ordering::Release);
        fall(&text);
    }
}

#[expect(clippy::panic, reason = "the purpose of this module")]
fn fall(text: &str) -> ! {
    panic!("{text}")
}
