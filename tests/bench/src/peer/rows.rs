//! Payloads like those of real streams: many different ones, always the same from run to run.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use record::{ArrivalFormat, Metadata, append_row};

use super::Outcome;
use super::usage::print;

const NAMES: [&str; 8] =
    ["Anna Berg", "João Silva", "Li Wei", "Mary Smith", "Omar Haddad", "Priya Patel", "Max Weber", "Zoë Ek"];
const WORDS: [&str; 16] = [
    "please",
    "deliver",
    "behind",
    "the",
    "house",
    "call",
    "before",
    "noon",
    "gift",
    "wrapped",
    "fragile",
    "keep",
    "cool",
    "thanks",
    "neighbour",
    "door",
];
/// More bytes of different payloads than a compressor looks back.
const VARIETY: usize = 4 << 20;

/// `count` payloads of exactly `bytes` bytes each (or a few more when that is too little), one JSON object of fifteen
/// members, some nested. The twelve zeros of the first member are left for a number.
pub fn payloads(bytes: usize) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(20_251_123);
    (0..VARIETY / bytes.max(256)).map(|_| payload(&mut random, bytes)).collect()
}

fn payload(random: &mut StdRng, bytes: usize) -> String {
    let name = NAMES.choose(random).copied().unwrap_or_default();
    let mut text = format!(
        "{{\"orderId\":000000000000,\"customer\":{{\"id\":\"c-{:08x}\",\"name\":\"{name}\",\"vip\":{},\"country\":\
         \"{}\"}},\"createdAt\":\"2026-11-{:02}T{:02}:{:02}:{:02}.{:03}Z\",\"currency\":\"EUR\",\"amount\":{}.{:02},\
         \"tax\":0.{:02},\"paid\":{},\"channel\":\"{}\",\"session\":\"{:032x}\",\"ip\":\"10.{}.{}.{}\",\"tags\":[\"{}\",\
         \"{}\"],\"items\":[",
        random.random::<u32>(),
        random.random_bool(0.1),
        ["DE", "FR", "PT", "SE", "US"].choose(random).copied().unwrap_or_default(),
        random.random_range(1..29),
        random.random_range(0..24),
        random.random_range(0..60),
        random.random_range(0..60),
        random.random_range(0..1000),
        random.random_range(1..1000),
        random.random_range(0..100),
        random.random_range(0..25),
        random.random_bool(0.8),
        ["web", "app", "shop"].choose(random).copied().unwrap_or_default(),
        random.random::<u128>(),
        random.random::<u8>(),
        random.random::<u8>(),
        random.random::<u8>(),
        WORDS.choose(random).copied().unwrap_or_default(),
        WORDS.choose(random).copied().unwrap_or_default(),
    );
    for item in 0..random.random_range(1..4) {
        let comma = if item == 0 { "" } else { "," };
        text += &format!(
            "{comma}{{\"sku\":\"{:08X}\",\"quantity\":{},\"price\":{}.{:02}}}",
            random.random::<u32>(),
            random.random_range(1..9),
            random.random_range(1..300),
            random.random_range(0..100)
        );
    }
    text += "],\"warehouse\":null,\"retries\":0,\"note\":\"";
    while text.len() + 2 < bytes {
        text += WORDS.choose(random).copied().unwrap_or_default();
        text.push(' ');
    }
    text.truncate(bytes.saturating_sub(2).max(text.rfind(":\"").map_or(0, |at| at + 2)));
    text + "\"}"
}

/// Readings of sensors: almost only numbers, small.
pub fn readings() -> Vec<String> {
    let mut random = StdRng::seed_from_u64(7);
    let reading = |random: &mut StdRng| {
        format!(
            "{{\"sensor\":{},\"at\":{},\"temperature\":{:.3},\"humidity\":{:.3},\"pressure\":{:.2},\"lat\":{:.6},\
             \"lon\":{:.6},\"battery\":{}}}",
            random.random_range(1..5_000),
            1_762_333_935_307_i64 + random.random_range(0..1_000_000),
            random.random_range(-20.0..45.0),
            random.random_range(10.0..100.0),
            random.random_range(950.0..1_050.0),
            random.random_range(-90.0..90.0),
            random.random_range(-180.0..180.0),
            random.random_range(0..100),
        )
    };
    (0..40_000).map(|_| reading(&mut random)).collect()
}

