//! Lines with the time since the beginning, so that a slow step is seen as one.

use std::time::Instant;

/// A clock that prints.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    begun: Instant,
}

impl Progress {
    /// Starts the clock.
    pub fn start() -> Self {
        Self { begun: Instant::now() }
    }

    /// Prints one line.
    pub fn say(&self, line: &str) {
        println!("[{:6.1} s] {line}", self.begun.elapsed().as_secs_f64());
    }
}

/// 1234567 as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 shard`, `4 shards`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{counted, grouped};

    #[test]
    fn one_is_singular() {
        assert_eq!([counted(1, "shard"), counted(1000, "shard")], ["1 shard", "1,000 shards"]);
    }

    #[test]
    fn thousands_are_grouped() {
        let texts: Vec<String> = [0, 12, 999, 1000, 1_234_567].into_iter().map(grouped).collect();
        assert_eq!(texts, ["0", "12", "999", "1,000", "1,234,567"]);
    }
}