/// Lines of a web server's log: identifiers that do not compress beside texts that do.
pub fn log_lines() -> Vec<String> {
    let mut random = StdRng::seed_from_u64(8);
    let line = |random: &mut StdRng| {
        let words: Vec<&str> = (0..4).filter_map(|_| WORDS.choose(random).copied()).collect();
        format!(
            "{{\"level\":\"INFO\",\"logger\":\"com.example.shop.{}Controller\",\"trace\":\"{:032x}\",\"span\":\"{:016x}\",\
             \"method\":\"GET\",\"path\":\"/api/v2/{}/{}/{}\",\"status\":{},\"took_ms\":{},\"agent\":\"Mozilla/5.0 (X11; \
             Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\",\"message\":\
             \"handled {} for session {:016x}\"}}",
            ["Order", "Cart", "User"].choose(random).copied().unwrap_or_default(),
            random.random::<u128>(),
            random.random::<u64>(),
            words.first().copied().unwrap_or_default(),
            random.random_range(1..1_000_000),
            words.last().copied().unwrap_or_default(),
            [200, 200, 200, 304, 404, 500].choose(random).copied().unwrap_or_default(),
            random.random_range(1..900),
            words.join(" "),
            random.random::<u64>(),
        )
    };
    (0..16_000).map(|_| line(&mut random)).collect()
}

/// Rows as `ConsumeKinesis` makes them of payloads with `Inject Metadata`: `megabytes` or a little more.
pub fn rows(payloads: &[String], megabytes: usize) -> Outcome<Vec<u8>> {
    let mut out = Vec::with_capacity((megabytes + 1) << 20);
    for (number, payload) in payloads.iter().cycle().enumerate() {
        if out.len() >= megabytes << 20 {
            break;
        }
        let payload = payload.replacen("000000000000", &(100_000_000_000 + number).to_string(), 1);
        let sequence = format!("49598630142999655949899443842509554952738656{number:012}");
        let partition_key = format!("key-{}", number % 100);
        let metadata = Metadata {
            stream: "bench",
            shard_id: "shardId-000000000001",
            approximate_arrival_ms: Some(1_762_333_935_307 + i64::try_from(number)?),
            partition_key: &partition_key,
            sequence_number: &sequence,
            sub_sequence_number: 0,
        };
        append_row(payload.as_bytes(), Some(&metadata), ArrivalFormat::Iso, &mut out)
            .map_err(|reject| format!("{reject:?}"))?;
    }
    Ok(out)
}

/// Options of `rows`.
#[derive(Args)]
pub struct Options {
    /// File to write.
    #[arg(long)]
    file: PathBuf,
    /// Bytes of a payload; a row has its metadata on top.
    #[arg(long)]
    payload_bytes: usize,
    /// Size of the file.
    #[arg(long)]
    megabytes: usize,
}

/// Writes rows to a file and prints how many bytes a row has on average.
pub fn run(options: &Options) -> Outcome<()> {
    let rows = rows(&payloads(options.payload_bytes), options.megabytes)?;
    std::fs::File::create(&options.file)?.write_all(&rows)?;
    let count = rows.iter().filter(|byte| **byte == b'\n').count();
    print(&(f64::from(u32::try_from(rows.len())?) / f64::from(u32::try_from(count)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_json_of_the_size_asked_for_and_differ() {
        let payloads = payloads(1_024);
        assert_eq!(payloads.len(), 4_096);
        for payload in &payloads {
            assert_eq!(payload.len(), 1_024);
            let parsed: serde_json::Value =
                serde_json::from_str(&payload.replacen("000000000000", "100000000001", 1)).expect("JSON");
            assert_eq!(parsed["orderId"], 100_000_000_001_u64);
            assert_eq!(parsed.as_object().expect("object").len(), 15);
        }
        assert_ne!(payloads[0], payloads[1]);
        for other in [&readings()[7], &log_lines()[7]] {
            serde_json::from_str::<serde_json::Value>(other).expect("JSON");
        }
    }

    #[test]
    fn rows_carry_their_metadata() {
        let rows = rows(&payloads(700), 1).expect("rows");
        let first: serde_json::Value =
            serde_json::from_slice(rows.split(|byte| *byte == b'\n').next().expect("a row")).expect("JSON");
        assert_eq!(first["kinesisMetadata"]["stream"], "bench");
    }
}
